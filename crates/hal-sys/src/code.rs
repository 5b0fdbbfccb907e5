use std::fmt;

mod acl_args;
mod acl_device;
mod acl_resources;
mod action;
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
    /// The driver failed in a way that has no number of its own; usual after something else failed on the
    /// device.
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

/// Rows of a table: `number name fault: meaning => next action;`, in the order of the numbers.
macro_rules! entries {
    ($($number:literal $name:ident $fault:ident: $meaning:literal => $next_action:expr;)*) => {
        pub(super) const ENTRIES: &[$crate::code::Entry] = &[$($crate::code::Entry {
            number: $number,
            name: stringify!($name),
            fault: $crate::code::Fault::$fault,
            meaning: $meaning,
            next_action: $next_action,
        }),*];
    };
}
use entries;

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
            (Family::Acl, 0x0711_000D) => &NOT_ON_THIS_CHIP,
            (Family::Acl, 100_000..=199_999) => &UNKNOWN_ARGUMENT,
            (Family::Acl, 200_000..=299_999) => &UNKNOWN_RESOURCE,
            (Family::Acl, 500_000..=599_999) => &UNKNOWN_INTERNAL,
            _ => &UNKNOWN,
        })
    }
}

/// By the first digit.
const ACL: [&[Entry]; 3] = [acl_args::ENTRIES, acl_resources::ENTRIES, acl_device::ENTRIES];

const fn unknown(fault: Fault, meaning: &'static str, next_action: &'static str) -> Entry {
    Entry { number: 0, name: "", fault, meaning, next_action }
}

const UNKNOWN: Entry = unknown(Fault::Other, "an error that this version does not know", action::LOOK_UP);
const UNKNOWN_ARGUMENT: Entry = unknown(
    Fault::Param,
    "the call was refused, for a reason that this version does not know",
    action::LOOK_UP,
);
const UNKNOWN_RESOURCE: Entry =
    unknown(Fault::Resource, "something is lacking that this version does not know", action::LOOK_UP);
const UNKNOWN_INTERNAL: Entry = unknown(
    Fault::Other,
    "CANN or the device failed in a way that this version does not know",
    action::LOOK_UP,
);
/// A number of the runtime's own that gets out unmapped.
const NOT_ON_THIS_CHIP: Entry = unknown(
    Fault::NotSupported,
    "this chip has no such thing (a number of the runtime's own)",
    action::UPGRADE,
);

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

#[cfg(test)]
mod tests {
    use super::*;

    /// The names and numbers of all versions of CANN that are known.
    const ACL_CODES: &str = include_str!("code/acl_codes.txt");

    fn listed() -> impl Iterator<Item = (i32, &'static str)> {
        let rows = ACL_CODES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        rows.map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap().parse().unwrap(), words.next().unwrap())
        })
    }

    #[test]
    fn every_code_of_every_version_has_its_entry() {
        assert_eq!(listed().count(), 132);
        for (number, name) in listed() {
            assert_eq!(Code::acl(number).name(), Some(name), "{number}");
        }
    }

    #[test]
    fn the_numbers_of_the_declarations_have_entries_of_their_names() {
        use crate::sys;
        let driver = [
            (sys::DRV_ERROR_NO_DEVICE, "DRV_ERROR_NO_DEVICE"),
            (sys::DRV_ERROR_INVALID_DEVICE, "DRV_ERROR_INVALID_DEVICE"),
            (sys::DRV_ERROR_INVALID_VALUE, "DRV_ERROR_INVALID_VALUE"),
            (sys::DRV_ERROR_INVALID_HANDLE, "DRV_ERROR_INVALID_HANDLE"),
            (sys::DRV_ERROR_OUT_OF_MEMORY, "DRV_ERROR_OUT_OF_MEMORY"),
            (sys::DRV_ERROR_INNER_ERR, "DRV_ERROR_INNER_ERR"),
            (sys::DRV_ERROR_PARA_ERROR, "DRV_ERROR_PARA_ERROR"),
            (sys::DRV_ERROR_NOT_EXIST, "DRV_ERROR_NOT_EXIST"),
            (sys::DRV_ERROR_REPEATED_USERD, "DRV_ERROR_REPEATED_USERD"),
            (sys::DRV_ERROR_BUSY, "DRV_ERROR_BUSY"),
            (sys::DRV_ERROR_NO_RESOURCES, "DRV_ERROR_NO_RESOURCES"),
            (sys::DRV_ERROR_WAIT_TIMEOUT, "DRV_ERROR_WAIT_TIMEOUT"),
            (sys::DRV_ERROR_IOCRL_FAIL, "DRV_ERROR_IOCRL_FAIL"),
            (sys::DRV_ERROR_OPER_NOT_PERMITTED, "DRV_ERROR_OPER_NOT_PERMITTED"),
            (sys::DRV_ERROR_NOT_SUPPORT, "DRV_ERROR_NOT_SUPPORT"),
        ];
        for (number, name) in driver {
            assert_eq!(Code::driver(number.cast_signed()).name(), Some(name));
        }
        let hccl = [
            (sys::HCCL_E_PARA, "HCCL_E_PARA"),
            (sys::HCCL_E_PTR, "HCCL_E_PTR"),
            (sys::HCCL_E_MEMORY, "HCCL_E_MEMORY"),
            (sys::HCCL_E_INTERNAL, "HCCL_E_INTERNAL"),
            (sys::HCCL_E_NOT_SUPPORT, "HCCL_E_NOT_SUPPORT"),
            (sys::HCCL_E_NOT_FOUND, "HCCL_E_NOT_FOUND"),
            (sys::HCCL_E_UNAVAIL, "HCCL_E_UNAVAIL"),
            (sys::HCCL_E_SYSCALL, "HCCL_E_SYSCALL"),
            (sys::HCCL_E_TIMEOUT, "HCCL_E_TIMEOUT"),
            (sys::HCCL_E_RUNTIME, "HCCL_E_RUNTIME"),
            (sys::HCCL_E_DRV, "HCCL_E_DRV"),
            (sys::HCCL_E_AGAIN, "HCCL_E_AGAIN"),
            (sys::HCCL_E_REMOTE, "HCCL_E_REMOTE"),
            (sys::HCCL_E_SUSPENDING, "HCCL_E_SUSPENDING"),
            (sys::HCCL_E_OPRETRY_FAIL, "HCCL_E_OPRETRY_FAIL"),
            (sys::HCCL_E_OOM, "HCCL_E_OOM"),
            (sys::HCCL_E_IN_STATUS, "HCCL_E_IN_STATUS"),
        ];
        for (number, name) in hccl {
            assert_eq!(Code::hccl(number.cast_signed()).name(), Some(name));
        }
        let codes = listed().count() + 4 + driver.len() + hccl.len();
        assert_eq!(Code::known().count(), codes, "an entry is of no list");
    }

    #[test]
    fn the_tables_are_in_order() {
        for entries in ACL.into_iter().chain([driver::ENTRIES, hccl::ENTRIES]) {
            assert!(entries.is_sorted_by(|one, next| one.number < next.number));
        }
    }

    #[test]
    fn every_known_code_says_something_of_its_own_kind() {
        for code in Code::known() {
            assert!(code.meaning().len() > 10, "{code}");
            assert!(code.next_action().len() > 10, "{code}");
            assert!(!code.to_string().contains("  "), "{code}");
            assert!(!code.meaning().ends_with('.') && !code.next_action().ends_with('.'), "{code}");
        }
    }

    #[test]
    fn unknown_codes_have_the_meaning_of_their_class() {
        let faults = [
            (Code::acl(107_999), Fault::Param),
            (Code::acl(207_999), Fault::Resource),
            (Code::acl(507_500), Fault::Other),
            (Code::acl(-1), Fault::Other),
            (Code::acl(0x0711_000D), Fault::NotSupported),
            (Code::driver(4711), Fault::Other),
            (Code::hccl(4711), Fault::Other),
        ];
        for (code, fault) in faults {
            assert_eq!(code.name(), None, "{code}");
            assert_eq!(code.fault(), fault, "{code}");
            assert!(!code.meaning().is_empty() && !code.next_action().is_empty());
        }
    }

    #[test]
    fn the_device_is_suspect_after_what_the_spec_says() {
        for number in [507_000, 507_018, 507_046, 507_057, 507_099, 507_899, 507_901] {
            assert!(Code::acl(number).suspect(), "{number}");
        }
        for number in [100_002, 107_000, 107_002, 207_001, 207_008, 507_900, 507_902, 0x0711_000D] {
            assert!(!Code::acl(number).suspect(), "{number}");
        }
        assert!(Code::driver(17).suspect() && !Code::driver(13).suspect());
        assert!(Code::hccl(15).suspect() && !Code::hccl(1).suspect());
    }

    #[test]
    fn the_same_number_is_another_error_for_another_library() {
        assert_ne!(Code::driver(16), Code::hccl(16));
        assert_eq!(Code::driver(16).name(), Some("DRV_ERROR_WAIT_TIMEOUT"));
        assert_eq!(Code::hccl(16).name(), Some("HCCL_E_DRV"));
        assert_eq!((Code::hccl(16).family(), Code::hccl(16).number()), (Family::Hccl, 16));
    }

    #[test]
    fn a_code_is_shown_with_number_name_meaning_and_action() {
        let text = Code::acl(507_018).to_string();
        assert!(text.starts_with("507018 (ACL_ERROR_RT_AICPU_EXCEPTION): "), "{text}");
        assert!(text.contains("AICPU") && text.contains("; "), "{text}");
        assert!(Code::acl(0x0711_000D).to_string().starts_with("0x711000d: "));
        assert!(Code::acl(-3).to_string().starts_with("-3: "));
        assert_eq!(format!("{:?}", Code::driver(13)), "Driver 13 DRV_ERROR_BUSY");
    }
}
