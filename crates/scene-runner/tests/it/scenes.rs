//! The runner among scenes that crash, hang, exit and fail at times: exact results, exit codes, and nothing left.

use crate::bench::Bench;

/// The lines of results, without times.
fn results(out: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        out.lines().filter(|line| line.starts_with("[dev")).map(without_times).collect();
    lines.sort();
    lines
}

fn without_times(line: &str) -> String {
    let start = line.rfind("] ").map_or(0, |at| at + 2);
    line[start..].split(" (").next().unwrap_or_default().to_owned()
}

#[test]
fn a_segfault_is_one_scenes_failure() {
    let ended = Bench::new().run(&["--devices", "1", "fine/", "segfault"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert_eq!(ended.verdict("segfault/a2a3sim"), ("crashed".into(), vec!["crashed".into()]));
    assert_eq!(ended.reason("segfault/a2a3sim"), "its process was killed by signal 11 (SIGSEGV)");
    for case in ["one", "two", "three"] {
        ended.expect_pass(&format!("fine/{case}/a2a3sim"));
        ended.expect_pass(&format!("fine/{case}/a5sim"));
    }
    assert!(ended.out.contains("[dev0] [4/7] CRASH: segfault/a2a3sim ("), "{}", ended.out);
    assert!(ended.out.contains("\n    trouble --exact segfault/a2a3sim\n"), "{}", ended.out);
    assert!(ended.out.contains("\na2a3sim, a5sim: 6 passed, 1 failed in "), "{}", ended.out);
    assert!(
        ended
            .junit
            .contains("<failure type=\"CRASH\" message=\"its process was killed by signal 11 (SIGSEGV)\">")
    );
}

#[test]
fn the_culprit_is_found_among_those_under_way_and_the_others_are_cleared() {
    for _ in 0..3 {
        let ended = Bench::new().run(&["--devices", "4", "fine/", "segfault", "exits", "--repeat", "2"]);
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        for number in ["#1", "#2"] {
            for case in ["one", "two", "three"] {
                ended.expect_pass(&format!("fine/{case}/a2a3sim {number}"));
                ended.expect_pass(&format!("fine/{case}/a5sim {number}"));
            }
            let exits = format!("kernel_exits/a2a3sim {number}");
            assert_eq!(ended.verdict(&exits), ("crashed".into(), vec!["crashed".into()]));
            assert_eq!(ended.reason(&exits), "its process exited with code 3");
            let segfault = format!("segfault/a2a3sim {number}");
            assert_eq!(ended.verdict(&segfault), ("crashed".into(), vec!["crashed".into()]));
        }
        assert!(ended.out.contains(": 12 passed, 4 failed in "), "{}", ended.out);
        assert!(ended.out.contains("\n    trouble --repeat 2 --exact segfault/a2a3sim\n"), "{}", ended.out);
    }
}

#[test]
fn a_crash_that_does_not_come_again_fails_all_that_ran_or_makes_them_flaky() {
    let suspects = ["together/crashes/a2a3sim", "together/waits/a2a3sim"];
    let ended = Bench::new().run(&["--devices", "2", "together"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    for name in suspects {
        assert_eq!(ended.verdict(name), ("crashed".into(), vec!["crashed".into(), "passed".into()]));
        let reason = ended.entry(name)["attempts"][0]["text"].as_str().unwrap();
        assert!(reason.starts_with("its process was killed by signal 6 (SIGABRT"), "{reason}");
        assert!(reason.ends_with(" ran; none of them does that alone"), "{reason}");
    }
    assert!(ended.out.contains("\na2a3sim, a5sim: 0 passed, 2 failed in "), "{}", ended.out);

    let ended = Bench::new().run(&["--devices", "2", "--retries", "1", "together"]);
    assert_eq!(ended.code, Some(0), "{}", ended.out);
    for name in suspects {
        assert_eq!(ended.verdict(name), ("flaky".into(), vec!["crashed".into(), "passed".into()]));
    }
}

#[test]
fn a_kernel_that_never_ends_is_named_and_takes_its_process_with_it() {
    let ended = Bench::new().run(&["--timeout", "6", "--devices", "2", "fine/", "kernel_loops"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert_eq!(ended.verdict("kernel_loops/a2a3sim"), ("failed".into(), vec!["failed".into()]));
    let reason = ended.reason("kernel_loops/a2a3sim");
    assert!(reason.contains("nothing finished for 3.0s") && reason.contains("running: task 0"), "{reason}");
    for case in ["one", "two", "three"] {
        ended.expect_pass(&format!("fine/{case}/a2a3sim"));
        ended.expect_pass(&format!("fine/{case}/a5sim"));
    }
    assert!(ended.out.contains(": 6 passed, 1 failed in "), "{}", ended.out);
    assert!(ended.out.contains("\n    trouble --timeout 6 --exact kernel_loops/a2a3sim\n"), "{}", ended.out);
}

#[test]
fn a_deadlock_of_kernels_is_explained() {
    let ended = Bench::new().run(&["kernel_waits", "fine/one"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert_eq!(ended.verdict("kernel_waits/a2a3sim"), ("failed".into(), vec!["failed".into()]));
    let reason = ended.reason("kernel_waits/a2a3sim");
    assert!(reason.starts_with("the run is deadlocked: ") && reason.contains("running: task 0"), "{reason}");
    ended.expect_pass("fine/one/a2a3sim");
    ended.expect_pass("fine/one/a5sim");
}

#[test]
fn host_code_that_never_ends_is_ended_and_what_it_does_is_told() {
    let ended = Bench::new().run(&["--timeout", "4", "--devices", "2", "host_", "fine/one"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    for name in ["host_loops/a2a3sim", "host_waits/a2a3sim"] {
        assert_eq!(ended.verdict(name), ("timed_out".into(), vec!["timed_out".into()]), "{}", ended.out);
        let reason = ended.reason(name);
        assert!(reason.starts_with("it did not end within 4 s: its thread is "), "{reason}");
    }
    assert!(ended.reason("host_waits/a2a3sim").contains("its thread is waiting"), "{}", ended.out);
    ended.expect_pass("fine/one/a2a3sim");
    ended.expect_pass("fine/one/a5sim");
    assert!(ended.out.contains("TIMEOUT: host_loops/a2a3sim ("), "{}", ended.out);
}

#[test]
fn every_second_time() {
    let name = "every_second/a2a3sim";
    let ended = Bench::new().run(&["every_second"]);
    assert_eq!((ended.code, ended.verdict(name)), (Some(1), ("failed".into(), vec!["failed".into()])));
    assert_eq!(results(&ended.out), ["FAIL: every_second/a2a3sim"]);

    let bench = Bench::new();
    let ended = bench.run(&["every_second", "fine/one", "--retries", "3"]);
    let verdict = ("flaky".into(), vec!["failed".into(), "passed".into()]);
    assert_eq!((ended.code, ended.verdict(name)), (Some(0), verdict), "{}", ended.out);
    assert!(
        ended.told("FAIL: every_second/a2a3sim").starts_with(" attempt 1 of 4\n    this time it fails\n")
    );
    assert!(ended.told("FLAKY: every_second/a2a3sim").starts_with(" attempt 2 of 4\n"));
    assert!(ended.out.contains("\nflaky:\n  every_second/a2a3sim passed at attempt 2\n    1: FAIL "));
    assert!(ended.out.contains(": 2 passed, 1 flaky, 0 failed in "), "{}", ended.out);
    assert!(!ended.out.contains("PASS: every_second"), "{}", ended.out);
    let attempts = ended.entry(name)["attempts"].as_array().unwrap();
    assert_eq!((&attempts[0]["alone"], &attempts[1]["alone"]), (&false.into(), &true.into()));
    assert!(
        ended.junit.contains("<flakyFailure type=\"FAIL\" message=\"this time it fails\">"),
        "{}",
        ended.junit
    );
    assert!(ended.junit.contains("tests=\"3\" failures=\"0\""), "{}", ended.junit);

    // What failed is retried, nothing else.
    ended.expect_pass("fine/one/a2a3sim");
}

#[test]
fn a_failure_is_retried_as_often_as_said() {
    let ended = Bench::new().run(&["segfault", "wrong", "--retries", "2"]);
    assert_eq!(ended.code, Some(1));
    let thrice = |end: &str| vec![end.to_owned(); 3];
    assert_eq!(ended.verdict("segfault/a2a3sim"), ("crashed".into(), thrice("crashed")), "{}", ended.out);
    assert_eq!(ended.verdict("wrong/a2a3sim"), ("failed".into(), thrice("failed")), "{}", ended.out);
    assert_eq!(ended.junit.matches("<rerunFailure ").count(), 4, "{}", ended.junit);
}

#[test]
fn wrong_results_are_shown_with_place_and_size() {
    let ended = Bench::new().run(&["wrong", "panics"]);
    assert_eq!(ended.code, Some(1));
    let text = "    out [1]: 1 of 1 values are wrong (exact), largest error 2.00e0\n      at [0]: expected 40, got 42\n";
    assert!(ended.out.contains(text), "{}", ended.out);
    assert_eq!(ended.reason("panics/a2a3sim"), "panicked: with a message");
}

#[test]
fn what_a_crash_leaves_is_removed() {
    // That nothing is left is seen by `run`.
    let ended = Bench::new().run(&["leaves_things", "fine/one"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.verdict("leaves_things/a2a3sim").0, "crashed");
    ended.expect_pass("fine/one/a5sim");
}

#[test]
fn a_crash_when_all_is_done_is_no_scenes_result_and_no_success() {
    let ended = Bench::new().run(&["crashes_late"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    ended.expect_pass("crashes_late/a2a3sim");
    let problem = "a process was killed by signal 6 (SIGABRT";
    assert!(ended.json.as_ref().unwrap()["problems"][0].as_str().unwrap().starts_with(problem));
    assert!(ended.out.contains(&format!("\nproblem: {problem}")), "{}", ended.out);
    assert!(
        ended.junit.contains("<testsuite name=\"problems\" tests=\"1\" failures=\"1\""),
        "{}",
        ended.junit
    );
}

#[test]
fn what_scenes_print_is_no_result_and_never_too_much() {
    let ended = Bench::new().run(&["kernel_prints", "tells/much", "fine/one"]);
    assert_eq!(ended.code, Some(0), "{}", ended.out);
    assert!(ended.err.contains("{\"ended\":{\"item\":0") && ended.err.contains("printed without an end"));
    assert!(ended.err.contains("line 19999 of a scene that has much to tell\n"));
    ended.expect_pass("kernel_prints/a2a3sim");
}

#[test]
fn seeds_are_for_arguments() {
    let numbers = |seed: &str| {
        let ended = Bench::new().run(&["tells/numbers", "--seed", seed]);
        assert_eq!(ended.code, Some(0), "{}", ended.out);
        ended.err.lines().find(|line| line.starts_with("numbers: ")).unwrap().to_owned()
    };
    assert_eq!(numbers("1"), numbers("1"));
    assert_ne!(numbers("1"), numbers("2"));
}

#[test]
fn fail_fast_ends_with_the_first_failure_that_stays() {
    // What comes after the failure would not end.
    let args = ["--fail-fast", "--devices", "1", "fine/one", "wrong", "host_waits"];
    let ended = Bench::new().run(&args);
    assert_eq!(ended.code, Some(1));
    ended.expect_pass("fine/one/a2a3sim");
    assert_eq!(ended.verdict("fine/one/a5sim"), ("not_run".into(), vec![]), "{}", ended.out);
    assert!(ended.out.contains("1 passed, 1 failed, 2 not finished in "), "{}", ended.out);

    let args = ["--fail-fast", "--keep-going", "--devices", "1", "fine/one", "wrong"];
    let ended = Bench::new().run(&args);
    assert!(ended.out.contains("2 passed, 1 failed in "), "{}", ended.out);

    let flaky = ["--fail-fast", "--retries=1", "--devices=1", "every_second", "tells/much", "tells/numbers"];
    let ended = Bench::new().run(&flaky);
    assert_eq!(ended.code, Some(0), "{}", ended.out);
    assert!(ended.out.contains("2 passed, 1 flaky, 0 failed in "), "{}", ended.out);
}

#[test]
fn the_time_for_all_has_a_limit() {
    let args = ["--total-timeout", "6", "--devices", "1", "fine/one", "host_waits", "tells"];
    let ended = Bench::new().run(&args);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    ended.expect_pass("fine/one/a2a3sim");
    assert_eq!(ended.verdict("host_waits/a2a3sim"), ("interrupted".into(), vec!["interrupted".into()]));
    assert_eq!(ended.verdict("tells/much/a2a3sim").0, "not_run");
    assert!(
        ended
            .out
            .contains("\nstopped: the time for all cases (--total-timeout) is over; 4 of 5 did not finish\n")
    );
}

#[test]
fn repetitions_have_results_of_their_own() {
    let ended = Bench::new().run(&["every_second", "--repeat", "4", "--devices", "1"]);
    assert_eq!(ended.code, Some(1));
    let verdicts: Vec<String> =
        (1..=4).map(|number| ended.verdict(&format!("every_second/a2a3sim #{number}")).0).collect();
    assert_eq!(verdicts, ["failed", "passed", "failed", "passed"]);
}

#[test]
fn names_that_stand_for_two_scenes_are_refused() {
    let ended = Bench::new().env("TROUBLE_TWICE", "1").run(&["fine"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.starts_with("error: \"fine\" is the name of two scenes"), "{}", ended.err);
}

#[test]
fn a_process_that_sends_nonsense_is_not_believed() {
    let ended = Bench::new().run(&["--devices", "1", "fine/one", "nonsense"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert_eq!(
        ended.verdict("nonsense/a2a3sim"),
        ("crashed".into(), vec!["crashed".into()]),
        "{}",
        ended.out
    );
    let reason = ended.reason("nonsense/a2a3sim");
    assert!(reason.starts_with("its process sent something that is no result ("), "{reason}");
    ended.expect_pass("fine/one/a2a3sim");
    ended.expect_pass("fine/one/a5sim");
}

#[test]
fn a_process_that_gives_up_its_pipes_is_ended() {
    let ended = Bench::new().run(&["--devices", "1", "fine/one", "mute"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert_eq!(ended.verdict("mute/a2a3sim").0, "crashed", "{}", ended.out);
    assert_eq!(ended.reason("mute/a2a3sim"), "its process did not end");
    ended.expect_pass("fine/one/a5sim");
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let ended = Bench::new().run(&["fine/one", "--junit", "/dev/full"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.starts_with("error: cannot write the report /dev/full: "), "{}", ended.err);
    ended.expect_pass("fine/one/a5sim");
}

#[test]
fn processes_that_cannot_even_begin_end_the_run() {
    let ended = Bench::new().env("TROUBLE_AT_START", "1").run(&["fine/one", "wrong"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.verdict("wrong/a2a3sim").0, "not_run");
    assert!(
        ended.out.contains("\nproblem: a process exited with code 7 while no case ran\n"),
        "{}",
        ended.out
    );
    let stopped = "\nstopped: processes end before they run anything; 3 of 3 did not finish\n";
    assert!(ended.out.contains(stopped), "{}", ended.out);
}
