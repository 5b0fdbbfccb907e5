//! Scenes that do everything a runner must survive. Tests run this program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these scenes are to fail")]
#![allow(clippy::exit, clippy::print_stdout, clippy::print_stderr, reason = "and to misbehave")]

use std::io::Write as _;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use scene_runner::Runner;
use scene_runner::chip_worker::{CallConfig, CoreType, NativeGraph, NativeKernel, Platform, RuntimeKind};
use scene_runner::scene::{Case, CaseError, Code, Data, Graph, Kernel, Program, Scene, Stage, Tolerance};

fn main() -> ExitCode {
    if std::env::var_os("TROUBLE_AT_START").is_some() && std::env::args().any(|arg| arg.contains("worker")) {
        std::process::exit(7);
    }
    let scenes = if std::env::var_os("TROUBLE_TWICE").is_some() { &TWICE[..] } else { &SCENES };
    Runner::new("trouble", scenes).main()
}

/// A scene with one task and one case.
macro_rules! kernel {
    ($name:literal, $code:expr) => {
        Scene {
            name: $name,
            programs: &[Program {
                name: "main",
                graph: GRAPH,
                kernels: &[Kernel { func_id: 0, core_type: CoreType::Aiv, code: $code, signature: &[] }],
            }],
            platforms: &[Platform::A2a3Sim],
            cases: |_| vec![answers("main", 42)],
            ..FINE
        }
    };
}

/// A scene that does something on the host.
macro_rules! script {
    ($name:literal, $($case:literal => $script:expr),+) => {
        Scene {
            name: $name,
            platforms: &[Platform::A2a3Sim],
            cases: |_| vec![$(Case::new($case, $script)),+],
            ..FINE
        }
    };
}

/// Scenes whose names are not enough to tell them apart.
static TWICE: [Scene; 2] = [FINE, FINE];

static SCENES: [Scene; 19] = [
    FINE,
    kernel!("segfault", Code::Cpp("kernels/segfault.cpp")),
    kernel!("kernel_loops", Code::Cpp("kernels/loop.cpp")),
    kernel!("kernel_waits", Code::Cpp("kernels/wait.cpp")),
    kernel!("kernel_exits", Code::Cpp("kernels/exit.cpp")),
    kernel!("kernel_prints", Code::Cpp("kernels/print.cpp")),
    kernel!("answer", Code::Cpp("kernels/answer.cpp")),
    kernel!("broken", Code::Cpp("kernels/broken.cpp")),
    Scene { name: "wrong", platforms: &[Platform::A2a3Sim], cases: |_| vec![answers("results", 40)], ..FINE },
    script!("host_loops", "main" => |_| loop {
        std::hint::spin_loop();
    }),
    script!("host_waits", "main" => |_| {
        let (_to, from) = std::sync::mpsc::channel::<()>();
        from.recv().map_err(|error| CaseError::Check(error.to_string()))
    }),
    script!("panics", "main" => |_| panic!("with a message")),
    script!("every_second", "main" => every_second),
    script!("together", "crashes" => crashes_once, "waits" => waits_for_the_crash),
    script!("leaves_things", "main" => leaves_things),
    script!("crashes_late", "main" => crashes_late),
    script!("nonsense", "main" => |_| {
        for pipe in pipes() {
            let mut pipe = std::fs::File::options().write(true).open(pipe).unwrap();
            pipe.write_all(b"{\"passed\": \"everything\"}\n").unwrap();
        }
        wait_for("the end of days");
        Ok(())
    }),
    script!("mute", "main" => |_| {
        let null = std::fs::File::open("/dev/null").unwrap();
        for pipe in pipes() {
            let number: i32 = pipe.file_name().unwrap().to_str().unwrap().parse().unwrap();
            // SAFETY: it closes what others use, as bad code does; they get an error at most.
            let mut pipe = unsafe { OwnedFd::from_raw_fd(number) };
            rustix::io::dup2(&null, &mut pipe).unwrap();
            std::mem::forget(pipe);
        }
        wait_for("the end of days");
        Ok(())
    }),
    script!("tells", "numbers" => |stage| {
        eprintln!("numbers: {:?}", stage.random(0).u64s(3));
        Ok(())
    }, "much" => |_| {
        (0..20_000).for_each(|line| println!("line {line} of a scene that has much to tell"));
        Ok(())
    }),
];

/// Passes, without any C++.
const FINE: Scene = Scene {
    name: "fine",
    summary: "passes",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/trouble"),
    include_dirs: &[],
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &[Platform::A2a3Sim, Platform::A5Sim],
    programs: &[Program {
        name: "main",
        graph: GRAPH,
        kernels: &[Kernel::rust(0, CoreType::Aiv, || {
            NativeKernel::new("answers", |kernel| kernel.write(kernel.ptr(0), &[42u64]))
        })],
    }],
    cases: |_| ["one", "two", "three"].map(|name| answers(name, 42)).into(),
};

/// One task, with a place for its result and a number.
const GRAPH: Graph = Graph::Rust(|| {
    NativeGraph::new(|graph| {
        let (out, number) = (graph.stage_out(0)?, graph.scalar(0)?);
        graph.add_task(&[out.addr(), number], 0, CoreType::Aiv)?;
        Ok(())
    })
});

fn answers(name: &str, answer: u64) -> Case {
    Case::golden(name, "main", CallConfig::default(), move |_| {
        Data::new().output("out", &[1], vec![answer], Tolerance::EXACT).scalar(3)
    })
}

/// A file that outlives the process, in the folder that the test gave.
fn state(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("TROUBLE_STATE").expect("a folder in TROUBLE_STATE")).join(name)
}

/// Whether this is the first call with this name.
fn is_first(name: &str) -> bool {
    std::fs::File::create_new(state(name)).is_ok()
}

fn every_second(_: &mut Stage<'_>) -> Result<(), CaseError> {
    let file = state("failed");
    if file.exists() {
        std::fs::remove_file(file).unwrap();
        return Ok(());
    }
    std::fs::write(file, "").unwrap();
    Err(CaseError::Check("this time it fails".to_owned()))
}

fn wait_for(name: &str) {
    while !state(name).exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Takes the process down once, while [`waits_for_the_crash`] runs in it.
fn crashes_once(_: &mut Stage<'_>) -> Result<(), CaseError> {
    wait_for("in company");
    if is_first("crashed") {
        std::process::abort();
    }
    Ok(())
}

fn waits_for_the_crash(_: &mut Stage<'_>) -> Result<(), CaseError> {
    if is_first("in company") {
        std::thread::sleep(Duration::from_secs(1000));
    }
    Ok(())
}

/// A file and a process that a crash leaves alone.
fn leaves_things(_: &mut Stage<'_>) -> Result<(), CaseError> {
    std::fs::write(std::env::temp_dir().join("left.txt"), "left").unwrap();
    Command::new("sleep").arg("1000").spawn().unwrap();
    std::process::abort();
}

/// Pipes of the process beyond those that every process has.
fn pipes() -> Vec<PathBuf> {
    let is_pipe = |path: &PathBuf| {
        let target = std::fs::read_link(path).unwrap_or_default();
        target.to_string_lossy().starts_with("pipe:")
            && !["0", "1", "2"].iter().any(|name| path.ends_with(name))
    };
    std::fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.path()).filter(is_pipe).collect()
}

fn crashes_late(_: &mut Stage<'_>) -> Result<(), CaseError> {
    unsafe extern "C" {
        fn atexit(function: extern "C" fn()) -> i32;
    }
    extern "C" fn crash() {
        std::process::abort();
    }
    // SAFETY: a function that takes nothing, returns nothing and never unwinds may be called at the end.
    unsafe { atexit(crash) };
    Ok(())
}
