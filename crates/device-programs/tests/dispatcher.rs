//! The dispatcher, called as CANN calls it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::ffi::{CString, c_char, c_void};
use std::mem::transmute;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use object_loader::{SharedObject, elf};

type Init = unsafe extern "C" fn(*mut c_void) -> u32;
type BindDirectory = unsafe extern "C" fn(*const c_char);

/// A copy of its own for each test: it keeps the directory.
struct Dispatcher {
    object: SharedObject,
}

impl Dispatcher {
    fn new(directory: &Path) -> Self {
        let dispatcher =
            Self { object: SharedObject::load("dispatcher", device_programs::dispatcher()).unwrap() };
        let directory = CString::new(directory.to_str().unwrap()).unwrap();
        // SAFETY: the function has this signature and copies the string.
        unsafe {
            let bind: BindDirectory = transmute(dispatcher.symbol("soft_cann_bind_kernel_dir"));
            bind(directory.as_ptr());
        }
        dispatcher
    }

    fn symbol(&self, name: &str) -> *const c_void {
        std::ptr::with_exposed_provenance(self.object.symbol_address(name).unwrap().0.get())
    }

    fn call(&self, name: &str, block: *mut c_void) -> u32 {
        // SAFETY: all three have this signature; the block is null or as they expect it.
        unsafe { transmute::<*const c_void, Init>(self.symbol(name))(block) }
    }

    /// What the bootstrap launch does (`spec/device-abi.md`, section 5.2).
    fn install(&self, program: Option<&[u8]>, device: u64) -> u32 {
        let mut device_args = [0u64; 20];
        device_args[14] = device;
        if let Some(program) = program {
            device_args[15] = program.as_ptr().expose_provenance() as u64;
            device_args[16] = program.len() as u64;
        }
        let mut block = [0u64; 38];
        block[5] = (&raw const device_args).expose_provenance() as u64;
        self.call("DynTileFwkBackendKernelServerInit", block.as_mut_ptr().cast())
    }
}

fn file_name(program: &[u8], device: u64) -> String {
    format!("simpler_inner_{:016x}_{device}.so", elf::build_id_64(program))
}

/// A program with a build id: this test.
fn with_build_id() -> Vec<u8> {
    std::fs::read(std::env::current_exe().unwrap()).unwrap()
}

#[test]
fn programs_are_installed_under_fingerprint_and_device() {
    let directory = tempfile::tempdir().unwrap();
    let dispatcher = Dispatcher::new(directory.path());
    let programs =
        [with_build_id(), device_programs::dispatcher().to_vec(), b"no object".to_vec(), vec![7; 70]];
    for (device, program) in (0..).zip(&programs) {
        // Again, as another process does it.
        for _ in 0..2 {
            assert_eq!(dispatcher.install(Some(program), device), 0);
            let installed = directory.path().join(file_name(program, device));
            assert_eq!(&std::fs::read(&installed).unwrap(), program);
            assert_eq!(installed.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        }
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), programs.len(), "nothing else is left");
}

/// Headers that lie about their notes must not be followed out of the file.
#[test]
fn damaged_objects_are_hashed_or_recognised_but_never_overrun() {
    let directory = tempfile::tempdir().unwrap();
    let dispatcher = Dispatcher::new(directory.path());
    let whole = with_build_id();
    for length in [1, 16, 63, 64, 65, 100, 120, 300, 4096] {
        let program = &whole[..length.min(whole.len())];
        assert_eq!(dispatcher.install(Some(program), 3), 0);
        assert!(directory.path().join(file_name(program, 3)).exists(), "{length} bytes");
    }
    let mut lying = whole[..4096].to_vec();
    lying[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(dispatcher.install(Some(&lying), 3), 0);
}

#[test]
fn what_cannot_be_installed_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let dispatcher = Dispatcher::new(directory.path());
    assert_eq!(dispatcher.call("DynTileFwkBackendKernelServerInit", std::ptr::null_mut()), 1);
    let mut without_arguments = [0u64; 38];
    let block = without_arguments.as_mut_ptr().cast();
    assert_eq!(dispatcher.call("DynTileFwkBackendKernelServerInit", block), 1);
    assert_eq!(dispatcher.install(None, 0), 1);
    assert_eq!(dispatcher.install(Some(&[]), 0), 1);
    // Something that cannot be replaced by a file.
    let program = [1u8, 2, 3];
    std::fs::create_dir_all(directory.path().join(file_name(&program, 0)).join("full")).unwrap();
    assert_eq!(dispatcher.install(Some(&program), 0), 1);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    let nowhere = Dispatcher::new(&directory.path().join("nowhere"));
    assert_eq!(nowhere.install(Some(&program), 0), 1);
}

#[test]
fn threads_that_install_one_program_do_not_disturb_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let dispatcher = Dispatcher::new(directory.path());
    let program = with_build_id();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(dispatcher.install(Some(&program), 9), 0));
        }
    });
    assert_eq!(std::fs::read(directory.path().join(file_name(&program, 9))).unwrap(), program);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn the_other_two_entries_are_there() {
    let dispatcher = Dispatcher::new(Path::new("/"));
    for name in ["StaticTileFwkBackendKernelServer", "DynTileFwkBackendKernelServer"] {
        assert_eq!(dispatcher.call(name, std::ptr::null_mut()), 0);
    }
}
