//! The C headers say the same as the Rust declarations.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use host_library::{AdditionalFunctions, ContextReport, ErrorKind, Functions, RunInfo, Signature};
use task_interface::{
    ChipCallableHeader, ChipStorageTaskArgs, ContinuousTensor, CoreCallableHeader, DataType, HostApi,
    PtoRunTiming,
};

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include")
}

fn signatures() -> impl Iterator<Item = &'static Signature> {
    Functions::SIGNATURES.iter().chain(AdditionalFunctions::SIGNATURES)
}

/// The C spelling of a Rust type of the API.
fn c_type(rust: &str) -> &'static str {
    match rust {
        "" => "void",
        "*mut c_void" => "void *",
        "*const c_void" => "const void *",
        "*mut c_char" => "char *",
        "*const c_char" => "const char *",
        "*const u8" => "const uint8_t *",
        "*const u32" => "const uint32_t *",
        "*mut u64" => "uint64_t *",
        "*mut usize" => "size_t *",
        "c_int" => "int",
        "i32" => "int32_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "usize" => "size_t",
        "*mut PtoRunTiming" => "PtoRunTiming *",
        "*mut ContextReport" => "struct simpler_rs_report *",
        "*mut RunInfo" => "struct simpler_rs_run *",
        "*const HostApi" => "const struct simpler_host_api *",
        "Option<LogSink>" => "simpler_rs_log_sink",
        other => panic!("no C type is known for {other}"),
    }
}

/// Compiles assertions together with both headers; an assertion that does not hold is shown by the compiler.
fn check_in_c(assertions: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("assertions.c");
    let text = format!(
        "#include \"simpler/host_runtime.h\"\n#include \"simpler/callable.h\"\n{assertions}\nint main(void) {{ return 0; }}\n"
    );
    std::fs::write(&source, text).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let compiled = Command::new(compiler)
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .arg(include())
        .arg(&source)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}

#[test]
fn every_function_has_the_signature_of_the_header() {
    let mut assertions = String::new();
    for Signature { name, arguments, result, .. } in signatures() {
        let arguments: Vec<&str> = arguments.iter().map(|argument| c_type(argument)).collect();
        let arguments = if arguments.is_empty() { "void".to_owned() } else { arguments.join(", ") };
        let result = c_type(result);
        writeln!(
            assertions,
            "_Static_assert(__builtin_types_compatible_p(__typeof__({name}), {result}({arguments})), \"{name}\");"
        )
        .unwrap();
    }
    check_in_c(&assertions);
}

/// Names of the functions that a header declares outside of structures.
fn declared(header: &str) -> BTreeSet<String> {
    let mut code = String::new();
    let mut rest = header;
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").expect("a comment that ends").1;
    }
    code.push_str(rest);
    let lines = code.lines().filter(|line| !line.starts_with('#') && !line.contains("extern \"C\""));
    let code = lines.collect::<Vec<_>>().join(" ");
    let mut depth = 0_i32;
    let outside: String = code
        .chars()
        .filter(|&letter| {
            depth += i32::from(letter == '{') - i32::from(letter == '}');
            depth <= 0
        })
        .collect();
    let functions = outside.split(';').filter(|statement| !statement.contains("typedef"));
    let names = functions.filter_map(|statement| statement.split_once('(').map(|(before, _)| before));
    names.map(|before| before.split([' ', '*']).next_back().unwrap_or(before).to_owned()).collect()
}

#[test]
fn the_header_declares_what_is_exported_and_nothing_else() {
    let header = std::fs::read_to_string(include().join("simpler/host_runtime.h")).unwrap();
    let exported: BTreeSet<String> = signatures().map(|signature| signature.name.to_owned()).collect();
    assert_eq!(declared(&header), exported);
}

macro_rules! layout {
    ($out:ident, $rust:ty as $c:literal, { $($field:ident $(as $c_field:ident)?),* $(,)? }) => {
        writeln!($out, "_Static_assert(sizeof({}) == {}, \"{}\");", $c, size_of::<$rust>(), $c).unwrap();
        $(
            let field = [stringify!($field) $(, stringify!($c_field))?].into_iter().next_back().unwrap();
            writeln!(
                $out,
                "_Static_assert(offsetof({}, {field}) == {}, \"{field}\");", $c, offset_of!($rust, $field)
            )
            .unwrap();
        )*
    };
}

#[test]
fn every_structure_has_the_layout_of_the_header() {
    let mut out = String::new();
    layout!(out, PtoRunTiming as "PtoRunTiming", { host_wall_ns, device_wall_ns });
    layout!(out, ContinuousTensor as "struct simpler_tensor", { data, shapes, ndims, dtype, child_memory });
    layout!(out, ChipStorageTaskArgs as "struct simpler_task_args", { tensors, scalars, tensor_count, scalar_count });
    layout!(out, ChipCallableHeader as "struct simpler_chip_callable", {
        signature, sig_count, binary_size, func_name, func_name_len, child_func_ids, child_offsets, child_count,
        config_name, config_name_len,
    });
    layout!(out, CoreCallableHeader as "struct simpler_core_callable", {
        signature, sig_count, binary_size, resolved_addr,
    });
    layout!(out, ContextReport as "struct simpler_rs_report", {
        struct_size, contexts, allocations, bytes, gm_heap, gm_sm, runtime_arena, callables, kernels, images,
        orchestrations, runs, deferred_errors, device_allocations, device_kernels, threads, abandoned_threads,
        communicators, windows,
    });
    layout!(out, RunInfo as "struct simpler_rs_run", {
        struct_size, host_wall_ns, device_wall_ns, device_ticks, tasks, block_dim,
    });
    layout!(out, HostApi as "struct simpler_host_api", {
        device_malloc, device_free, copy_to_device, copy_from_device, setup_static_arena, acquire_pooled_gm_heap,
        acquire_pooled_gm_sm, acquire_pooled_runtime_arena, upload_chip_callable_buffer,
    });
    check_in_c(&out);
}

/// `InvalidArgument` as `INVALID_ARGUMENT`.
fn shouted(name: &str) -> String {
    let mut shouted = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !shouted.is_empty() {
            shouted.push('_');
        }
        shouted.push(letter.to_ascii_uppercase());
    }
    shouted
}

#[test]
fn every_constant_has_the_value_of_the_header() {
    let mut assertions = String::new();
    let mut check = |name: String, value: i32| {
        writeln!(assertions, "_Static_assert({name} == {value}, \"{name}\");").unwrap();
    };
    for kind in ErrorKind::ALL {
        check(format!("SIMPLER_RS_ERROR_{}", shouted(&format!("{kind:?}"))), kind as i32);
    }
    for dtype in (0..=u8::MAX).filter_map(|number| DataType::try_from(number).ok()) {
        check(format!("SIMPLER_{dtype}"), dtype as i32);
    }
    check_in_c(&assertions);
    let header = std::fs::read_to_string(include().join("simpler/host_runtime.h")).unwrap();
    assert_eq!(header.matches("    SIMPLER_RS_ERROR_").count(), ErrorKind::ALL.len());
}
