//! `pmu.csv`: hardware counters of each task (`spec/device-abi.md`, section 6.3).

use std::fmt::Write as _;
use std::path::Path;

use task_interface::CoreType;

use crate::error::RecordsError;
use crate::file;

/// Where the file lies in a run's output folder.
pub const FILE: &str = "pmu.csv";
/// Columns before the counters.
const FIRST: [&str; 6] = ["thread_id", "core_id", "task_id", "func_id", "core_type", "pmu_total_cycles"];
/// The column behind the counters.
const LAST: &str = "event_type";

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pmu {
    /// What is counted; the names depend on chip and event type.
    pub counters: Vec<String>,
    /// A row per block and sub-task.
    pub rows: Vec<PmuRow>,
}

/// The counters of one block of one sub-task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PmuRow {
    /// The AICPU thread that scheduled it.
    pub thread_id: u32,
    /// The core.
    pub core_id: u32,
    /// The task.
    pub task_id: u64,
    /// The kernel.
    pub func_id: u32,
    /// The core's kind.
    pub core_type: CoreType,
    /// Cycles of the kernel.
    pub total_cycles: u64,
    /// One value per name in [`Pmu::counters`].
    pub values: Vec<u64>,
    /// The event type that chose the counters.
    pub event_type: u32,
}

impl Pmu {
    /// Reads the file from a run's output folder; `None` if it is not there.
    ///
    /// # Errors
    /// It cannot be read, or is malformed.
    pub fn read(directory: &Path) -> Result<Option<Self>, RecordsError> {
        let path = directory.join(FILE);
        let Some(text) = file::read(&path)? else { return Ok(None) };
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
        let header = lines.next().map(|(_, line)| line).unwrap_or_default();
        let counters = counters_of(header).ok_or_else(|| {
            let reason = format!("the header is \"{header}\", not \"{},<counters>,{LAST}\"", FIRST.join(","));
            RecordsError::malformed(&path, "line 1", reason)
        })?;
        let rows = lines
            .map(|(number, line)| {
                PmuRow::parse(line, &counters)
                    .map_err(|reason| RecordsError::malformed(&path, format!("line {}", number + 1), reason))
            })
            .collect::<Result<_, _>>()?;
        Ok(Some(Self { counters, rows }))
    }

    /// Writes the file into a run's output folder, which is created when needed.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), RecordsError> {
        file::replace(&directory.join(FILE), self.to_csv().as_bytes())
    }

    /// The text of the file.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut out = header(&self.counters);
        for row in &self.rows {
            row.push_to(&mut out);
        }
        out
    }
}

/// The first line, for collectors that append rows while the run goes on.
#[must_use]
pub fn header(counters: &[String]) -> String {
    let columns = FIRST.into_iter().chain(counters.iter().map(String::as_str)).chain([LAST]);
    let mut line = columns.collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}

fn counters_of(header: &str) -> Option<Vec<String>> {
    let columns: Vec<&str> = header.split(',').collect();
    let counters = columns.strip_prefix(&FIRST)?.strip_suffix(&[LAST])?;
    Some(counters.iter().map(|&name| name.to_owned()).collect())
}

impl PmuRow {
    /// Appends the row as a line.
    pub fn push_to(&self, out: &mut String) {
        let Self { thread_id, core_id, task_id, func_id, core_type, total_cycles, values, event_type } = self;
        let core_type = i32::from(*core_type);
        // Writing to a `String` cannot fail.
        let _ = write!(out, "{thread_id},{core_id},{task_id:#018x},{func_id},{core_type},{total_cycles}");
        for value in values {
            let _ = write!(out, ",{value}");
        }
        let _ = writeln!(out, ",{event_type}");
    }

    fn parse(line: &str, counters: &[String]) -> Result<Self, String> {
        let fields: Vec<&str> = line.split(',').collect();
        let expected = FIRST.len() + counters.len() + 1;
        if fields.len() != expected {
            return Err(format!("{} values, but the header has {expected} columns", fields.len()));
        }
        let names = FIRST.into_iter().chain(counters.iter().map(String::as_str)).chain([LAST]);
        let mut columns = names.zip(fields);
        let mut next = || columns.next().unwrap_or_default();
        Ok(Self {
            thread_id: number(next())?,
            core_id: number(next())?,
            task_id: hex(next())?,
            func_id: number(next())?,
            core_type: core_type(next())?,
            total_cycles: number(next())?,
            values: counters.iter().map(|_| number(next())).collect::<Result<_, _>>()?,
            event_type: number(next())?,
        })
    }
}

fn number<T: std::str::FromStr>((column, text): (&str, &str)) -> Result<T, String> {
    text.parse().map_err(|_| format!("{column} is \"{text}\", not a number that fits"))
}

fn hex((column, text): (&str, &str)) -> Result<u64, String> {
    parse_hex(text).ok_or_else(|| format!("{column} is \"{text}\", not a 64-bit number in hexadecimal"))
}

/// The number of a text like `0x0000000100000003`.
pub(crate) fn parse_hex(text: &str) -> Option<u64> {
    // `from_str_radix` alone would take a sign.
    let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'))?;
    u64::from_str_radix(digits, 16).ok()
}

fn core_type(field: (&str, &str)) -> Result<CoreType, String> {
    let kind = number::<i32>(field)?;
    CoreType::try_from(kind).map_err(|_| format!("core_type is {kind}, not 0 (AIC) or 1 (AIV)"))
}
