//! `cargo xtask report` as its users see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use run_report::testing::Sample;
use tempfile::TempDir;

struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn report(args: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("report").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn sample() -> (TempDir, String) {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("a <run>");
    Sample::new(5, 40).write(&directory).unwrap();
    let name = directory.to_str().unwrap().to_owned();
    (scratch, name)
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_page_and_a_trace_are_made_beside_the_files() {
    let (_scratch, directory) = sample();
    let ended = report(&[&directory]);
    assert_eq!((ended.code, &*ended.err), (0, ""));
    assert_eq!(ended.out, format!("{directory}/report.html\n{directory}/trace.json\n"));
    let page = fs::read_to_string(format!("{directory}/report.html")).unwrap();
    assert!(page.contains("<h1>a &lt;run></h1>") && page.contains("func_0"));
}

#[test]
fn the_page_goes_where_it_is_wanted_with_the_names_that_are_given() {
    let (scratch, directory) = sample();
    let names = scratch.path().join("names.json");
    fs::write(&names, r#"{"callable_id_to_name": {"0": "the </script> kernel"}}"#).unwrap();
    let page = scratch.path().join("new/page.html");
    let names_of = names.to_str().unwrap();
    let args =
        [&*directory, "--out", page.to_str().unwrap(), "--func-names", names_of, "--title", "a run & more"];
    let ended = report(&args);
    assert_eq!((ended.code, &*ended.err), (0, ""));
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("the \\u003c/script> kernel") && !text.contains("func_0\""));
    assert!(text.contains("<h1>a run &amp; more</h1>"));
    assert!(scratch.path().join("new/trace.json").exists());
    // A map among the files is taken without being named.
    fs::copy(&names, format!("{directory}/name_map_1.json")).unwrap();
    report(&[&directory]);
    assert!(
        fs::read_to_string(format!("{directory}/report.html"))
            .unwrap()
            .contains("the \\u003c/script> kernel")
    );
}

#[test]
fn a_clean_run_passes_the_check() {
    let (_scratch, directory) = sample();
    let ended = report(&[&directory, "--check"]);
    assert_eq!((ended.code, &*ended.err), (0, ""), "{}", ended.out);
    assert!(
        ended.out.ends_with(" 80 dumped tensors: all is well\n")
            || ended.out.contains("dumped tensors: all is well")
    );
    assert!(!Path::new(&format!("{directory}/report.html")).exists());
}

#[test]
fn tasks_that_may_have_no_kernel_are_no_findings_but_are_told() {
    let (_scratch, directory) = sample();
    fs::remove_file(format!("{directory}/run.json")).unwrap();
    let ended = report(&[&directory, "--check"]);
    assert_eq!((ended.code, &*ended.err), (0, ""), "{}", ended.out);
    assert!(ended.out.contains("all is well\n"), "{}", ended.out);
    assert!(
        ended.out.ends_with(" tasks have no record; nothing tells whether they have a kernel (run.json)\n"),
        "{}",
        ended.out
    );
}

#[test]
fn what_is_wrong_is_told_and_ends_with_1() {
    let (_scratch, directory) = sample();
    let bytes = format!("{directory}/tensor_dump/tensor_dump.bin");
    fs::remove_file(bytes).unwrap();
    let ended = report(&[&directory, "--check"]);
    assert_eq!((ended.code, &*ended.err), (1, ""));
    assert!(ended.out.contains("argument 0): bytes 0 to 1024 of a file of 0\n"), "{}", ended.out);
    assert!(
        ended.out.contains("more (--all shows them)") && ended.out.ends_with(" findings\n"),
        "{}",
        ended.out
    );
    let all = report(&["--check", "--all", &directory]);
    assert!(all.out.lines().count() > ended.out.lines().count() && !all.out.contains("--all"));
    // The page is made all the same, and says so.
    let made = report(&[&directory]);
    assert_eq!(made.code, 0);
    assert!(made.err.contains("wrong with the records: cargo xtask report"), "{}", made.err);
}

#[test]
fn files_that_cannot_be_read_end_with_1_and_name_the_place() {
    let (scratch, directory) = sample();
    edit(Path::new(&format!("{directory}/pmu.csv")), "\n0,", "\nzero,");
    let ended = report(&[&directory]);
    assert_eq!((ended.code, &*ended.out), (1, ""));
    assert!(ended.err.contains("pmu.csv, line 2: thread_id is \"zero\""), "{}", ended.err);

    let empty = scratch.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let ended = report(&[empty.to_str().unwrap()]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("empty has no files of a run's diagnostics"), "{}", ended.err);
    let ended = report(&[scratch.path().join("missing").to_str().unwrap()]);
    assert!(ended.code == 1 && ended.err.contains("cannot read "), "{}", ended.err);
}

#[test]
fn a_place_that_cannot_be_written_ends_with_1() {
    let (_scratch, directory) = sample();
    let out = format!("{directory}/pmu.csv/page.html");
    let ended = report(&[&directory, "--out", &out]);
    assert_eq!((ended.code, &*ended.out), (1, ""));
    assert!(ended.err.contains(&format!("cannot write {out}")), "{}", ended.err);
}

#[test]
fn wrong_options_end_with_2_and_the_usage() {
    for (args, reason) in [
        (&[][..], "name the folder with the files of a run"),
        (&["a", "b"], "unexpected argument \"b\""),
        (&["a", "--fast"], "invalid option '--fast'"),
        (&["a", "--check", "--out", "b"], "--check makes no page"),
        (&["a", "--out"], "missing argument for option '--out'"),
    ] {
        let ended = report(args);
        assert_eq!((ended.code, &*ended.out), (2, ""), "{args:?}");
        assert!(ended.err.starts_with(&format!("error: {reason}")), "{args:?}: {}", ended.err);
        assert!(ended.err.contains("cargo xtask report [OPTIONS] DIR"), "{}", ended.err);
    }
    assert!(report(&["--help"]).out.starts_with("cargo xtask report "));
}
