//! The process that runs scenes: does what a [`Plan`] says, and tells how each case ends the moment it does.

use std::any::Any;
use std::fs::File;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use chip_worker::Platform;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use rustix::stdio::{dup2_stdout, stderr, stdin, stdout};
use rustix::thread::gettid;
use scene::{BuiltScene, Case, CaseError, CaseReport, Objects, RingSizes, Scene, Setup};

use crate::wire::{CaseResult, Message, Plan, PlannedItem, Way};

/// As much as the main thread of a program has: scenes calculate golden results on it.
const STACK_BYTES: usize = 8 << 20;

/// The main function of such a process.
pub(crate) fn main(scenes: &'static [Scene]) -> ExitCode {
    match run(scenes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: cannot run scenes: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(scenes: &'static [Scene]) -> io::Result<()> {
    // Before anything else: nobody else would end this process when the runner is killed.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let (plan, objects) = Plan::from_file(File::from(fcntl_dupfd_cloexec(stdin(), 3)?))?;
    if getppid().map(|parent| parent.as_raw_pid()) != Some(plan.parent) {
        return Err(io::Error::other("whoever started this is gone"));
    }
    // What kernels print must not get among the results.
    let results = File::from(fcntl_dupfd_cloexec(stdout(), 3)?);
    dup2_stdout(stderr())?;
    Work::new(scenes, plan, objects, results)?.run()
}

/// A case that is found again.
struct Found {
    item: PlannedItem,
    /// Index of its scene on its platform.
    built: usize,
    case: Case,
}

/// What there is to do, and how far it is.
struct Work {
    plan: Plan,
    found: Vec<Found>,
    scenes: Vec<(&'static Scene, Platform)>,
    built: Vec<OnceLock<Result<BuiltScene, String>>>,
    objects: Objects,
    results: Mutex<File>,
    next: AtomicUsize,
    /// Something of an earlier case may still run, so no other begins.
    tainted: AtomicBool,
}

impl Work {
    fn new(
        all: &'static [Scene],
        mut plan: Plan,
        objects: Vec<Arc<[u8]>>,
        results: File,
    ) -> io::Result<Self> {
        let (mut scenes, mut found) = (Vec::new(), Vec::new());
        for item in std::mem::take(&mut plan.items) {
            let unknown = || io::Error::other(format!("there is no case {item:?}"));
            let scene = all.iter().find(|scene| scene.name == item.scene).ok_or_else(unknown)?;
            let platform: Platform = item.platform.parse().map_err(io::Error::other)?;
            let mut cases = (scene.cases)(platform).into_iter();
            let case = cases.find(|case| case.name() == item.case).ok_or_else(unknown)?;
            let same = |&(known, on): &(&Scene, Platform)| known.name == scene.name && on == platform;
            let built = scenes.iter().position(same).unwrap_or_else(|| {
                scenes.push((scene, platform));
                scenes.len() - 1
            });
            found.push(Found { item, built, case });
        }
        let objects = Objects::from_bytes(scenes.iter().copied(), objects);
        let built = scenes.iter().map(|_| OnceLock::new()).collect();
        let (next, tainted) = (AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Self { plan, found, scenes, built, objects, results: Mutex::new(results), next, tainted })
    }

    fn run(&self) -> io::Result<()> {
        std::thread::scope(|scope| {
            let mut devices = Vec::new();
            for device in 0..self.plan.devices {
                let thread = std::thread::Builder::new().name(format!("dev{device}")).stack_size(STACK_BYTES);
                devices.push(thread.spawn_scoped(scope, move || self.serve(device))?);
            }
            let ended = devices.into_iter().map(|device| {
                device.join().unwrap_or_else(|_| Err(io::Error::other("a thread of the runner panicked")))
            });
            ended.collect::<io::Result<()>>()
        })?;
        self.tell(&Message::Finished)
    }

    /// Runs cases on a device until there are no more.
    fn serve(&self, device: u32) -> io::Result<()> {
        while !self.tainted.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(found) = self.found.get(index) else { break };
            let item = found.item.item;
            self.tell(&Message::Started { item, device, thread: gettid().as_raw_pid() })?;
            let start = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| self.run_case(found, device)));
            let result = result.unwrap_or_else(|panic| failed(format!("panicked: {}", message(&*panic))));
            if let CaseResult::Failed { still_running: true, .. } = result {
                self.tainted.store(true, Ordering::Relaxed);
            }
            self.tell(&Message::Ended { item, device, seconds: start.elapsed().as_secs_f64(), result })?;
        }
        Ok(())
    }

    fn run_case(&self, found: &Found, device: u32) -> CaseResult {
        let (scene, platform) = self.scenes[found.built];
        let build = || self.objects.build(scene, platform).map_err(|error| error.to_string());
        let built = match self.built[found.built].get_or_init(build) {
            Ok(built) => built,
            Err(text) => return failed(text.clone()),
        };
        let watchdog = Duration::from_secs_f64(self.plan.watchdog_seconds);
        let mut setup = Setup::default().device(device).seed(self.plan.seed).watchdog(watchdog);
        if let Some(folder) = &self.plan.diagnostics {
            let PlannedItem { scene, case, platform, .. } = &found.item;
            setup = setup.diagnostics(folder.join(scene).join(case).join(platform));
        }
        if let Some(tree) = &self.plan.programs {
            setup = setup.programs(tree);
        }
        match self.run_built(built, &found.case, &setup) {
            Ok(result) => result,
            Err(error) => match error.lacks() {
                Some(why) => CaseResult::LeftOut { why },
                None => CaseResult::Failed { text: error.to_string(), still_running: error.may_still_run() },
            },
        }
    }

    fn run_built(&self, built: &BuiltScene, case: &Case, setup: &Setup) -> Result<CaseResult, CaseError> {
        Ok(match &self.plan.way {
            Way::Linked => passed(&scene::run_alone(built, case, setup)?, None),
            Way::Tree(tree) => passed(&scene::run_in_tree(tree, built, case, setup)?, None),
            Way::SmallestRings => {
                let (sizes, report) = scene::run_with_smallest_rings(built, case, setup)?;
                let RingSizes { task_window, heap, dep_pool, .. } = sizes;
                let note = format!("window {task_window}, heap {heap} bytes, dep_pool {dep_pool}");
                passed(&report, Some(note))
            }
        })
    }

    /// Tells the runner. What a killed process was about to tell is never half a result: lines end with their newline.
    fn tell(&self, message: &Message) -> io::Result<()> {
        let line = message.to_line()?;
        self.results.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }
}

fn passed(report: &CaseReport, note: Option<String>) -> CaseResult {
    CaseResult::Passed {
        note,
        runs: report.runs,
        tasks: report.tasks,
        host_seconds: report.host_wall.as_secs_f64(),
        device_seconds: report.device_wall.as_secs_f64(),
    }
}

fn failed(text: String) -> CaseResult {
    CaseResult::Failed { text, still_running: false }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
