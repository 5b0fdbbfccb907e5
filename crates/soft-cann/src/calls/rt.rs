//! libruntime.so.

use std::ffi::{c_char, c_void};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hal_sys::sys;

use super::{behind, number, numbered, own_stream, owner, owner_of_stream, put, text};
use crate::aicore::Program;
use crate::aicpu::{self, Args, Binary, Function};
use crate::border::exported;
use crate::codes;
use crate::context;
use crate::copy;
use crate::handle;
use crate::ops;
use crate::process::process;
use crate::report::ViolationKind;

/// An offset that says that there is nothing.
const NO_OFFSET: u32 = u32::MAX;

exported! {
    /// Attaches the calling thread.
    Acl fn rtSetDevice(device: i32) -> i32, on numbered(device) => super::set_device(device)

    /// Gives one attachment back; the last one ends everything on the device.
    Acl fn rtDeviceReset(device: i32) -> i32, on numbered(device) => super::reset_device(device, false)

    /// Allocates device memory, rounded to 32 bytes.
    Acl fn rtMalloc(address: *mut *mut c_void, size: u64, kind: u32, module: u16) -> i32,
        on context::nearest() => {
        // SAFETY: the pointer is the caller's.
        unsafe { super::allocate(address, size, size.checked_next_multiple_of(32), codes::PARAM_INVALID) }
    }

    /// Frees device memory, from any thread.
    Acl fn rtFree(address: *mut c_void) -> i32, on owner(address) => super::release(&owner(address), address)

    /// Copies now, without waiting for any stream.
    Acl fn rtMemcpy(to: *mut c_void, room: u64, from: *const c_void, count: u64, kind: u32) -> i32,
        on context::nearest() => {
        // SAFETY: the host side is the caller's.
        unsafe { copy::copy(to, room, from, count, kind) }
    }

    /// Creates a stream.
    Acl fn rtStreamCreate(stream: *mut *mut c_void, priority: i32) -> i32, on context::nearest() => {
        // SAFETY: the pointer is the caller's.
        unsafe { super::create_stream(stream) }
    }

    /// Waits for the stream's tasks and destroys it.
    Acl fn rtStreamDestroy(stream: *mut c_void) -> i32,
        on owner_of_stream(stream) => super::destroy_stream(stream)

    /// Registers an AICore binary; the bytes are copied.
    Acl fn rtRegisterAllKernel(binary: *const sys::rtDevBinary_t, handle: *mut *mut c_void) -> i32,
        on context::nearest() => {
        // SAFETY: the pointers are the caller's.
        unsafe { register(binary, handle) }
    }

    /// Takes a registration back.
    Acl fn rtDevBinaryUnRegister(handle: *mut c_void) -> i32, on context::nearest() => {
        let program = behind(&process().programs, "AICore binary", handle, codes::INVALID_HANDLE)?;
        process().programs.remove(number(handle));
        program.unload();
        Ok(())
    }

    /// Launches a kernel of a registered binary on `blocks` blocks.
    Acl fn rtKernelLaunchWithHandleV2(handle: *mut c_void, key: u64, blocks: u32, args: *mut sys::rtArgsEx_t,
        sm: *mut sys::rtSmDesc_t, stream: *mut c_void, config: *const sys::rtTaskCfgInfo_t) -> i32,
        on owner_of_stream(stream) => {
        // SAFETY: the pointers are the caller's.
        unsafe { launch(handle, key, blocks, args, stream, config) }
    }

    /// Launches a built-in operator of the AICPU.
    Acl fn rtAicpuKernelLaunchExWithArgs(kind: u32, op: *const c_char, blocks: u32,
        args: *const sys::rtAicpuArgsEx_t, sm: *mut sys::rtSmDesc_t, stream: *mut c_void, flags: u32) -> i32,
        on owner_of_stream(stream) => {
        // SAFETY: the pointers are the caller's.
        unsafe { launch_built_in(kind, op, blocks, args, stream) }
    }

    /// Reads the JSON file that names the functions of an AICPU program.
    Acl fn rtsBinaryLoadFromFile(path: *const c_char, config: *const sys::rtLoadBinaryConfig_t,
        handle: *mut *mut c_void) -> i32, on context::nearest() => {
        // SAFETY: the pointers are the caller's.
        unsafe { load_binary(path, config, handle) }
    }

    /// Looks a function up by the key of its operator.
    Acl fn rtsFuncGetByName(binary: *mut c_void, name: *const c_char, function: *mut *mut c_void) -> i32,
        on context::nearest() => {
        // SAFETY: the pointers are the caller's.
        unsafe { find_function(binary, name, function) }
    }

    /// Launches an AICPU function on `blocks` threads.
    Acl fn rtsLaunchCpuKernel(function: *mut c_void, blocks: u32, stream: *mut c_void,
        config: *const sys::rtKernelLaunchCfg_t, args: *mut sys::rtCpuKernelArgs_t) -> i32,
        on owner_of_stream(stream) => {
        // SAFETY: the pointers are the caller's.
        unsafe { launch_cpu(function, blocks, stream, config, args) }
    }

    /// Unloads a JSON binary; its functions die with it.
    Acl fn rtsBinaryUnload(binary: *mut c_void) -> i32, on context::nearest() => {
        behind(&process().binaries, "JSON binary", binary, codes::PARAM_INVALID)?;
        process().binaries.remove(number(binary));
        process().functions.remove_all(|function| function.binary == number(binary));
        Ok(())
    }

    /// Where the cores of an a2a3 synchronise.
    Acl fn rtGetC2cCtrlAddr(address: *mut u64, length: *mut u32) -> i32, on context::nearest() => {
        let (device, _) = context::current()?;
        if !device.chip.has_ffts() {
            return Err(codes::RT_FEATURE_NOT_SUPPORT_RAW);
        }
        let (base, size) = device.registers.ffts().ok_or(codes::INTERNAL_ERROR)?;
        // SAFETY: the pointers are the caller's.
        unsafe {
            put(address, base)?;
            put(length, u32::try_from(size).unwrap_or(u32::MAX))
        }
    }

    /// How many AICPU cores there are for programs.
    Acl fn rtGetAiCpuCount(count: *mut u32) -> i32, on context::nearest() => {
        // SAFETY: the pointer is the caller's.
        unsafe { put(count, context::nearest().chip.aicpu_cores()) }
    }
}

unsafe fn register(binary: *const sys::rtDevBinary_t, handle: *mut *mut c_void) -> Result<(), i32> {
    if binary.is_null() || handle.is_null() {
        return Err(codes::PARAM_INVALID);
    }
    // SAFETY: not null, hence the caller's struct.
    let binary = unsafe { binary.read() };
    let known = [
        sys::RT_DEV_BINARY_MAGIC_ELF,
        sys::RT_DEV_BINARY_MAGIC_ELF_AICUBE,
        sys::RT_DEV_BINARY_MAGIC_ELF_AIVEC,
    ];
    if binary.data.is_null() || binary.length == 0 || !known.contains(&binary.magic) {
        return Err(codes::PARAM_INVALID);
    }
    let length = usize::try_from(binary.length).map_err(|_| codes::PARAM_INVALID)?;
    // SAFETY: the caller says that there are so many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(binary.data.cast(), length) };
    let vector = binary.magic == sys::RT_DEV_BINARY_MAGIC_ELF_AIVEC;
    let program = Program::register(&context::nearest(), bytes, vector)?;
    // SAFETY: not null, hence the caller's.
    unsafe { put(handle, handle::to_pointer(process().programs.insert(program))) }
}

/// From here on schedule modes are invalid in at least one version.
const SCHEDULE_MODES: u8 = 2;

unsafe fn launch(
    handle: *mut c_void,
    key: u64,
    blocks: u32,
    args: *mut sys::rtArgsEx_t,
    stream: *mut c_void,
    config: *const sys::rtTaskCfgInfo_t,
) -> Result<(), i32> {
    context::current()?;
    if handle.is_null() {
        return Err(codes::INTERNAL_ERROR);
    }
    if blocks == 0 || args.is_null() {
        return Err(codes::PARAM_INVALID);
    }
    // SAFETY: not null, hence the caller's struct.
    let args = unsafe { args.read() };
    // A kernel has one argument at least, and it is a pointer.
    if args.args.is_null() || args.argsSize < 8 {
        return Err(codes::PARAM_INVALID);
    }
    // SAFETY: null or the caller's struct.
    if unsafe { config.as_ref() }.is_some_and(|config| config.schemMode >= SCHEDULE_MODES) {
        return Err(codes::PARAM_INVALID);
    }
    let program = behind(&process().programs, "AICore binary", handle, codes::INTERNAL_ERROR)?;
    let (stream, device, context) = own_stream(stream)?;
    // SAFETY: the caller says that there are so many bytes.
    let args = unsafe { Args::copy(args.args.cast(), args.argsSize as usize) };
    let job = program.launch(&device, context, key, blocks, args.word(0))?;
    stream.push(&args.bytes(), job);
    Ok(())
}

/// Kernel types that this function takes.
const BUILT_IN_KINDS: [u32; 4] = [
    sys::RT_KERNEL_TYPE_FWK,
    sys::RT_KERNEL_TYPE_AICPU,
    sys::RT_KERNEL_TYPE_AICPU_CUSTOM,
    sys::RT_KERNEL_TYPE_AICPU_KFC,
];

unsafe fn launch_built_in(
    kind: u32,
    op: *const c_char,
    blocks: u32,
    args: *const sys::rtAicpuArgsEx_t,
    stream: *mut c_void,
) -> Result<(), i32> {
    context::current()?;
    let blocks_fit = (1..1 << 16).contains(&blocks);
    if !BUILT_IN_KINDS.contains(&kind) || op.is_null() || !blocks_fit || args.is_null() {
        return Err(codes::PARAM_INVALID);
    }
    // SAFETY: not null, hence the caller's struct.
    let header = unsafe { args.read() };
    if header.args.is_null() || header.argsSize == 0 {
        return Err(codes::PARAM_INVALID);
    }
    let (stream, ..) = own_stream(stream)?;
    // SAFETY: the caller says that there are so many bytes.
    let args = unsafe { Args::copy(header.args.cast(), header.argsSize as usize) };
    let name = |offset: u32| match offset {
        NO_OFFSET => Some(String::new()),
        offset => args.text(offset as usize),
    };
    let object = name(header.soNameAddrOffset).ok_or(codes::PARAM_INVALID)?;
    let kernel = name(header.kernelNameAddrOffset).ok_or(codes::PARAM_INVALID)?;
    stream.push(&args.bytes(), Box::new(move |task| aicpu::run_built_in(task, &object, &kernel, args)));
    Ok(())
}

unsafe fn load_binary(
    path: *const c_char,
    config: *const sys::rtLoadBinaryConfig_t,
    handle: *mut *mut c_void,
) -> Result<(), i32> {
    if config.is_null() || handle.is_null() {
        return Err(codes::PARAM_INVALID);
    }
    // SAFETY: the string is null or the caller's.
    let path = unsafe { text(path) }.ok_or(codes::PARAM_INVALID)?;
    // SAFETY: not null, hence the caller's struct.
    let config = unsafe { config.read() };
    if config.options.is_null() || config.numOpt == 0 {
        return Err(codes::PARAM_INVALID);
    }
    // SAFETY: the caller says that there are so many options.
    let options = unsafe { std::slice::from_raw_parts(config.options, config.numOpt) };
    let by_json = |option: &sys::rtLoadBinaryOption_t| {
        // SAFETY: all fields of the union are integers, and the option was written as a whole.
        option.optionId == sys::RT_LOAD_BINARY_OPT_CPU_KERNEL_MODE
            && unsafe { option.value.cpuKernelMode } == 0
    };
    if !options.iter().any(by_json) {
        return Err(codes::FEATURE_NOT_SUPPORT);
    }
    let device = context::nearest();
    let ops = ops::read(&PathBuf::from(path)).map_err(|error| {
        device.report(ViolationKind::BadProgram, error);
        codes::PARAM_INVALID
    })?;
    let binary = process().binaries.insert(Arc::new(Binary { device, ops }));
    // SAFETY: not null, hence the caller's.
    unsafe { put(handle, handle::to_pointer(binary)) }
}

unsafe fn find_function(
    raw: *mut c_void,
    name: *const c_char,
    function: *mut *mut c_void,
) -> Result<(), i32> {
    let (device, _) = context::current()?;
    if function.is_null() {
        return Err(codes::PARAM_INVALID);
    }
    let binary = behind(&process().binaries, "JSON binary", raw, codes::PARAM_INVALID)?;
    // SAFETY: the string is null or the caller's.
    let name = unsafe { text(name) }.ok_or(codes::PARAM_INVALID)?;
    let op = binary.ops.get(&name).filter(|op| op.is_acceptable()).ok_or(codes::PARAM_INVALID)?;
    let found = Function { device, binary: number(raw), op: op.clone() };
    // SAFETY: not null, hence the caller's.
    unsafe { put(function, handle::to_pointer(process().functions.insert(Arc::new(found)))) }
}

unsafe fn launch_cpu(
    function: *mut c_void,
    blocks: u32,
    stream: *mut c_void,
    config: *const sys::rtKernelLaunchCfg_t,
    args: *mut sys::rtCpuKernelArgs_t,
) -> Result<(), i32> {
    let (device, _) = context::current()?;
    if function.is_null() || args.is_null() || blocks == 0 {
        return Err(codes::PARAM_INVALID);
    }
    // SAFETY: not null, hence the caller's struct.
    let base = unsafe { args.read() }.baseArgs;
    if base.args.is_null() || base.argsSize == 0 {
        return Err(codes::PARAM_INVALID);
    }
    // SAFETY: null or the caller's struct.
    let limit = unsafe { task_limit(config) }?;
    let function = behind(&process().functions, "AICPU function", function, codes::INVALID_HANDLE)?;
    let (stream, ..) = own_stream(stream)?;
    if blocks > device.chip.aicpu_cores() {
        let text = format!(
            "{blocks} blocks of {} on {} AICPU cores",
            function.op.function,
            device.chip.aicpu_cores()
        );
        device.report(ViolationKind::TooManyBlocks, text);
    }
    // SAFETY: the caller says that there are so many bytes.
    let args = unsafe { Args::copy(base.args.cast(), base.argsSize as usize) };
    let op = function.op.clone();
    stream.push(&args.bytes(), Box::new(move |task| aicpu::run_function(task, &op, blocks, args, limit)));
    Ok(())
}

/// The limit that the attributes of a launch set, of which there may be one.
unsafe fn task_limit(config: *const sys::rtKernelLaunchCfg_t) -> Result<Option<Duration>, i32> {
    // SAFETY: null or the caller's struct.
    let Some(config) = (unsafe { config.as_ref() }) else { return Ok(None) };
    if config.numAttrs == 0 {
        return Ok(None);
    }
    if config.attrs.is_null() {
        return Err(codes::PARAM_INVALID);
    }
    // SAFETY: the caller says that there are so many attributes.
    let attributes = unsafe { std::slice::from_raw_parts(config.attrs, config.numAttrs) };
    let find = |id| attributes.iter().find(|attribute| attribute.id == id);
    let (seconds, microseconds) =
        (find(sys::RT_LAUNCH_KERNEL_ATTR_TIMEOUT), find(sys::RT_LAUNCH_KERNEL_ATTR_TIMEOUT_US));
    match (seconds, microseconds) {
        (Some(_), Some(_)) => Err(codes::PARAM_INVALID),
        // SAFETY: all fields of the union are integers, and the attribute was written as a whole.
        (Some(seconds), None) => Ok(Some(Duration::from_secs(u64::from(unsafe { seconds.value.timeout })))),
        // SAFETY: as above.
        (None, Some(time)) => Ok(Some(Duration::from_micros(u64::from(unsafe { time.value.rsv }[0])))),
        (None, None) => Ok(None),
    }
}
