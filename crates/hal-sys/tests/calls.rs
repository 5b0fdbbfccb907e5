//! Each call gets its arguments as the C interface wants them, and what it returns gets out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers of the tests' own"
)]

mod fake;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hal_sys::{
    AddrKind, Code, CoreKind, FUNCTIONS, Group, Hal, HalError, IpcKey, Library, RawTable, RootInfo,
};

fn called(line: &str) {
    assert_eq!(fake::calls(), [line]);
}

#[test]
fn devices_and_memory() {
    let hal = fake::hal();
    hal.set_device(3).unwrap();
    called("rtSetDevice 3");
    hal.reset_device(3).unwrap();
    called("rtDeviceReset 3");
    hal.reset_device_force(3).unwrap();
    called("aclrtResetDeviceForce 3");
    assert_eq!(hal.aicpu_count().unwrap(), 6);
    called("rtGetAiCpuCount");
    hal.dlog_set_level(-1, 2, false).unwrap();
    called("dlog_setlevel -1 2 0");

    assert_eq!(hal.malloc(100).unwrap(), 0x1000);
    called("rtMalloc 100 2 0");
    hal.copy_to_device(0x1000, &[1, 2]).unwrap();
    called("rtMemcpy 0x1000 2 [1, 2] 2 1");
    let mut bytes = [0; 3];
    hal.copy_from_device(&mut bytes, 0x1000).unwrap();
    called("rtMemcpy host 3 0x1000 3 2");
    assert_eq!(bytes, [7; 3]);
    hal.free(0x1000).unwrap();
    called("rtFree 0x1000");
    assert_eq!(hal.host_register(0x1000, 64, 1).unwrap(), 0xA000);
    called("halHostRegister 0x1000 64 2 1");
    hal.host_unregister(0x1000, 1).unwrap();
    called("halHostUnregister 0x1000 1");
}

#[test]
fn streams_and_their_limits() {
    let hal = fake::hal();
    let stream = hal.stream_create().unwrap();
    called("rtStreamCreate 0");
    hal.stream_synchronize(&stream).unwrap();
    called("aclrtSynchronizeStream 0x2000");
    for (limit, milliseconds) in [
        (Duration::ZERO, 1),
        (Duration::from_micros(1500), 2),
        (Duration::from_secs(2), 2000),
        (Duration::MAX, i32::MAX),
    ] {
        hal.stream_synchronize_within(&stream, limit).unwrap();
        called(&format!("aclrtSynchronizeStreamWithTimeout 0x2000 {milliseconds}"));
    }
    assert_eq!(hal.set_op_timeout(Duration::from_secs(1)).unwrap(), Duration::from_micros(1_048_576));
    called("aclrtSetOpExecuteTimeOutV2 1000000");
    hal.set_op_timeout(Duration::MAX).unwrap();
    called(&format!("aclrtSetOpExecuteTimeOutV2 {}", u64::MAX));
    assert_eq!(hal.stream_core_limit(&stream, CoreKind::Cube).unwrap(), 24);
    called("aclrtGetStreamResLimit 0x2000 0");
    hal.stream_core_limit(&stream, CoreKind::Vector).unwrap();
    called("aclrtGetStreamResLimit 0x2000 1");
    hal.stream_destroy(stream).unwrap();
    called("rtStreamDestroy 0x2000");
}

#[test]
fn a_kernel_is_launched_in_batch_mode_with_arguments_of_its_own() {
    let hal = fake::hal();
    let stream = hal.stream_create().unwrap();
    let binary = hal.register_kernels(Arc::from([5, 6])).unwrap();
    assert_eq!(binary.bytes(), [5, 6]);
    assert_eq!(fake::calls()[1..], ["rtRegisterAllKernel 0x43554245 0 [5, 6]"]);
    // Nine bytes at an odd address: the call gets an aligned block, and writes to it.
    let source: Vec<u8> = (0..16).collect();
    let odd = usize::from(source.as_ptr().addr().is_multiple_of(2));
    let args = &source[odd..odd + 9];
    let before = args.to_vec();
    hal.launch_kernel(&binary, 0, 24, args, &stream).unwrap();
    called(&format!(
        "rtKernelLaunchWithHandleV2 0x3000 0 24 {before:?} aligned true 0x0 0x2000 rtTaskCfgInfo_t {{ qos: 0, \
         partId: 0, schemMode: 1, d2dCrossFlag: false, blockDimOffset: 0, dumpflag: 0, neverTimeout: 0, rev: [0, 0], \
         localMemorySize: 0 }}"
    ));
    assert_eq!(args, before);
    hal.unregister_kernels(binary).unwrap();
    called("rtDevBinaryUnRegister 0x3000");
}

#[test]
fn the_bytes_of_kernels_live_until_the_runtime_knows_them_no_more() {
    let hal = fake::hal();
    let bytes: Arc<[u8]> = Arc::from([1]);
    let register = || hal.register_kernels(Arc::clone(&bytes));
    drop(register().unwrap());
    assert_eq!(Arc::strong_count(&bytes), 2, "registered, and forgotten");
    hal.unregister_kernels(register().unwrap()).unwrap();
    assert_eq!(Arc::strong_count(&bytes), 2, "unregistered");
    let binary = register().unwrap();
    fake::returns(507_000);
    hal.unregister_kernels(binary).unwrap_err();
    assert_eq!(Arc::strong_count(&bytes), 3, "still registered");
    register().unwrap_err();
    assert_eq!(Arc::strong_count(&bytes), 3, "never registered");
}

#[test]
fn the_bootstrap_names_function_and_library_by_offset() {
    let hal = fake::hal();
    let stream = hal.stream_create().unwrap();
    let mut args = vec![0; 304];
    args[208..212].copy_from_slice(b"Init");
    args[240..245].copy_from_slice(b"ex.so");
    fake::calls();
    hal.launch_aicpu_op(c"AST_DYN_AICPU", 1, &args, 208, 240, &stream).unwrap();
    called(
        "rtAicpuKernelLaunchExWithArgs 5 AST_DYN_AICPU 1 304 bytes Init ex.so 0x0 0x2000 0 rtAicpuArgsEx_t { args: \
         0x0, hostInputInfoPtr: 0x0, kernelOffsetInfoPtr: 0x0, argsSize: 304, hostInputInfoNum: 0, \
         kernelOffsetInfoNum: 0, soNameAddrOffset: 240, kernelNameAddrOffset: 208, isNoNeedH2DCopy: false, timeout: \
         0, reserved: 0 }",
    );
    // Without an end of the string in the arguments the call would read on.
    args[240..].fill(b'x');
    for (kernel, so) in [(208, 240), (304, 208), (208, u32::MAX)] {
        let error = hal.launch_aicpu_op(c"AST_DYN_AICPU", 1, &args, kernel, so, &stream).unwrap_err();
        assert!(matches!(error, HalError::Argument { .. }), "{error}");
        assert_eq!((error.call(), error.code()), ("rtAicpuKernelLaunchExWithArgs", None));
    }
    assert!(fake::calls().is_empty());
}

#[test]
fn an_aicpu_function_is_launched_until_it_is_unloaded() {
    let hal = fake::hal();
    let stream = hal.stream_create().unwrap();
    fake::calls();
    let binary = hal.load_cpu_binary(Path::new("/tmp/a b.json")).unwrap();
    called("rtsBinaryLoadFromFile /tmp/a b.json 1 3 [0, 0, 0, 0]");
    let function = hal.cpu_function(&binary, c"exec_1").unwrap();
    called("rtsFuncGetByName 0x4000 exec_1");
    hal.launch_cpu(&function, 6, &[1, 2, 3], &stream).unwrap();
    called(
        "rtsLaunchCpuKernel 0x5000 6 0x2000 0x0 0 [1, 2, 3] rtCpuKernelArgs_t { baseArgs: rtAicpuArgsEx_t { args: 0x0, \
         hostInputInfoPtr: 0x0, kernelOffsetInfoPtr: 0x0, argsSize: 3, hostInputInfoNum: 0, kernelOffsetInfoNum: 0, \
         soNameAddrOffset: 0, kernelNameAddrOffset: 0, isNoNeedH2DCopy: false, timeout: 0, reserved: 0 }, \
         cpuParamHeadOffset: 0, rsv: [0, 0, 0, 0] }",
    );
    hal.unload_cpu_binary(binary).unwrap();
    called("rtsBinaryUnload 0x4000");
    let error = hal.launch_cpu(&function, 6, &[1], &stream).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rtsLaunchCpuKernel was not called: the binary of the function is unloaded"
    );
    let error = hal.load_cpu_binary(Path::new("a\0b")).unwrap_err();
    assert!(matches!(error, HalError::Argument { .. }), "{error}");
    assert!(fake::calls().is_empty());
}

#[test]
fn registers_of_both_chips() {
    let hal = fake::hal();
    assert_eq!(hal.map_registers(AddrKind::AicCtrl, 4).unwrap(), (0xB000, 0x800_0000));
    called("halMemCtl 0 AddrMapInPara { addr_type: 2, devid: 4 } 8 0x0");
    hal.map_registers(AddrKind::AicPmu, 4).unwrap();
    called("halMemCtl 0 AddrMapInPara { addr_type: 3, devid: 4 } 8 0x0");
    assert_eq!(hal.core_bitmap(4).unwrap(), 0x1FF_FFFF);
    called("halGetDeviceInfoByBuff 4 4 8 16");
    assert_eq!(hal.map_core(4, 17).unwrap(), (0xC000, 0x30_0000));
    called(
        "halResMap 4 res_map_info { target_proc_type: 0, res_type: 0, res_id: 17, flag: 0, rsv: [0] } 0x300000",
    );
    assert_eq!(hal.c2c_ctrl_addr().unwrap(), 0x6000);
    called("rtGetC2cCtrlAddr");
}

#[test]
fn acl_of_its_own() {
    let hal = fake::hal();
    hal.acl_init().unwrap();
    called("aclInit 0x0");
    hal.acl_set_device(2).unwrap();
    called("aclrtSetDevice 2");
    assert_eq!(hal.acl_get_device().unwrap(), 5);
    called("aclrtGetDevice");
    assert_eq!(hal.acl_malloc(160).unwrap(), 0x7000);
    called("aclrtMalloc 160 0");
    hal.acl_copy_to_device(0x7000, &[9]).unwrap();
    called("aclrtMemcpy 0x7000 1 [9] 1 1");
    hal.acl_memset(0x7000, 255, 160).unwrap();
    called("aclrtMemset 0x7000 160 255 160");
    hal.acl_free(0x7000).unwrap();
    called("aclrtFree 0x7000");
    let stream = hal.acl_stream_create().unwrap();
    called("aclrtCreateStream");
    hal.acl_stream_destroy(stream).unwrap();
    called("aclrtDestroyStream 0x8000");
    hal.acl_reset_device(2).unwrap();
    called("aclrtResetDevice 2");
    hal.acl_finalize().unwrap();
    called("aclFinalize");
}

#[test]
fn memory_is_shared_by_key() {
    let hal = fake::hal();
    let key = hal.ipc_export(0x7000, 160).unwrap();
    called("aclrtIpcMemGetExportKey 0x7000 160 65 0");
    assert_eq!(key.as_bytes()[64], 0, "a key ends, whatever the call writes");
    let name = "k".repeat(64);
    assert_eq!(IpcKey::from_bytes([b'k'; 65]), key);
    hal.ipc_allow(&key, &[11, 12]).unwrap();
    called(&format!("aclrtIpcMemSetImportPid {name} [11, 12]"));
    assert_eq!(hal.ipc_import(&key).unwrap(), 0x9000);
    called(&format!("aclrtIpcMemImportByKey {name} 0"));
    hal.ipc_close(&key).unwrap();
    called(&format!("aclrtIpcMemClose {name}"));
    hal.enable_peer_access(1).unwrap();
    called("aclrtDeviceEnablePeerAccess 1 0");
    assert!(hal.peer_access(0, 1).unwrap());
    called("aclrtDevicePeerAccessStatus 0 1");
    fake::makes_nothing(true);
    assert!(!hal.peer_access(0, 1).unwrap());
}

#[test]
fn ranks_meet() {
    let hal = fake::hal();
    let stream = hal.stream_create().unwrap();
    fake::calls();
    let info = hal.hccl_root_info().unwrap();
    called("HcclGetRootInfo");
    let bytes: [u8; 4108] = info.to_bytes().try_into().unwrap();
    assert_eq!(bytes[4106..], [0, 3]);
    let communicator = hal.hccl_init(2, &RootInfo::from_bytes(&bytes), 1).unwrap();
    called("HcclCommInitRootInfo 2 3 1");
    hal.hccl_barrier(&communicator, &stream).unwrap();
    called("HcclBarrier 0xd000 0x2000");
    hal.hccl_destroy(communicator).unwrap();
    called("HcclCommDestroy 0xd000");
}

type Wrapper = (&'static str, Box<dyn FnOnce(&Hal) -> Result<(), HalError>>);

/// Each wrapper with the function it calls, with handles that were made before.
fn wrappers(hal: &Hal) -> Vec<Wrapper> {
    let stream = || hal.stream_create().unwrap();
    let binary = || hal.register_kernels(Arc::from([1])).unwrap();
    let cpu = || hal.load_cpu_binary(Path::new("x")).unwrap();
    let comm = || hal.hccl_init(1, &hal.hccl_root_info().unwrap(), 0).unwrap();
    let key = || IpcKey::from_bytes([0; 65]);
    let (on, launched, limited, waited, synced, barred) =
        (stream(), stream(), stream(), stream(), stream(), stream());
    let (ended, ended_by_acl, bootstrapped) = (stream(), stream(), stream());
    let (kernels, unregistered, description, unloaded) = (binary(), binary(), cpu(), cpu());
    let function = hal.cpu_function(&cpu(), c"f").unwrap();
    let (info, communicator, destroyed) = (hal.hccl_root_info().unwrap(), comm(), comm());
    macro_rules! wrapper {
        ($name:literal, $hal:ident => $call:expr) => {
            (
                $name,
                Box::new(move |$hal: &Hal| $call.map(|_| ()))
                    as Box<dyn FnOnce(&Hal) -> Result<(), HalError>>,
            )
        };
    }
    vec![
        wrapper!("rtSetDevice", hal => hal.set_device(0)),
        wrapper!("rtDeviceReset", hal => hal.reset_device(0)),
        wrapper!("rtMalloc", hal => hal.malloc(1)),
        wrapper!("rtFree", hal => hal.free(1)),
        wrapper!("rtMemcpy", hal => hal.copy_to_device(1, &[1])),
        wrapper!("rtMemcpy", hal => hal.copy_from_device(&mut [1], 1)),
        wrapper!("rtStreamCreate", hal => hal.stream_create()),
        wrapper!("rtStreamDestroy", hal => hal.stream_destroy(ended)),
        wrapper!("rtRegisterAllKernel", hal => hal.register_kernels(Arc::from([1]))),
        wrapper!("rtDevBinaryUnRegister", hal => hal.unregister_kernels(unregistered)),
        wrapper!("rtKernelLaunchWithHandleV2", hal => hal.launch_kernel(&kernels, 0, 1, &[1], &launched)),
        wrapper!("rtAicpuKernelLaunchExWithArgs", hal => hal.launch_aicpu_op(c"", 1, &[0], 0, 0, &bootstrapped)),
        wrapper!("rtsBinaryLoadFromFile", hal => hal.load_cpu_binary(Path::new("x"))),
        wrapper!("rtsFuncGetByName", hal => hal.cpu_function(&description, c"f")),
        wrapper!("rtsLaunchCpuKernel", hal => hal.launch_cpu(&function, 1, &[1], &on)),
        wrapper!("rtsBinaryUnload", hal => hal.unload_cpu_binary(unloaded)),
        wrapper!("rtGetC2cCtrlAddr", hal => hal.c2c_ctrl_addr()),
        wrapper!("rtGetAiCpuCount", hal => hal.aicpu_count()),
        wrapper!("aclInit", hal => hal.acl_init()),
        wrapper!("aclFinalize", hal => hal.acl_finalize()),
        wrapper!("aclrtSetDevice", hal => hal.acl_set_device(0)),
        wrapper!("aclrtResetDevice", hal => hal.acl_reset_device(0)),
        wrapper!("aclrtResetDeviceForce", hal => hal.reset_device_force(0)),
        wrapper!("aclrtGetDevice", hal => hal.acl_get_device()),
        wrapper!("aclrtMalloc", hal => hal.acl_malloc(1)),
        wrapper!("aclrtFree", hal => hal.acl_free(1)),
        wrapper!("aclrtMemcpy", hal => hal.acl_copy_to_device(1, &[1])),
        wrapper!("aclrtMemset", hal => hal.acl_memset(1, 0, 1)),
        wrapper!("aclrtCreateStream", hal => hal.acl_stream_create()),
        wrapper!("aclrtDestroyStream", hal => hal.acl_stream_destroy(ended_by_acl)),
        wrapper!("aclrtSynchronizeStream", hal => hal.stream_synchronize(&synced)),
        wrapper!("aclrtSynchronizeStreamWithTimeout", hal => hal.stream_synchronize_within(&waited, Duration::ZERO)),
        wrapper!("aclrtSetOpExecuteTimeOutV2", hal => hal.set_op_timeout(Duration::ZERO)),
        wrapper!("aclrtGetStreamResLimit", hal => hal.stream_core_limit(&limited, CoreKind::Cube)),
        wrapper!("aclrtIpcMemGetExportKey", hal => hal.ipc_export(1, 1)),
        wrapper!("aclrtIpcMemSetImportPid", hal => hal.ipc_allow(&key(), &[])),
        wrapper!("aclrtIpcMemImportByKey", hal => hal.ipc_import(&key())),
        wrapper!("aclrtIpcMemClose", hal => hal.ipc_close(&key())),
        wrapper!("aclrtDeviceEnablePeerAccess", hal => hal.enable_peer_access(1)),
        wrapper!("aclrtDevicePeerAccessStatus", hal => hal.peer_access(0, 1)),
        wrapper!("halHostRegister", hal => hal.host_register(1, 1, 0)),
        wrapper!("halHostUnregister", hal => hal.host_unregister(1, 0)),
        wrapper!("halGetDeviceInfoByBuff", hal => hal.core_bitmap(0)),
        wrapper!("halMemCtl", hal => hal.map_registers(AddrKind::AicCtrl, 0)),
        wrapper!("halResMap", hal => hal.map_core(0, 0)),
        wrapper!("HcclGetRootInfo", hal => hal.hccl_root_info()),
        wrapper!("HcclCommInitRootInfo", hal => hal.hccl_init(1, &info, 0)),
        wrapper!("HcclBarrier", hal => hal.hccl_barrier(&communicator, &barred)),
        wrapper!("HcclCommDestroy", hal => hal.hccl_destroy(destroyed)),
        wrapper!("dlog_setlevel", hal => hal.dlog_set_level(-1, 0, true)),
    ]
}

#[test]
fn each_function_has_a_wrapper() {
    let wrapped: Vec<_> = wrappers(&fake::hal()).into_iter().map(|(name, _)| name).collect();
    for function in FUNCTIONS {
        let on_the_host = function.group != Group::DeviceSide;
        assert_eq!(wrapped.contains(&function.name), on_the_host, "{}", function.name);
    }
}

#[test]
fn each_failure_names_its_call_and_code() {
    let hal = fake::hal();
    let wrappers = wrappers(&hal);
    fake::returns(17);
    for (name, wrapper) in wrappers {
        let library = FUNCTIONS.iter().find(|function| function.name == name).unwrap().library;
        let code = match library {
            Library::Hal => Code::driver(17),
            Library::Hcomm => Code::hccl(17),
            _ => Code::acl(17),
        };
        assert_eq!(wrapper(&hal).unwrap_err(), HalError::Call { call: name, code });
    }
}

#[test]
fn each_function_may_be_missing() {
    let wrappers = wrappers(&fake::hal());
    // SAFETY: there is no function that could do anything.
    let hal = unsafe { Hal::from_raw_table(RawTable::default()) };
    fake::calls();
    for (name, wrapper) in wrappers {
        let library = FUNCTIONS.iter().find(|function| function.name == name).unwrap().library;
        let error = wrapper(&hal).unwrap_err();
        assert_eq!(error, HalError::Missing { call: name, library });
        assert!(error.to_string().contains(library.candidates()[0]), "{error}");
    }
    assert!(fake::calls().is_empty());
}

#[test]
fn a_success_without_a_result_is_an_error() {
    let hal = fake::hal();
    let wrappers = wrappers(&hal);
    fake::makes_nothing(true);
    let empty: Vec<_> = wrappers
        .into_iter()
        .filter_map(|(name, wrapper)| (wrapper(&hal) == Err(HalError::Empty { call: name })).then_some(name))
        .collect();
    let making = [
        "rtMalloc",
        "rtStreamCreate",
        "rtRegisterAllKernel",
        "rtsBinaryLoadFromFile",
        "rtsFuncGetByName",
        "rtGetC2cCtrlAddr",
        "aclrtMalloc",
        "aclrtCreateStream",
        "aclrtIpcMemImportByKey",
        "halHostRegister",
        "halMemCtl",
        "halResMap",
        "HcclCommInitRootInfo",
    ];
    assert_eq!(empty, making);
    let text = HalError::Empty { call: "rtMalloc" }.to_string();
    assert!(text.contains("devlib"), "{text}");
}
