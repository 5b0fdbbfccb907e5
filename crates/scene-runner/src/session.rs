//! One call of a runner: compiles, runs, finds culprits, retries. Knows every item's record at any time.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chip_worker::Platform;
use kernel_compiler::KernelCompiler;
use scene::{Objects, Sources};

use crate::events::{Event, Events};
use crate::item::{Item, scenes_of};
use crate::options::Options;
use crate::progress::{Bar, Progress};
use crate::record::{Attempt, End, Record};
use crate::running::{Ending, Flight, Job};
use crate::scratch::Scratch;
use crate::{Error, Runner, StandIn};

/// Why not everything was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    Signal(i32),
    TotalTimeout,
    FailFast,
    /// Processes end before they have done anything.
    Hopeless,
}

/// A run, see the module.
pub(crate) struct Session<'a> {
    pub(crate) runner: &'a Runner,
    pub(crate) options: &'a Options,
    pub(crate) items: Vec<Item>,
    /// One for each of `items`.
    pub(crate) records: Vec<Record>,
    /// What went wrong that is no item's fault alone.
    pub(crate) problems: Vec<String>,
    pub(crate) stopped: Option<Stopped>,
    pub(crate) progress: Progress,
    pub(crate) started: Instant,
    pub(crate) events: Events,
    pub(crate) scratch: Scratch,
    stand_in: Option<StandIn>,
}

/// How often compilation looks at the clock and the bar.
const TICK: Duration = Duration::from_millis(50);

impl<'a> Session<'a> {
    pub(crate) fn new(
        runner: &'a Runner,
        options: &'a Options,
        items: Vec<Item>,
        stand_in: Option<StandIn>,
    ) -> io::Result<Self> {
        Ok(Self {
            runner,
            options,
            records: vec![Record::default(); items.len()],
            items,
            problems: Vec::new(),
            stopped: None,
            progress: Progress::new(),
            started: Instant::now(),
            events: Events::new()?,
            scratch: Scratch::new()?,
            stand_in,
        })
    }

    /// What the process that runs a platform's cases finds in its environment, beyond what this one does.
    pub(crate) fn environment(&self, platform: Platform) -> Vec<(&'static str, OsString)> {
        match &self.stand_in {
            Some(stand_in) if !platform.is_simulated() => (stand_in.environment)(platform),
            _ => Vec::new(),
        }
    }

    /// Where the programs of devices on hardware are.
    pub(crate) fn programs(&self) -> &Path {
        self.stand_in.as_ref().map_or(&self.options.programs, |stand_in| &stand_in.programs)
    }

    /// Compiles and runs all items.
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        let mut queue: Vec<usize> = (0..self.items.len()).collect();
        let objects = self.compile(&queue, None)?;
        if let Some(objects) = objects {
            self.tell_unbuilt(&mut queue, &objects, None)?;
            loop {
                self.drain(&mut queue, &objects)?;
                self.retry(&objects)?;
                if self.stopped.is_none() && self.options.fail_fast && self.any_failed() {
                    self.stopped = Some(Stopped::FailFast);
                }
                if queue.is_empty() || self.stopped.is_some() {
                    break;
                }
            }
        }
        self.problems.extend(self.stand_in.iter().flat_map(|stand_in| (stand_in.complaints)()));
        self.progress.end()?;
        Ok(())
    }

    fn any_failed(&self) -> bool {
        self.records.iter().any(Record::has_failed)
    }

    /// Items that something is known about.
    pub(crate) fn done(&self) -> usize {
        self.records.iter().filter(|record| !record.attempts.is_empty()).count()
    }

    pub(crate) fn bar(&self, done: usize, total: usize, under_way: Vec<String>) -> Bar {
        let failed = self.records.iter().filter(|record| record.has_failed()).count();
        Bar { done, total, failed, under_way }
    }

    /// Whether the time for everything is over.
    pub(crate) fn is_late(&self) -> bool {
        self.options.total_timeout.is_some_and(|limit| self.started.elapsed() >= limit)
    }

    /// Compiles what these items need; `None` if that was stopped.
    fn compile(&mut self, items: &[usize], pto_isa: Option<&Path>) -> Result<Option<Objects>, Error> {
        let scenes = scenes_of(items.iter().map(|&item| &self.items[item]));
        let sources = Sources::of(scenes.iter().copied());
        if sources.is_empty() {
            return Ok(Some(Objects::from_bytes([], [])));
        }
        let (count, start) = (sources.len(), Instant::now());
        let cancelled = Arc::new(AtomicBool::new(false));
        let mut compiler = KernelCompiler::builder().cancelled_by(Arc::clone(&cancelled));
        if let Some(root) = pto_isa {
            compiler = compiler.pto_isa_root(root);
        }
        let nothing = AtomicUsize::new(0);
        let Some(compiler) = self.watch(&cancelled, &nothing, count, || compiler.build())? else {
            return Ok(None);
        };
        let compiler = compiler?;
        let with = pto_isa.map_or_else(String::new, |root| format!(" and the PTO-ISA at {}", root.display()));
        self.progress.line(&format!(
            "compiling {count} C++ sources with {}{with}, unless the kernel cache has them ...",
            compiler.description()
        ))?;
        let done = AtomicUsize::new(0);
        let ended = || {
            done.fetch_add(1, Ordering::Relaxed);
        };
        let objects = self.watch(&cancelled, &done, count, || sources.compile_with(&compiler, ended))?;
        self.progress.end()?;
        if let Some(objects) = &objects {
            let (took, cached) = (start.elapsed().as_secs_f64(), objects.cached());
            let text = format!("{} compiled, {cached} from the cache, in {took:.1} s\n", count - cached);
            self.progress.line(&text)?;
        }
        Ok(objects)
    }

    /// Does work on another thread and shows how much of it is done; `None` if it is stopped, and cancelled then.
    fn watch<T: Send>(
        &mut self,
        cancelled: &AtomicBool,
        done: &AtomicUsize,
        count: usize,
        work: impl FnOnce() -> T + Send,
    ) -> Result<Option<T>, Error> {
        let to = self.events.sender();
        std::thread::scope(|scope| {
            let work = scope.spawn(move || {
                let result = work();
                let _ = to.send(Event::Worked);
                result
            });
            let watched = self.watch_work(done, count, || work.is_finished());
            // Also on an error: nothing else would end the compilers.
            let goes_on = matches!(watched, Ok(true));
            cancelled.store(!goes_on, Ordering::Relaxed);
            let result = work.join().map_err(|_| Error::Internal("a thread that compiles panicked"))?;
            watched?;
            Ok(goes_on.then_some(result))
        })
    }

    /// Waits until work is done, or until it is stopped: `false` then.
    fn watch_work(
        &mut self,
        done: &AtomicUsize,
        count: usize,
        is_finished: impl Fn() -> bool,
    ) -> io::Result<bool> {
        loop {
            match self.events.next(TICK) {
                Some(Event::Worked) => return Ok(true),
                Some(Event::Signal(signal)) => self.stopped = Some(Stopped::Signal(signal)),
                _ if self.is_late() => self.stopped = Some(Stopped::TotalTimeout),
                // It panicked, and could not say so.
                None if is_finished() => return Ok(true),
                _ => {}
            }
            if self.stopped.is_some() {
                return Ok(false);
            }
            let bar = self.bar(done.load(Ordering::Relaxed), count, vec!["compiling".to_owned()]);
            self.progress.show(&bar)?;
        }
    }

    /// Takes what does not compile out of the queue. Compiler errors are long: each scene's are shown once.
    fn tell_unbuilt(
        &mut self,
        queue: &mut Vec<usize>,
        objects: &Objects,
        pto_isa: Option<&Path>,
    ) -> io::Result<()> {
        let (mut told, mut unbuilt): (Vec<(&str, String)>, Vec<usize>) = (Vec::new(), Vec::new());
        for (scene, platform) in scenes_of(queue.iter().map(|&item| &self.items[item])) {
            let Err(error) = objects.bytes_of([(scene, platform)]) else { continue };
            let text = error.to_string();
            let own = |&item: &usize| {
                self.items[item].scene.name == scene.name && self.items[item].platform == platform
            };
            for item in queue.iter().copied().filter(own).collect::<Vec<_>>() {
                unbuilt.push(item);
                let attempt = Attempt {
                    end: End::NotBuilt,
                    device: None,
                    alone: false,
                    seconds: 0.0,
                    text: Some(text.clone()),
                    printed: Vec::new(),
                    pto_isa: self.tree(pto_isa),
                    measured: None,
                };
                self.records[item].attempts.push(attempt);
            }
            if !told.iter().any(|(name, _)| *name == scene.name) {
                told.push((scene.name, text));
            }
        }
        queue.retain(|item| !unbuilt.contains(item));
        for (name, text) in told {
            let count = unbuilt.iter().filter(|&&item| self.items[item].scene.name == name).count();
            self.announce_unbuilt(name, count, &text)?;
        }
        Ok(())
    }

    /// Runs items until all have a result, however many processes that takes.
    fn drain(&mut self, queue: &mut Vec<usize>, objects: &Objects) -> Result<(), Error> {
        while !queue.is_empty() && self.stopped.is_none() {
            if self.options.fail_fast
                && self.records.iter().any(|record| record.has_failed() && !record.exhausted)
            {
                break;
            }
            let before = self.done();
            let together = self.first_together(queue);
            let devices = self.options.devices.min(u32::try_from(together.len()).unwrap_or(u32::MAX));
            let job = Job { objects, devices, alone: false, pto_isa: None, announce: true };
            if let Ending::Died { how, flights } = self.run_process(&together, &job)? {
                self.explain(&how, flights, objects)?;
            }
            queue.retain(|&item| self.records[item].attempts.is_empty());
            if self.done() == before && self.stopped.is_none() {
                self.stopped = Some(Stopped::Hopeless);
            }
        }
        Ok(())
    }

    /// The first item, and all others that can be in one process with it: a stand-in is for one chip.
    fn first_together(&self, queue: &[usize]) -> Vec<usize> {
        let environment = |&item: &usize| self.environment(self.items[item].platform);
        let first = queue.first().map(environment);
        queue.iter().copied().filter(|item| Some(environment(item)) == first).collect()
    }

    /// Finds out which of the items that were under way made their process go away.
    fn explain(&mut self, how: &str, flights: Vec<Flight>, objects: &Objects) -> Result<(), Error> {
        match flights.len() {
            0 => {
                let text = format!("a process {how} while no case ran");
                self.progress.line(&text)?;
                self.problems.push(text);
                Ok(())
            }
            1 => self.crashed(how, flights, true),
            _ => self.find_culprit(how, &flights, objects),
        }
    }

    /// Runs each item by itself that was under way. If one of them crashes then it was the culprit, and the results of
    /// the others are as good as any. Otherwise none of them is above suspicion.
    fn find_culprit(&mut self, how: &str, flights: &[Flight], objects: &Objects) -> Result<(), Error> {
        let names: Vec<String> = flights.iter().map(|flight| self.items[flight.item].name()).collect();
        let names = names.join(", ");
        self.progress.line(&format!("the process {how} while {names} ran; now each of them alone"))?;
        for flight in flights {
            if self.stopped.is_some() {
                return Ok(());
            }
            self.run_single(flight.item, objects, None, false)?;
        }
        let crashed = |flight: &Flight| {
            self.records[flight.item].attempts.last().is_some_and(|attempt| attempt.end == End::Crashed)
        };
        let found = flights.iter().any(crashed);
        for flight in flights {
            if !found {
                let text = format!("its process {how} while {names} ran; none of them does that alone");
                let attempt = self.attempt(End::Crashed, flight, false, Some(text));
                let record = &mut self.records[flight.item];
                record.attempts.insert(0, attempt);
                record.unforgiven = self.options.retries == 0;
            }
            if !self.records[flight.item].attempts.is_empty() {
                self.announce(flight.item)?;
            }
        }
        Ok(())
    }

    /// Runs an item in a process of its own.
    fn run_single(
        &mut self,
        item: usize,
        objects: &Objects,
        pto_isa: Option<&Path>,
        announce: bool,
    ) -> Result<(), Error> {
        let job = Job { objects, devices: 1, alone: true, pto_isa, announce };
        match self.run_process(&[item], &job)? {
            Ending::Died { how, flights } if flights.is_empty() => {
                self.problems.push(format!("a process {how} before {} ran in it", self.items[item].name()));
                Ok(())
            }
            Ending::Died { how, flights } => self.crashed(&how, flights, announce),
            Ending::Done | Ending::Killed => Ok(()),
        }
    }

    fn crashed(&mut self, how: &str, flights: Vec<Flight>, announce: bool) -> Result<(), Error> {
        for mut flight in flights {
            let text = format!("its process {how}");
            let mut attempt = self.attempt(End::Crashed, &flight, flight.alone, Some(text));
            attempt.printed = std::mem::take(&mut flight.printed);
            attempt.pto_isa = self.tree(flight.pto_isa.as_deref());
            self.records[flight.item].attempts.push(attempt);
            if announce {
                self.announce(flight.item)?;
            }
        }
        Ok(())
    }

    /// An attempt that the process did not end by itself.
    pub(crate) fn attempt(&self, end: End, flight: &Flight, alone: bool, text: Option<String>) -> Attempt {
        Attempt {
            end,
            device: Some(flight.device),
            alone,
            seconds: flight.seconds,
            text,
            printed: Vec::new(),
            pto_isa: self.tree(None),
            measured: None,
        }
    }

    /// The PTO-ISA checkout of an attempt: `other`, or that of the environment.
    pub(crate) fn tree(&self, other: Option<&Path>) -> Option<PathBuf> {
        let own = || std::env::var_os("PTO_ISA_ROOT").filter(|root| !root.is_empty()).map(PathBuf::from);
        other.map(Path::to_owned).or_else(own)
    }

    /// Runs what has failed again, each item alone, as often as it may.
    fn retry(&mut self, objects: &Objects) -> Result<(), Error> {
        let fresh = |record: &Record| record.has_failed() && !record.exhausted;
        let failed: Vec<usize> = (0..self.items.len()).filter(|&item| fresh(&self.records[item])).collect();
        for &item in &failed {
            // Attempts to find a culprit were retries as well.
            let before = self.records[item].attempts.len();
            for _ in before..=self.options.retries as usize {
                let built = self.records[item].attempts.iter().all(|attempt| attempt.end != End::NotBuilt);
                if self.stopped.is_none() && built && self.records[item].has_failed() {
                    self.run_single(item, objects, None, true)?;
                }
            }
        }
        if let Some(root) = &self.options.retry_pto_isa {
            let left: Vec<usize> =
                failed.iter().copied().filter(|&item| self.records[item].has_failed()).collect();
            if !left.is_empty() && self.stopped.is_none() {
                self.retry_with(root, left)?;
            }
        }
        for item in failed {
            self.records[item].exhausted = true;
        }
        Ok(())
    }

    /// Compiles items with another PTO-ISA and runs each alone.
    fn retry_with(&mut self, root: &Path, mut items: Vec<usize>) -> Result<(), Error> {
        let Some(objects) = self.compile(&items, Some(root))? else { return Ok(()) };
        self.tell_unbuilt(&mut items, &objects, Some(root))?;
        for item in items {
            if self.stopped.is_none() {
                // Whatever the reason, it passes with this tree.
                self.records[item].unforgiven = false;
                self.run_single(item, &objects, Some(root), true)?;
            }
        }
        Ok(())
    }
}
