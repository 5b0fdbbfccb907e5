//! The report, for people and for programs.

use std::fmt::Write as _;

use anyhow::Result;
use hal_sys::{Attempt, Group, Library};
use serde_json::{Value, json};

use super::facts::{Compiler, Facts, Installed, PtoIsa};
use super::verdict::{Finding, Verdict};

pub fn text(facts: &Facts, verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    for (name, value) in rows(facts) {
        let _ = writeln!(out, "{name:<12} {value}");
    }
    for Verdict { target, missing, limits } in verdicts {
        let usable = if missing.is_empty() { "usable" } else { "not usable" };
        let _ = writeln!(out, "\n{}: {usable}", target.name);
        for (kind, findings) in [("missing", missing), ("limit", limits)] {
            for Finding { what, action } in findings {
                let _ = writeln!(out, "  {kind}: {what}\n    -> {action}");
            }
        }
    }
    out
}

/// What there is, a line each.
fn rows(facts: &Facts) -> Vec<(&'static str, String)> {
    let memory = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), gibibytes);
    let machine = &facts.machine;
    let (total, free) = (memory(machine.memory), memory(machine.free_memory));
    let mut rows = vec![(
        "machine",
        format!("{}, CPUs: {}, memory: {total}, of which free: {free}", std::env::consts::ARCH, machine.cpus),
    )];
    let kernels =
        facts.kernel_compiler.as_ref().map_or_else(|reason| format!("none: {reason}"), Clone::clone);
    rows.push(("kernels", kernels));
    rows.extend(facts.compilers.iter().map(|Compiler { name, version, bfloat16 }| {
        ("compiler", format!("{name}: {version}{}", if *bfloat16 { ", with std::bfloat16_t" } else { "" }))
    }));
    let pto_isa = match &facts.pto_isa {
        PtoIsa::NotSet => "none: PTO_ISA_ROOT is not set".to_owned(),
        PtoIsa::Wrong(root) => format!("none: {} has no include/pto", root.display()),
        PtoIsa::Found(root) => root.display().to_string(),
    };
    rows.push(("PTO-ISA", pto_isa));
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string())
    };
    rows.push(("toolkit", installed(facts.toolkit.as_ref())));
    rows.push(("ccec", path(&facts.ccec)));
    rows.push(("AICPU g++", path(&facts.aicpu_compiler)));
    rows.push(("driver", installed(facts.driver.as_ref())));
    if facts.devices.is_empty() {
        rows.push(("device", "none".to_owned()));
    }
    rows.extend(facts.devices.iter().map(|device| {
        let open = if device.open { "" } else { ", which this user may not open" };
        ("device", format!("{}{open}", device.path.display()))
    }));
    for library in Library::ALL {
        rows.extend(library_rows(facts, library).into_iter().map(|row| ("library", row)));
    }
    rows
}

/// Where a library is, or each place where it is not.
fn library_rows(facts: &Facts, library: Library) -> Vec<String> {
    let of = |attempt: &&Attempt| attempt.library == library;
    let attempts = || facts.libraries.attempts.iter().filter(of);
    let loaded: Vec<_> = attempts()
        .filter(|attempt| attempt.error.is_none())
        .map(|attempt| attempt.path.display().to_string())
        .collect();
    if loaded.is_empty() {
        // What is simply not there needs no line for each place.
        let absent = |error: &String| error.contains("No such file");
        let mut rows = vec![format!("{library}: not found")];
        rows.extend(
            attempts().filter_map(|attempt| attempt.error.as_ref()).filter(|error| !absent(error)).cloned(),
        );
        return rows;
    }
    let lacks: Vec<_> = Group::ALL
        .into_iter()
        .filter(|&group| group != Group::DeviceSide)
        .flat_map(|group| facts.libraries.missing(group))
        .filter(|function| function.library == library)
        .map(|function| function.name)
        .collect();
    let lacks = if lacks.is_empty() { String::new() } else { format!(", lacks {}", lacks.join(", ")) };
    vec![format!("{}{lacks}", loaded.join(" and "))]
}

fn installed(what: Option<&Installed>) -> String {
    what.map_or_else(
        || "none".to_owned(),
        |Installed { path, version }| {
            let version = version.as_deref().unwrap_or("of an unknown version");
            format!("{} ({version})", path.display())
        },
    )
}

fn gibibytes(bytes: u64) -> String {
    let tenths = bytes / (1 << 30) * 10 + bytes % (1 << 30) * 10 / (1 << 30);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

pub fn json(facts: &Facts, verdicts: &[Verdict]) -> Result<String> {
    let Facts { machine, compilers, pto_isa, toolkit, ccec, aicpu_compiler, driver, devices, .. } = facts;
    let pto_isa = match pto_isa {
        PtoIsa::Found(root) => Some(root),
        PtoIsa::NotSet | PtoIsa::Wrong(_) => None,
    };
    let libraries: Vec<_> = Library::ALL.into_iter().map(|library| library_json(facts, library)).collect();
    let report = json!({
        "machine": {
            "arch": std::env::consts::ARCH,
            "cpus": machine.cpus,
            "memory_bytes": machine.memory,
            "free_memory_bytes": machine.free_memory,
        },
        "kernel_compiler": facts.kernel_compiler.as_ref().ok(),
        "compilers": compilers.iter().map(|Compiler { name, version, bfloat16 }| {
            json!({ "name": name, "version": version, "bfloat16": bfloat16 })
        }).collect::<Vec<_>>(),
        "pto_isa": pto_isa,
        "toolkit": toolkit.as_ref().map(installed_json),
        "ccec": ccec,
        "aicpu_compiler": aicpu_compiler,
        "driver": driver.as_ref().map(installed_json),
        "devices": devices.iter().map(|device| {
            json!({ "path": device.path, "open": device.open })
        }).collect::<Vec<_>>(),
        "libraries": libraries,
        "platforms": verdicts.iter().map(verdict_json).collect::<Vec<_>>(),
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&report)?))
}

fn installed_json(Installed { path, version }: &Installed) -> Value {
    json!({ "path": path, "version": version })
}

fn library_json(facts: &Facts, library: Library) -> Value {
    let missing = Group::ALL.into_iter().flat_map(|group| facts.libraries.missing(group));
    let missing = missing.filter(|function| function.library == library).map(|function| function.name);
    let attempts = facts.libraries.attempts.iter().filter(|attempt| attempt.library == library);
    json!({
        "names": library.candidates(),
        "missing": missing.collect::<Vec<_>>(),
        "attempts": attempts.map(|Attempt { path, error, .. }| {
            json!({ "path": path, "error": error })
        }).collect::<Vec<_>>(),
    })
}

fn verdict_json(Verdict { target, missing, limits }: &Verdict) -> Value {
    let findings = |findings: &[Finding]| {
        findings
            .iter()
            .map(|Finding { what, action }| json!({ "what": what, "action": action }))
            .collect::<Vec<_>>()
    };
    json!({
        "name": target.name,
        "usable": missing.is_empty(),
        "missing": findings(missing),
        "limits": findings(limits),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shown_in_tenths() {
        assert_eq!(gibibytes(0), "0.0 GiB");
        assert_eq!(gibibytes(3 << 29), "1.5 GiB");
        assert_eq!(gibibytes(u64::MAX), "17179869183.9 GiB");
    }
}
