//! One device: what its calls share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::aicpu::AicpuProcess;
use crate::chip::{Chip, Cores, Registers};
use crate::codes;
use crate::memory::{Memory, Refusal};
use crate::peers::Peers;
use crate::report::{Call, LeakReport, Violation, ViolationKind};
use crate::rule::{Effect, Injected, Rule, Rules};
use crate::settings::Settings;
use crate::sync::lock;
use crate::task::Task;

/// Calls that are remembered per device; the oldest are forgotten.
const JOURNAL: usize = 1 << 16;

/// The number of the device that stands for calls which belong to none.
pub(crate) const NOBODY: i32 = -1;

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) id: i32,
    pub(crate) chip: Chip,
    pub(crate) rules: Rules,
    pub(crate) memory: Memory,
    pub(crate) cores: Cores,
    pub(crate) registers: Registers,
    pub(crate) aicpu: AicpuProcess,
    pub(crate) peers: Peers,
    /// A test has it for itself.
    pub(crate) leased: bool,
    life: Mutex<Life>,
    journal: Mutex<VecDeque<Call>>,
    calls: Mutex<BTreeMap<&'static str, u64>>,
    violations: Mutex<Vec<Violation>>,
    tasks: Mutex<BTreeMap<u64, Weak<Task>>>,
    serial: AtomicU64,
    /// What `aclrtSetOpExecuteTimeOutV2` set, in microseconds; 0 is no limit.
    op_timeout_us: AtomicU64,
    time_scale: AtomicU32,
}

/// How far the device is in its life.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    /// Sets without a reset.
    pub(crate) references: u64,
    /// The primary context, by a number that is never used again; there is one while there are references.
    pub(crate) context: Option<u64>,
    pub(crate) lost: bool,
    /// Allocations fail until the next reset.
    pub(crate) cascading: bool,
    pub(crate) acl_inits: u64,
    /// What the last reset of a life had to sweep away.
    pub(crate) swept: LeakReport,
}

impl Device {
    pub(crate) fn new(id: i32, chip: Chip, settings: &Settings, leased: bool) -> Arc<Self> {
        let device = Arc::new(Self {
            id,
            chip,
            rules: Rules::default(),
            memory: Memory::new(settings.memory),
            cores: Cores::new(chip),
            registers: Registers::new(chip),
            aicpu: AicpuProcess::default(),
            peers: Peers::default(),
            leased,
            life: Mutex::default(),
            journal: Mutex::default(),
            calls: Mutex::default(),
            violations: Mutex::default(),
            tasks: Mutex::default(),
            serial: AtomicU64::new(0),
            op_timeout_us: AtomicU64::new(0),
            time_scale: AtomicU32::new(settings.time_scale),
        });
        for (_, rule) in settings.rules.iter().filter(|(only, _)| only.is_none_or(|only| only == id)) {
            device.inject(rule.clone());
        }
        device
    }

    pub(crate) fn inject(&self, rule: Rule) -> Injected {
        match rule.effect {
            Effect::MemoryLimit(bytes) => self.memory.set_limit(bytes),
            Effect::CoreBitmap(bitmap) => self.cores.set_bitmap(bitmap),
            _ => {}
        }
        self.rules.add(rule)
    }

    pub(crate) fn life<T>(&self, look: impl FnOnce(&mut Life) -> T) -> T {
        look(&mut lock(&self.life))
    }

    pub(crate) fn is_lost(&self) -> bool {
        lock(&self.life).lost
    }

    /// The process behind the device dies: running tasks fail, and so does every later call.
    pub(crate) fn lose(&self) {
        lock(&self.life).lost = true;
        self.kill_tasks(codes::LOST_HEARTBEAT);
    }

    pub(crate) fn report(&self, kind: ViolationKind, text: String) {
        log::warn!("device {}: {text}", self.id);
        lock(&self.violations).push(Violation { kind, text });
    }

    /// The code of a refused call, its violation reported.
    pub(crate) fn refuse(&self, refusal: Refusal) -> i32 {
        if let Some(Violation { kind, text }) = refusal.violation {
            self.report(kind, text);
        }
        refusal.code
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        let mut all = lock(&self.violations).clone();
        all.extend(self.memory.damage());
        all
    }

    pub(crate) fn record(&self, call: Call) {
        *lock(&self.calls).entry(call.name).or_default() += 1;
        let mut journal = lock(&self.journal);
        if journal.len() == JOURNAL {
            journal.pop_front();
        }
        journal.push_back(call);
    }

    pub(crate) fn journal(&self) -> Vec<Call> {
        lock(&self.journal).iter().cloned().collect()
    }

    pub(crate) fn calls(&self, name: &str) -> u64 {
        lock(&self.calls).get(name).copied().unwrap_or(0)
    }

    pub(crate) fn begin(&self, task: Weak<Task>) -> u64 {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        lock(&self.tasks).insert(serial, task);
        serial
    }

    pub(crate) fn end(&self, serial: u64) {
        lock(&self.tasks).remove(&serial);
    }

    /// Tasks that are queued, running, or given up and not gone.
    pub(crate) fn running(&self) -> u64 {
        lock(&self.tasks).len() as u64
    }

    fn tasks(&self) -> Vec<Arc<Task>> {
        // The last reference to a task may be dropped by the caller, which takes the lock again.
        lock(&self.tasks).values().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn kill_tasks(&self, code: i32) {
        for task in self.tasks() {
            task.kill(code);
        }
    }

    /// Whether a task that has not ended may use the buffer that starts here.
    pub(crate) fn may_be_used(&self, buffer: u64) -> bool {
        let roots: Vec<u64> = self.tasks().iter().flat_map(|task| task.roots().to_vec()).collect();
        !roots.is_empty() && self.memory.reachable(&roots).contains(&buffer)
    }

    pub(crate) fn set_time_scale(&self, scale: u32) {
        self.time_scale.store(scale.max(1), Ordering::Relaxed);
    }

    /// A limit that a program gave for a chip, as it holds here.
    pub(crate) fn scaled(&self, time: Duration) -> Duration {
        time.saturating_mul(self.time_scale.load(Ordering::Relaxed))
    }

    pub(crate) fn set_op_timeout(&self, microseconds: u64) {
        self.op_timeout_us.store(microseconds, Ordering::Relaxed);
    }

    pub(crate) fn op_timeout(&self) -> Option<Duration> {
        let set = self.op_timeout_us.load(Ordering::Relaxed);
        (set > 0).then(|| self.scaled(Duration::from_micros(set)))
    }

    /// An AICPU exception, which may be the first of a series.
    pub(crate) fn aicpu_exception(&self) -> i32 {
        let cascade = self.rules.on_event(|effect| matches!(effect, Effect::Cascade).then_some(()));
        if cascade.is_some() {
            lock(&self.life).cascading = true;
        }
        codes::AICPU_EXCEPTION
    }
}
