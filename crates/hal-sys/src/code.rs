use std::fmt;

mod acl_args;
mod acl_device;
mod acl_resources;
mod driver;
mod hccl;

/// Whose number it is: the same one means different things to different libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Family {
    /// `rt*`, `rts*` and `acl*` calls.
    Acl,
    /// `hal*` calls.
    Driver,
    /// `Hccl*` calls.
    Hccl,
}

/// What kind of thing went wrong, for those who decide what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Something took longer than it may. What was waited for may still be running.
    Timeout,
    /// A program on the AICPU returned an error, crashed, or could not be loaded.
    AicpuException,
    /// A kernel on a core crashed.
    AicoreException,
    /// The driver failed in a way that has no number of its own; usual after something else failed on the device.
    DriverInternal,
    /// No memory, on the device or on the host.
    OutOfMemory,
    /// Some other resource is used up, in use, or not there now.
    Resource,
    /// The calling thread is not attached to the device.
    NotAttached,
    /// An argument is wrong, or a call comes at a wrong time.
    Param,
    /// The connection to the device, or to another one, is lost.
    Link,
    /// The device or the installed version cannot do it.
    NotSupported,
    /// Anything else.
    Other,
}

/// What a call of CANN or of the driver returned.
///
/// Versions of CANN add numbers, so this is open: one that is not known has the meaning of its class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code {
    family: Family,
    number: i32,
}

/// A row of the tables.
#[derive(Debug)]
struct Entry {
    number: i32,
    name: &'static str,
    fault: Fault,
    meaning: &'static str,
    next_action: &'static str,
}

const fn row(
    number: i32,
    name: &'static str,
    fault: Fault,
    meaning: &'static str,
    next_action: &'static str,
) -> Entry {
    Entry { number, name, fault, meaning, next_action }
}

impl Code {
    /// A number that a call of this family returned.
    #[must_use]
    pub const fn new(family: Family, number: i32) -> Self {
        Self { family, number }
    }

    /// A number that an `rt*`, `rts*` or `acl*` call returned.
    #[must_use]
    pub const fn acl(number: i32) -> Self {
        Self::new(Family::Acl, number)
    }

    /// A number that a `hal*` call returned.
    #[must_use]
    pub const fn driver(number: i32) -> Self {
        Self::new(Family::Driver, number)
    }

    /// A number that an `Hccl*` call returned.
    #[must_use]
    pub const fn hccl(number: i32) -> Self {
        Self::new(Family::Hccl, number)
    }

    /// Whose number it is.
    #[must_use]
    pub const fn family(self) -> Family {
        self.family
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.number
    }

    /// The vendor's name of it, if it is known.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.entry().map(|entry| entry.name)
    }

    /// What it means.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.described().meaning
    }

    /// What to do about it.
    #[must_use]
    pub fn next_action(self) -> &'static str {
        self.described().next_action
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn fault(self) -> Fault {
        self.described().fault
    }

    /// Whether the device may be in a state in which nothing else should be run on it before it was reset
    /// (`spec/hal.md`, section 3): 5070xx, 507899, 507901, and what the driver and HCCL turn into these.
    #[must_use]
    pub fn suspect(self) -> bool {
        match self.family {
            Family::Acl => matches!(self.number, 507_000..=507_099 | 507_899 | 507_901),
            Family::Driver => driver::SUSPECT.contains(&self.number),
            Family::Hccl => hccl::SUSPECT.contains(&self.number),
        }
    }

    /// All codes that have an entry of their own.
    pub fn known() -> impl Iterator<Item = Self> {
        let of = |family, entries: &'static [Entry]| {
            entries.iter().map(move |entry| Self::new(family, entry.number))
        };
        ACL.iter()
            .flat_map(move |entries| of(Family::Acl, entries))
            .chain(of(Family::Driver, driver::ENTRIES))
            .chain(of(Family::Hccl, hccl::ENTRIES))
    }

    fn entry(self) -> Option<&'static Entry> {
        let find = |entries: &'static [Entry]| {
            let place = entries.binary_search_by_key(&self.number, |entry| entry.number);
            place.ok().and_then(|place| entries.get(place))
        };
        match self.family {
            Family::Acl => ACL.iter().find_map(|entries| find(entries)),
            Family::Driver => find(driver::ENTRIES),
            Family::Hccl => find(hccl::ENTRIES),
        }
    }

    fn described(self) -> &'static Entry {
        self.entry().unwrap_or(match (self.family, self.number) {
            (Family::Acl, 100_000..=199_999) => &UNKNOWN_ARGUMENT,
            (Family::Acl, 200_000..=299_999) => &UNKNOWN_RESOURCE,
            (Family::Acl, 500_000..=599_999) => &UNKNOWN_INTERNAL,
            _ => &UNKNOWN,
        })
    }
}

/// By the first digit.
const ACL: [&[Entry]; 3] = [acl_args::ENTRIES, acl_resources::ENTRIES, acl_device::ENTRIES];

const LOOK_UP: &str = "look the number up in the documentation of the installed CANN, and at its log";
const UNKNOWN: Entry = row(0, "", Fault::Other, "an error that this version does not know", LOOK_UP);
const UNKNOWN_ARGUMENT: Entry =
    row(0, "", Fault::Param, "the call was refused, for a reason that this version does not know", LOOK_UP);
const UNKNOWN_RESOURCE: Entry =
    row(0, "", Fault::Resource, "a resource is missing, one that this version does not know", LOOK_UP);
const UNKNOWN_INTERNAL: Entry =
    row(0, "", Fault::Other, "something failed in CANN or on the device, unknown to this version", LOOK_UP);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, number } = self;
        match (family, self.name()) {
            (_, Some(name)) => write!(f, "{number} ({name})")?,
            // The runtime's own numbers get out here and there; they are written in hexadecimal everywhere.
            (Family::Acl, None) if *number > 0xff_ffff => write!(f, "{number:#x}")?,
            (_, None) => write!(f, "{number}")?,
        }
        write!(f, ": {}; {}", self.meaning(), self.next_action())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {}", self.family, self.number, self.name().unwrap_or("unknown"))
    }
}
