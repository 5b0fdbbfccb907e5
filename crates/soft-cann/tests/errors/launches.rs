//! Binaries and launches.

use std::ffi::{CString, c_char};
use std::ptr::{null, null_mut};

use hal_sys::sys;
use soft_cann::{Chip, Rule};

use super::common::{self, Life, aicore, write_json};
use super::{Checker, raw_stream, wild};

pub(super) fn aicore_launches(checker: &mut Checker) {
    let life = Life::start(Chip::A2a3);
    let stream = raw_stream(checker);
    let object = aicore();
    let good = sys::rtDevBinary_t {
        magic: sys::RT_DEV_BINARY_MAGIC_ELF,
        version: 0,
        data: object.as_ptr().cast(),
        length: object.len() as u64,
    };
    let mut handle = null_mut();
    let plain = sys::rtDevBinary_t { magic: sys::RT_DEV_BINARY_MAGIC_PLAIN, ..good };
    let empty = sys::rtDevBinary_t { length: 0, ..good };
    let none = sys::rtDevBinary_t { data: null(), ..good };
    let cut = sys::rtDevBinary_t { length: 100, ..good };
    let inner = common::aicpu();
    let no_kernels = sys::rtDevBinary_t { data: inner.as_ptr().cast(), length: inner.len() as u64, ..good };
    for (why, binary) in
        [("magic", plain), ("empty", empty), ("null", none), ("cut", cut), ("no kernels", no_kernels)]
    {
        returns!(checker, 107_000, rtRegisterAllKernel(&raw const binary, &raw mut handle), why);
    }
    returns!(checker, 107_000, rtRegisterAllKernel(null(), &raw mut handle), "null");
    returns!(checker, 107_000, rtRegisterAllKernel(&raw const good, null_mut()), "null");
    returns!(checker, 0, rtRegisterAllKernel(&raw const good, &raw mut handle), "good");

    let meeting = life.bytes(&[0; 16 + 128 * 16 + 128 * 8]);
    let mut block = meeting;
    let good = sys::rtArgsEx_t { args: (&raw mut block).cast(), argsSize: 8, ..Default::default() };
    let batch = sys::rtTaskCfgInfo_t { schemMode: 1, ..Default::default() };
    let end = sys::rtTaskCfgInfo_t { schemMode: 2, ..Default::default() };
    let no_args = sys::rtArgsEx_t { args: null_mut(), ..good };
    let no_size = sys::rtArgsEx_t { argsSize: 0, ..good };
    let other = Life::start(Chip::A2a3);
    let foreign = raw_stream(checker);
    life.hal.set_device(life.device.id()).unwrap();
    for (why, code, handle, key, blocks, mut args, stream, config) in [
        ("null handle", 507_000, null_mut(), 0, 1, good, stream, batch),
        ("stale handle", 507_000, stream, 0, 1, good, stream, batch),
        ("no such key", 507_000, handle, 1, 1, good, stream, batch),
        ("no blocks", 107_000, handle, 0, 0, good, stream, batch),
        ("too many blocks", 107_000, handle, 0, 25, good, stream, batch),
        ("no arguments", 107_000, handle, 0, 1, no_args, stream, batch),
        ("no size", 107_000, handle, 0, 1, no_size, stream, batch),
        ("mode", 107_000, handle, 0, 1, good, stream, end),
        ("foreign stream", 107_003, handle, 0, 1, good, foreign, batch),
        ("no stream", 107_003, handle, 0, 1, good, null_mut(), batch),
    ] {
        let (args, config) = (&raw mut args, &raw const config);
        returns!(
            checker,
            code,
            rtKernelLaunchWithHandleV2(handle, key, blocks, args, null_mut(), stream, config),
            why
        );
    }
    let no = null_mut();
    returns!(
        checker,
        107_000,
        rtKernelLaunchWithHandleV2(handle, 0, 1, no, no.cast(), stream, null()),
        "null"
    );
    returns!(checker, 0, rtDevBinaryUnRegister(handle), "good");
    returns!(checker, 107_017, rtDevBinaryUnRegister(handle), "twice");
    drop(other);
}

pub(super) fn built_in_launches(checker: &mut Checker) {
    let _life = Life::start(Chip::A2a3);
    let stream = raw_stream(checker);
    let mut block = [0_u64; 38];
    let good = sys::rtAicpuArgsEx_t {
        args: block.as_mut_ptr().cast(),
        argsSize: 304,
        kernelNameAddrOffset: 208,
        soNameAddrOffset: 240,
        ..Default::default()
    };
    let no_args = sys::rtAicpuArgsEx_t { args: null_mut(), ..good };
    let no_size = sys::rtAicpuArgsEx_t { argsSize: 0, ..good };
    let far = sys::rtAicpuArgsEx_t { soNameAddrOffset: 305, ..good };
    let op = c"AST_DYN_AICPU".as_ptr();
    for (why, code, kind, op, blocks, args, stream) in [
        ("kind 0", 107_000, 0, op, 1, good, stream),
        ("kind 3", 107_000, 3, op, 1, good, stream),
        ("kind 6", 107_000, 6, op, 1, good, stream),
        ("no name", 107_000, 5, null(), 1, good, stream),
        ("no blocks", 107_000, 5, op, 0, good, stream),
        ("too many blocks", 107_000, 5, op, 1 << 16, good, stream),
        ("no arguments", 107_000, 5, op, 1, no_args, stream),
        ("no size", 107_000, 5, op, 1, no_size, stream),
        ("a name outside", 107_000, 5, op, 1, far, stream),
        ("no stream", 107_003, 5, op, 1, good, null_mut()),
        ("not there, which is seen later", 0, 5, op, 1, good, stream),
    ] {
        let args = &raw const args;
        returns!(
            checker,
            code,
            rtAicpuKernelLaunchExWithArgs(kind, op, blocks, args, null_mut(), stream, 0),
            why
        );
    }
    returns!(
        checker,
        107_000,
        rtAicpuKernelLaunchExWithArgs(5, op, 1, null(), null_mut(), stream, 0),
        "null"
    );
    returns!(checker, 507_018, aclrtSynchronizeStream(stream), "no such built-in operator");
}

pub(super) fn json_binaries(checker: &mut Checker) {
    let _life = Life::start(Chip::A2a3);
    let scratch = tempfile::tempdir().unwrap();
    let c_path = |path: &std::path::Path| CString::new(path.to_str().unwrap()).unwrap();
    let path = c_path(&write_json(scratch.path(), "inner_0.so", &[c"gather"]));
    let broken = scratch.path().join("broken.json");
    std::fs::write(&broken, "{").unwrap();
    let (broken, absent) = (c_path(&broken), c_path(&scratch.path().join("absent.json")));
    let option = |id: u32, mode: i32| sys::rtLoadBinaryOption_t {
        optionId: id,
        value: sys::rtLoadBinaryOptionValue_t { cpuKernelMode: mode },
    };
    let mut json = option(sys::RT_LOAD_BINARY_OPT_CPU_KERNEL_MODE, 0);
    let mut upload = option(sys::RT_LOAD_BINARY_OPT_CPU_KERNEL_MODE, 1);
    let good = sys::rtLoadBinaryConfig_t { options: &raw mut json, numOpt: 1 };
    let other = sys::rtLoadBinaryConfig_t { options: &raw mut upload, numOpt: 1 };
    let none = sys::rtLoadBinaryConfig_t { options: null_mut(), numOpt: 1 };
    let mut handle = null_mut();
    for (why, code, path, config, handle) in [
        ("no path", 107_000, null(), &raw const good, &raw mut handle),
        ("no config", 107_000, path.as_ptr(), null(), &raw mut handle),
        ("no handle", 107_000, path.as_ptr(), &raw const good, null_mut()),
        ("no options", 107_000, path.as_ptr(), &raw const none, &raw mut handle),
        ("another mode", 207_000, path.as_ptr(), &raw const other, &raw mut handle),
        ("no file", 107_000, absent.as_ptr(), &raw const good, &raw mut handle),
        ("a broken file", 107_000, broken.as_ptr(), &raw const good, &raw mut handle),
        ("good", 0, path.as_ptr(), &raw const good, &raw mut handle),
    ] {
        returns!(checker, code, rtsBinaryLoadFromFile(path, config, handle), why);
    }
    let mut function = null_mut();
    let name: *const c_char = c"gather".as_ptr();
    returns!(checker, 107_000, rtsFuncGetByName(handle, null(), &raw mut function), "no name");
    returns!(checker, 107_000, rtsFuncGetByName(handle, name, null_mut()), "null");
    returns!(
        checker,
        107_000,
        rtsFuncGetByName(handle, c"other".as_ptr(), &raw mut function),
        "no such function"
    );
    returns!(checker, 107_000, rtsFuncGetByName(wild(), name, &raw mut function), "never was a binary");
    returns!(checker, 0, rtsBinaryUnload(handle), "good");
    returns!(checker, 107_000, rtsBinaryUnload(handle), "twice");
    returns!(checker, 107_000, rtsFuncGetByName(handle, name, &raw mut function), "unloaded");
    let path = c_path(&write_json(scratch.path(), "a name.so", &[c"gather"]));
    returns!(checker, 0, rtsBinaryLoadFromFile(path.as_ptr(), &raw const good, &raw mut handle), "good");
    returns!(
        checker,
        107_000,
        rtsFuncGetByName(handle, name, &raw mut function),
        "a name that no device takes"
    );
}

pub(super) fn cpu_launches(checker: &mut Checker) {
    let life = Life::start(Chip::A2a3);
    let stream = raw_stream(checker);
    let (binary, _) = life.aicpu(&[c"gather"]);
    let scratch = tempfile::tempdir().unwrap();
    let json = write_json(scratch.path(), &format!("inner_{}.so", life.device.id()), &[c"gather"]);
    let json = CString::new(json.to_str().unwrap()).unwrap();
    let mut option = sys::rtLoadBinaryOption_t { optionId: 3, ..Default::default() };
    let config = sys::rtLoadBinaryConfig_t { options: &raw mut option, numOpt: 1 };
    let (mut handle, mut function) = (null_mut(), null_mut());
    returns!(checker, 0, rtsBinaryLoadFromFile(json.as_ptr(), &raw const config, &raw mut handle), "good");
    returns!(checker, 0, rtsFuncGetByName(handle, c"gather".as_ptr(), &raw mut function), "good");
    let mut block = [life.words(&[0, 1, 0, 0])];
    let mut good = sys::rtCpuKernelArgs_t::default();
    good.baseArgs.args = block.as_mut_ptr().cast();
    good.baseArgs.argsSize = 8;
    let (mut no_args, mut no_size) = (good, good);
    no_args.baseArgs.args = null_mut();
    no_size.baseArgs.argsSize = 0;
    let attribute =
        |id| sys::rtLaunchKernelAttr_t { id, value: sys::rtLaunchKernelAttrVal_t { rsv: [5000, 0, 0, 0] } };
    let mut attributes = [attribute(7), attribute(8)];
    let one = sys::rtKernelLaunchCfg_t { attrs: attributes.as_mut_ptr(), numAttrs: 1 };
    let both = sys::rtKernelLaunchCfg_t { attrs: attributes.as_mut_ptr(), numAttrs: 2 };
    let lost = sys::rtKernelLaunchCfg_t { attrs: null_mut(), numAttrs: 1 };
    let other = Life::start(Chip::A2a3);
    let foreign = raw_stream(checker);
    life.hal.set_device(life.device.id()).unwrap();
    for (why, code, function, blocks, stream, config, mut args) in [
        ("no function", 107_000, null_mut(), 1, stream, one, good),
        ("no blocks", 107_000, function, 0, stream, one, good),
        ("no arguments", 107_000, function, 1, stream, one, no_args),
        ("no size", 107_000, function, 1, stream, one, no_size),
        ("two timeouts", 107_000, function, 1, stream, both, good),
        ("no attributes", 107_000, function, 1, stream, lost, good),
        ("never was a function", 107_017, wild(), 1, stream, one, good),
        ("a foreign stream", 107_003, function, 1, foreign, one, good),
        ("good", 0, function, 1, stream, one, good),
    ] {
        returns!(
            checker,
            code,
            rtsLaunchCpuKernel(function, blocks, stream, &raw const config, &raw mut args),
            why
        );
    }
    returns!(checker, 107_000, rtsLaunchCpuKernel(function, 1, stream, null(), null_mut()), "null");
    returns!(checker, 0, aclrtSynchronizeStream(stream), "good");
    life.device.inject(Rule::aicpu_hang("gather"));
    let short = sys::rtKernelLaunchCfg_t { attrs: &raw mut attributes[1], numAttrs: 1 };
    returns!(checker, 0, rtsLaunchCpuKernel(function, 1, stream, &raw const short, &raw mut good), "good");
    returns!(checker, 507_017, aclrtSynchronizeStream(stream), "a task with a limit of its own");
    returns!(checker, 0, rtsBinaryUnload(handle), "good");
    returns!(checker, 107_017, rtsLaunchCpuKernel(function, 1, stream, null(), &raw mut good), "unloaded");
    life.hal.unload_cpu_binary(binary).unwrap();
    drop(other);
}
