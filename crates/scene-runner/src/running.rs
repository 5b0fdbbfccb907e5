//! Items in one process: takes their results as they come, and ends what does not end.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use scene::Objects;

use crate::Error;
use crate::events::Event;
use crate::item::scenes_of;
use crate::probe;
use crate::process::{Process, how};
use crate::record::{Attempt, End, Measured};
use crate::session::{Session, Stopped};
use crate::wire::{CaseResult, Message, Plan, PlannedItem};

/// How a process is to run its items.
pub(crate) struct Job<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) devices: u32,
    /// There is one item, and it is retried or suspected.
    pub(crate) alone: bool,
    /// What the objects were compiled with, if not with that of the environment.
    pub(crate) pto_isa: Option<&'a Path>,
    /// Results are shown at once.
    pub(crate) announce: bool,
}

/// An item that is under way, or was when its process went away.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) item: usize,
    pub(crate) device: u32,
    pub(crate) alone: bool,
    pub(crate) pto_isa: Option<PathBuf>,
    /// How long it ran, as soon as that is over.
    pub(crate) seconds: f64,
    /// The last lines that its process printed.
    pub(crate) printed: Vec<String>,
    since: Instant,
    thread: i32,
    /// What it was found doing when its time was over.
    stall: Option<String>,
}

/// How a process ended.
pub(crate) enum Ending {
    /// By itself. Items may be left that it did not begin.
    Done,
    /// By itself, and too early.
    Died { how: String, flights: Vec<Flight> },
    /// By the runner, which has recorded why.
    Killed,
}

/// A process as seen from outside.
struct Watched {
    process: Process,
    flights: Vec<Flight>,
    printed: VecDeque<String>,
    /// It has said that it is done.
    finished: bool,
    /// Something in it still runs and would disturb its end.
    tainted: bool,
    /// It has said something that makes no sense.
    nonsense: Option<String>,
    /// Of its two pipes, those that have ended.
    ends: usize,
    /// When the end began.
    leaving: Option<Instant>,
}

/// Lines that are kept of what a process prints.
const PRINTED: usize = 20;
/// How long a process may take to go when it is done, and what it printed to arrive when it is gone.
const GRACE: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(50);
const SHORT_TICK: Duration = Duration::from_millis(2);

impl Session<'_> {
    /// Runs these items in a new process until it ends, one way or the other. Every result that came is recorded.
    pub(crate) fn run_process(&mut self, queue: &[usize], job: &Job<'_>) -> Result<Ending, Error> {
        let mut watched = self.start(queue, job)?;
        loop {
            if let Some(ending) = self.check(&mut watched, queue, job)? {
                return Ok(ending);
            }
            if let Some(left) = watched.leaving.map(|since| GRACE.saturating_sub(since.elapsed())) {
                let gone = watched.process.ended()?.is_some();
                if (gone && watched.ends == 2) || left.is_zero() {
                    return self.conclude(watched);
                }
            } else if watched.process.ended()?.is_some() {
                // Somebody else holds its pipes.
                watched.leaving = Some(Instant::now());
            }
            self.show(&watched)?;
            let pause = if watched.leaving.is_some() { SHORT_TICK } else { TICK };
            if let Some(event) = self.events.next(pause) {
                self.take(event, &mut watched, queue, job)?;
            }
        }
    }

    fn start(&mut self, queue: &[usize], job: &Job<'_>) -> Result<Watched, Error> {
        let items = || queue.iter().map(|&item| &self.items[item]);
        let objects = job.objects.bytes_of(scenes_of(items()))?;
        let planned = queue.iter().zip(items()).map(|(&number, item)| PlannedItem {
            item: number,
            scene: item.scene.name.to_owned(),
            platform: item.platform.name().to_owned(),
            case: item.case.clone(),
        });
        let plan = Plan {
            parent: rustix::process::getpid().as_raw_pid(),
            way: self.options.way.clone(),
            seed: self.options.seed,
            watchdog_seconds: self.options.watchdog().as_secs_f64(),
            diagnostics: self.options.diagnostics.clone(),
            programs: Some(self.programs().to_owned()),
            devices: job.devices,
            items: planned.collect(),
            objects: objects.iter().map(|object| object.len() as u64).collect(),
        };
        let environment = queue.first().map(|&item| self.environment(self.items[item].platform));
        let process = Process::start(
            self.runner.words,
            &plan,
            &objects,
            environment.unwrap_or_default(),
            self.scratch.path(),
            &self.events,
        )
        .map_err(Error::Start)?;
        Ok(Watched {
            process,
            flights: Vec::new(),
            printed: VecDeque::new(),
            finished: false,
            tainted: false,
            nonsense: None,
            ends: 0,
            leaving: None,
        })
    }

    /// Ends the process if there is a reason to.
    fn check(
        &mut self,
        watched: &mut Watched,
        queue: &[usize],
        job: &Job<'_>,
    ) -> Result<Option<Ending>, Error> {
        if self.stopped.is_none() && self.is_late() {
            self.stopped = Some(Stopped::TotalTimeout);
        }
        let limit = self.options.timeout;
        let is_late = |flight: &Flight| flight.since.elapsed() >= limit;
        if self.stopped.is_none() && !watched.flights.iter().any(is_late) {
            return Ok(None);
        }
        let id = watched.process.id();
        for flight in watched.flights.iter_mut().filter(|flight| is_late(flight)) {
            flight.stall = Some(probe::describe(id, flight.thread));
        }
        watched.kill()?;
        self.hear_out(watched, queue, job)?;
        // Of these nothing more was heard. Those that are not to blame begin anew in the next process.
        for flight in std::mem::take(&mut watched.flights) {
            let (end, text) = match (self.stopped, &flight.stall) {
                (_, Some(stall)) => {
                    (End::TimedOut, format!("it did not end within {} s: {stall}", limit.as_secs_f64()))
                }
                (Some(stopped), None) => (End::Interrupted, stopped.text()),
                (None, None) => continue,
            };
            let attempt = self.attempt(end, &flight, job.alone, Some(text));
            self.end(watched, &flight, attempt, job)?;
        }
        Ok(Some(Ending::Killed))
    }

    /// Takes what a killed process had said before: it counts, however late it is read.
    fn hear_out(&mut self, watched: &mut Watched, queue: &[usize], job: &Job<'_>) -> Result<(), Error> {
        let start = Instant::now();
        while watched.ends < 2 && start.elapsed() < GRACE {
            if let Some(event) = self.events.next(SHORT_TICK) {
                self.take(event, watched, queue, job)?;
            }
        }
        Ok(())
    }

    /// Records how an item ended that did not say so itself.
    fn end(
        &mut self,
        watched: &Watched,
        flight: &Flight,
        mut attempt: Attempt,
        job: &Job<'_>,
    ) -> io::Result<()> {
        attempt.printed = watched.printed.iter().cloned().collect();
        attempt.pto_isa = self.tree(job.pto_isa);
        self.records[flight.item].attempts.push(attempt);
        if job.announce { self.announce(flight.item) } else { Ok(()) }
    }

    fn show(&mut self, watched: &Watched) -> io::Result<()> {
        if !self.progress.is_live() {
            return Ok(());
        }
        let text = |flight: &Flight| {
            let seconds = flight.since.elapsed().as_secs_f64();
            format!("dev{} {} {seconds:.1}s", flight.device, self.items[flight.item].name())
        };
        let under_way = watched.flights.iter().map(text).collect();
        let bar = self.bar(self.done(), self.items.len(), under_way);
        self.progress.show(&bar)
    }

    fn take(
        &mut self,
        event: Event,
        watched: &mut Watched,
        queue: &[usize],
        job: &Job<'_>,
    ) -> Result<(), Error> {
        let own = watched.process.number();
        match event {
            Event::Signal(signal) => self.stopped = Some(Stopped::Signal(signal)),
            Event::Printed(number, line) if number == own => {
                self.progress.printed(&line)?;
                if watched.printed.len() == PRINTED {
                    watched.printed.pop_front();
                }
                watched.printed.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            Event::Result(number, line) if number == own => match Message::from_line(&line) {
                Ok(message) => self.hear(message, watched, queue, job)?,
                // A process that was killed did not come to the end of its line.
                Err(_) if !line.ends_with(b"\n") => {}
                Err(error) => watched.talks_nonsense(&error.to_string()),
            },
            Event::ResultsEnd(number) if number == own => {
                watched.ends += 1;
                watched.leaving.get_or_insert_with(Instant::now);
            }
            Event::PrintedEnd(number) if number == own => watched.ends += 1,
            // Of an earlier process, or of a compilation that was stopped.
            _ => {}
        }
        Ok(())
    }

    fn hear(
        &mut self,
        message: Message,
        watched: &mut Watched,
        queue: &[usize],
        job: &Job<'_>,
    ) -> Result<(), Error> {
        match message {
            Message::Started { item, device, thread } if queue.contains(&item) => {
                watched.flights.push(Flight {
                    item,
                    device,
                    thread,
                    alone: job.alone,
                    pto_isa: job.pto_isa.map(Path::to_owned),
                    since: Instant::now(),
                    seconds: 0.0,
                    printed: Vec::new(),
                    stall: None,
                });
            }
            Message::Ended { item, device, seconds, result } => {
                let Some(index) = watched.flights.iter().position(|flight| flight.item == item) else {
                    watched.talks_nonsense("an item has ended that did not run");
                    return Ok(());
                };
                watched.flights.remove(index);
                watched.tainted |= matches!(result, CaseResult::Failed { still_running: true, .. });
                let mut attempt = outcome(result, device, seconds);
                attempt.alone = job.alone;
                attempt.pto_isa = self.tree(job.pto_isa);
                if !attempt.is_good() {
                    attempt.printed = watched.printed.iter().cloned().collect();
                }
                let failed = !attempt.is_good();
                self.records[item].attempts.push(attempt);
                if job.announce {
                    self.announce(item)?;
                }
                if failed && self.options.fail_fast && !job.alone {
                    // What else is under way begins anew, if this item passes on a retry.
                    (watched.finished, watched.tainted) = (true, true);
                    watched.process.kill()?;
                }
            }
            Message::Finished => {
                watched.finished = true;
                watched.leaving.get_or_insert_with(Instant::now);
                if watched.tainted {
                    watched.process.kill()?;
                }
            }
            Message::Started { .. } => watched.talks_nonsense("an item has begun that nobody wanted"),
        }
        Ok(())
    }

    /// The process is gone, or should be.
    fn conclude(&mut self, mut watched: Watched) -> Result<Ending, Error> {
        let went_by_itself = watched.process.ended()?.is_some();
        let status = watched.kill()?;
        let how = match &watched.nonsense {
            Some(nonsense) => format!("sent something that is no result ({nonsense})"),
            None if went_by_itself => how(status),
            None => "did not end".to_owned(),
        };
        if !watched.finished {
            let printed: Vec<String> = watched.printed.into_iter().collect();
            let mut flights = watched.flights;
            flights.iter_mut().for_each(|flight| flight.printed.clone_from(&printed));
            return Ok(Ending::Died { how, flights });
        }
        let well = went_by_itself && status.success();
        if !watched.tainted && !well {
            let text = format!("a process {how} after all its cases had ended");
            self.progress.line(&text)?;
            self.problems.push(text);
        }
        Ok(Ending::Done)
    }
}

impl Watched {
    fn kill(&mut self) -> io::Result<ExitStatus> {
        for flight in &mut self.flights {
            flight.seconds = flight.since.elapsed().as_secs_f64();
        }
        self.process.kill()
    }

    /// Whatever comes from it now is not to be trusted.
    fn talks_nonsense(&mut self, what: &str) {
        self.nonsense.get_or_insert_with(|| what.to_owned());
        self.leaving = Some(Instant::now());
        if let Err(error) = self.process.kill() {
            log::warn!("cannot end process {}: {error}", self.process.id());
        }
    }
}

fn outcome(result: CaseResult, device: u32, seconds: f64) -> Attempt {
    let (end, text, measured) = match result {
        CaseResult::Passed { note, runs, tasks, host_seconds, device_seconds } => {
            (End::Passed, note, Some(Measured { runs, tasks, host_seconds, device_seconds }))
        }
        CaseResult::LeftOut { why } => (End::LeftOut, Some(why), None),
        CaseResult::Failed { text, .. } => (End::Failed, Some(text), None),
    };
    let (printed, pto_isa) = (Vec::new(), None);
    Attempt { end, device: Some(device), alone: false, seconds, text, printed, pto_isa, measured }
}
