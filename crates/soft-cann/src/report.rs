//! What the instrument tells about a device: what is left, what was done wrong, which calls were made.

use std::fmt;
use std::time::Duration;

/// What a program did that CANN forgives, or punishes later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What sort of mistake it is.
    pub kind: ViolationKind,
    /// What happened, with addresses and handles.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

/// Sorts of [`Violation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ViolationKind {
    /// A buffer was freed while a task that was launched may use it, or used after it had been freed.
    UseAfterFree,
    /// An address that is not what the call asks for.
    UnknownPointer,
    /// A copy runs over the end of a buffer.
    OutOfBounds,
    /// Memory next to a buffer was written.
    GuardDamaged,
    /// A handle that was destroyed, or that no call ever returned.
    StaleHandle,
    /// A stream that has failed was synchronised once more, which wedges a chip.
    WouldWedge,
    /// More blocks than there are cores in a launch whose blocks must run together.
    TooManyBlocks,
    /// A stream or device was destroyed while tasks on it did not end.
    DestroyedBusy,
    /// Memory that is mapped into the host was freed, mapped twice, or unmapped without being mapped.
    HostMapping,
    /// More resets than sets.
    Imbalance,
    /// A dispatcher differs from the one that the device process has loaded, which stays in use.
    OtherDispatcher,
    /// A device program could not be loaded or found.
    BadProgram,
    /// A setting of the instrument itself that it does not understand.
    Setting,
}

/// What a device still holds, in numbers and addresses.
///
/// While a device is in use this is simply what there is; after a whole life it is what leaked. What a last
/// `rtDeviceReset` swept away counts as leaked; what `aclrtResetDeviceForce` swept away does not, because
/// that is what it is for. A device that was lost took everything with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeakReport {
    /// Sets without a reset.
    pub device_references: u64,
    /// Address and size of each buffer.
    pub allocations: Vec<(u64, u64)>,
    /// Streams that were not destroyed.
    pub streams: u64,
    /// AICore binaries that were not unregistered.
    pub programs: u64,
    /// JSON binaries that were not unloaded.
    pub binaries: u64,
    /// Buffers that are mapped into the host.
    pub host_mappings: u64,
    /// IPC keys that were exported or imported and not closed.
    pub ipc_keys: u64,
    /// Communicators that were not destroyed.
    pub communicators: u64,
    /// `aclInit` without `aclFinalize`.
    pub acl_inits: u64,
    /// Tasks that have not ended, counting those that were given up.
    pub running_tasks: u64,
}

impl LeakReport {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.device_references += other.device_references;
        self.allocations.extend(other.allocations);
        self.streams += other.streams;
        self.programs += other.programs;
        self.binaries += other.binaries;
        self.host_mappings += other.host_mappings;
        self.ipc_keys += other.ipc_keys;
        self.communicators += other.communicators;
        self.acl_inits += other.acl_inits;
        self.running_tasks += other.running_tasks;
    }
}

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: u64 = self.allocations.iter().map(|(_, size)| size).sum();
        let allocations = self.allocations.len() as u64;
        let counts = [
            ("device references", self.device_references),
            ("allocations", allocations),
            ("bytes", bytes),
            ("streams", self.streams),
            ("programs", self.programs),
            ("binaries", self.binaries),
            ("host mappings", self.host_mappings),
            ("IPC keys", self.ipc_keys),
            ("communicators", self.communicators),
            ("ACL inits", self.acl_inits),
            ("running tasks", self.running_tasks),
        ];
        let mut left = counts.iter().filter(|(_, count)| *count > 0);
        let Some((name, count)) = left.next() else { return f.write_str("nothing is left") };
        write!(f, "left: {count} {name}")?;
        left.try_for_each(|(name, count)| write!(f, ", {count} {name}"))
    }
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The function.
    pub name: &'static str,
    /// Its arguments as words; pointers are addresses, and what they point at is not recorded.
    pub args: Vec<u64>,
    /// What it returned.
    pub code: i32,
    /// The thread that called, as the kernel numbers it.
    pub thread: i32,
    /// When it returned, since the instrument was first used.
    pub time: Duration,
}
