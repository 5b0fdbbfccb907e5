//! The AICPU side of a device: the process that loads programs and runs their functions (spec/hal.md, section
//! 4).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_loader::{SharedObject, SymbolAddress, call::call_entry, call::call_kernel};

use crate::codes;
use crate::context;
use crate::device::Device;
use crate::device_symbols;
use crate::exit::kernel_dir;
use crate::memory::Refusal;
use crate::ops::Op;
use crate::region::pointer;
use crate::report::ViolationKind;
use crate::rule::Effect;
use crate::sync::lock;
use crate::task::Task;

/// Nothing that an AICPU does takes longer, so that nothing here hangs for ever.
const LIMIT: Duration = Duration::from_secs(60);

const EXTEND_KERNELS: &str = "libaicpu_extend_kernels.so";
const SERVER_INIT: &str = "DynTileFwkKernelServerInit";
const DISPATCHER_INIT: &str = "DynTileFwkBackendKernelServerInit";
/// All of them must exist.
const DISPATCHER_SYMBOLS: [&str; 3] =
    ["StaticTileFwkBackendKernelServer", DISPATCHER_INIT, "DynTileFwkBackendKernelServer"];

/// What the process of one device has loaded. Nothing is unloaded while it lives.
#[derive(Debug, Default)]
pub(crate) struct AicpuProcess {
    dispatcher: Mutex<Option<(SharedObject, u64)>>,
    /// By file name, as it was when it was first loaded.
    objects: Mutex<BTreeMap<String, SharedObject>>,
}

/// What `rtsBinaryLoadFromFile` has read.
#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) device: Arc<Device>,
    pub(crate) ops: BTreeMap<String, Op>,
}

impl Binary {
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }
}

/// A function of a binary. It dies with it.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) device: Arc<Device>,
    /// The handle of the binary.
    pub(crate) binary: u64,
    pub(crate) op: Op,
}

impl Function {
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }
}

/// A copy of an argument block, which the device made at the launch. Programs may write it.
#[derive(Debug)]
pub(crate) struct Args {
    words: Vec<u64>,
    size: usize,
}

impl Args {
    /// Copies `size` bytes.
    ///
    /// # Safety
    ///
    /// They are readable.
    pub(crate) unsafe fn copy(from: *const u8, size: usize) -> Self {
        let mut words = vec![0_u64; size.div_ceil(8)];
        // SAFETY: the source is readable by this function's contract, and the words are at least as many
        // bytes.
        unsafe { from.copy_to_nonoverlapping(words.as_mut_ptr().cast(), size) };
        Self { words, size }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_ne_bytes()).take(self.size).collect()
    }

    /// The zero-terminated text at an offset.
    pub(crate) fn text(&self, offset: usize) -> Option<String> {
        let bytes = self.bytes();
        let text = bytes.get(offset..)?.split(|byte| *byte == 0).next()?;
        String::from_utf8(text.to_vec()).ok()
    }

    pub(crate) fn word(&self, offset: usize) -> u64 {
        self.words.get(offset / 8).copied().unwrap_or(0)
    }

    /// An address of the copy that a program may read and write for as long as the copy lives.
    fn address(&self) -> u64 {
        self.words.as_ptr().expose_provenance() as u64
    }
}

/// Runs a function of a loaded program on `blocks` threads at once.
pub(crate) fn run_function(
    task: &Arc<Task>,
    op: &Op,
    blocks: u32,
    args: Args,
    limit: Option<Duration>,
) -> Result<(), i32> {
    let device = Arc::clone(task.device());
    let entry = device.aicpu.function(&device, op).map_err(|refusal| failed(&device, refusal))?;
    let (worker, injected) = (Arc::clone(task), injected(&device, &op.function));
    let body = move |number: usize| {
        context::remember(worker.device().id);
        match injected {
            Some(Injection::Return(block, value)) if block.is_none_or(|block| block as usize == number) => {
                value
            }
            Some(Injection::Hang) => {
                worker.pause(None);
                0
            }
            _ => call(worker.device(), entry, args.address()),
        }
    };
    let limit = (limit.unwrap_or(LIMIT), codes::AICPU_TIMEOUT);
    match task.run("AICPU", blocks as usize, Some(limit), &(Arc::new(body) as _))? {
        0 => Ok(()),
        value => {
            log::warn!("{} returned {value} on the AICPU of device {}", op.function, device.id);
            Err(device.aicpu_exception())
        }
    }
}

/// Runs a built-in operator: of those the stand-in has the one that loads a dispatcher.
pub(crate) fn run_built_in(task: &Arc<Task>, object: &str, kernel: &str, args: Args) -> Result<(), i32> {
    let device = Arc::clone(task.device());
    if (object, kernel) != (EXTEND_KERNELS, SERVER_INIT) {
        let text = format!("the AICPU has no built-in operator `{kernel}` in `{object}`");
        return Err(failed(&device, Refusal::new(0, ViolationKind::BadProgram, text)));
    }
    let (worker, injected) = (Arc::clone(task), injected(&device, SERVER_INIT));
    let body = move |_| {
        context::remember(worker.device().id);
        match injected {
            Some(Injection::Return(_, value)) => return value,
            Some(Injection::Hang) => {
                worker.pause(None);
                return 0;
            }
            None => {}
        }
        match worker.device().aicpu.start_dispatcher(worker.device(), &args) {
            Ok(value) => value,
            Err(refusal) => worker.device().refuse(refusal),
        }
    };
    match task.run("AICPU", 1, Some((LIMIT, codes::AICPU_TIMEOUT)), &(Arc::new(body) as _))? {
        0 => Ok(()),
        _ => Err(device.aicpu_exception()),
    }
}

fn failed(device: &Device, refusal: Refusal) -> i32 {
    device.refuse(refusal);
    device.aicpu_exception()
}

/// What a rule makes of a launch.
#[derive(Clone, Copy, Debug)]
enum Injection {
    /// One block, or each, returns this.
    Return(Option<u32>, i32),
    Hang,
}

fn injected(device: &Device, name: &str) -> Option<Injection> {
    device.rules.on_event(|effect| match effect {
        Effect::AicpuReturn { function, block, value } if function == name => {
            Some(Injection::Return(*block, *value))
        }
        Effect::AicpuHang { function } if function == name => Some(Injection::Hang),
        _ => None,
    })
}

/// Calls `int f(void *args)`.
fn call(device: &Device, entry: SymbolAddress, args: u64) -> i32 {
    // SAFETY: AICPU functions have this signature, and the second argument of the call is in a register that
    // they do not read. The block lives until the task has ended. What is in it is the contract of the host
    // program.
    let outcome = unsafe { call_entry(entry, pointer(args).cast(), std::ptr::null()) };
    outcome.unwrap_or_else(|exception| {
        device.report(ViolationKind::BadProgram, format!("an AICPU function threw: {exception}"));
        -1
    })
}

impl AicpuProcess {
    /// A function of a program file, which is loaded if it never was.
    fn function(&self, device: &Device, op: &Op) -> Result<SymbolAddress, Refusal> {
        let bad = |text: String| Refusal::new(codes::AICPU_EXCEPTION, ViolationKind::BadProgram, text);
        let mut objects = lock(&self.objects);
        if !objects.contains_key(&op.object) {
            let path = kernel_dir().join(&op.object);
            let mut bytes =
                std::fs::read(&path).map_err(|error| bad(format!("{}: {error}", path.display())))?;
            if device.rules.on_event(|effect| matches!(effect, Effect::CorruptObject).then_some(())).is_some()
            {
                bytes.truncate(bytes.len() / 2);
            }
            device_symbols::provide();
            let object = SharedObject::load(&op.object, &bytes).map_err(|error| bad(error.to_string()))?;
            objects.insert(op.object.clone(), object);
        }
        let object = objects.get(&op.object).ok_or(Refusal::from(codes::AICPU_EXCEPTION))?;
        object.symbol_address(&op.function).map_err(|error| bad(error.to_string()))
    }

    /// Loads the dispatcher that the arguments name, unless there is one already, and initialises it.
    fn start_dispatcher(&self, device: &Arc<Device>, args: &Args) -> Result<i32, Refusal> {
        let device_args = args.word(40);
        device.memory.check("reading DeviceArgs", device_args, 112)?;
        let (address, size) = (read_word(device_args + 96), read_word(device_args + 104));
        device.memory.check("reading the dispatcher", address, size)?;
        let bytes = read_bytes(address, size);
        let content = object_loader::elf::build_id_64(&bytes);
        let mut dispatcher = lock(&self.dispatcher);
        if let Some((_, first)) = &*dispatcher {
            if *first != content {
                let text = "the device process goes on with the dispatcher that it loaded first".to_owned();
                device.report(ViolationKind::OtherDispatcher, text);
            }
        } else {
            *dispatcher = Some((load_dispatcher(device.id, &bytes)?, content));
        }
        let entry = dispatcher
            .as_ref()
            .and_then(|(object, _)| object.optional_symbol(DISPATCHER_INIT).ok().flatten());
        let entry = entry.ok_or(Refusal::from(codes::AICPU_EXCEPTION))?;
        Ok(call(device, entry, args.address()))
    }
}

fn load_dispatcher(id: i32, bytes: &[u8]) -> Result<SharedObject, Refusal> {
    let bad = |error: object_loader::LoadError| {
        Refusal::new(codes::AICPU_EXCEPTION, ViolationKind::BadProgram, error.to_string())
    };
    device_symbols::provide();
    let object = SharedObject::load(&format!("libpypto_server{id}.so"), bytes).map_err(bad)?;
    for name in DISPATCHER_SYMBOLS {
        object.symbol_address(name).map_err(bad)?;
    }
    if let Some(bind) = object.optional_symbol("soft_cann_bind_kernel_dir").map_err(bad)? {
        bind_kernel_dir(bind, kernel_dir());
    }
    Ok(object)
}

fn bind_kernel_dir(bind: SymbolAddress, directory: &Path) {
    use std::os::unix::ffi::OsStrExt as _;
    let Ok(text) = std::ffi::CString::new(directory.as_os_str().as_bytes()) else { return };
    // SAFETY: the symbol is a function `void f(const char *)` (soft_cann_device.h), and the string is never
    // freed.
    if let Err(exception) = unsafe { call_kernel(bind, text.into_raw().cast()) } {
        log::error!("soft_cann_bind_kernel_dir threw: {exception}");
    }
}

fn read_word(address: u64) -> u64 {
    // SAFETY: callers have checked that the word lies in a live buffer, which stays mapped while the device
    // lives; unaligned because only the host program knows where the block begins.
    unsafe { pointer(address).cast::<u64>().read_unaligned() }
}

fn read_bytes(address: u64, size: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    // SAFETY: as in read_word, for the whole range.
    unsafe { pointer(address).copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
    bytes
}
