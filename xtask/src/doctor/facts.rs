//! What there is, without judging it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hal_sys::{Inventory, Loader};
use kernel_compiler::KernelCompiler;

/// What a machine has.
pub struct Facts {
    pub machine: Machine,
    /// What compiles kernels and orchestrations for the simulated chips, or why there is nothing.
    pub kernel_compiler: Result<String, String>,
    /// The C++ compilers that were looked for, and are there.
    pub compilers: Vec<Compiler>,
    pub pto_isa: PtoIsa,
    pub toolkit: Option<Installed>,
    /// The compiler for kernels of real chips.
    pub ccec: Option<PathBuf>,
    /// The compiler for AICPU programs of real chips.
    pub aicpu_compiler: Option<PathBuf>,
    pub driver: Option<Installed>,
    pub devices: Vec<Device>,
    /// The libraries of CANN and of the driver.
    pub libraries: Inventory,
}

pub struct Machine {
    pub cpus: usize,
    /// In bytes; `None` where the system does not tell.
    pub memory: Option<u64>,
    pub free_memory: Option<u64>,
}

pub struct Compiler {
    pub name: String,
    pub version: String,
    /// Whether it has `std::bfloat16_t`, which some kernels need.
    pub bfloat16: bool,
}

/// Where kernels find PTO-ISA.
pub enum PtoIsa {
    NotSet,
    /// The directory has no `include/pto`.
    Wrong(PathBuf),
    Found(PathBuf),
}

/// Something that the vendor installs.
pub struct Installed {
    pub path: PathBuf,
    pub version: Option<String>,
}

pub struct Device {
    pub path: PathBuf,
    /// Whether this user may open it.
    pub open: bool,
}

/// Where a toolkit and a driver say which version they are, the first that is there.
const VERSION_FILES: [&str; 8] = [
    "version.cfg",
    "version.info",
    "ascend_toolkit_install.info",
    "x86_64-linux/ascend_toolkit_install.info",
    "aarch64-linux/ascend_toolkit_install.info",
    "runtime/version.info",
    "share/info/runtime/version.info",
    "compiler/version.info",
];

/// Below a toolkit (`spec/public-abi.md`).
const CCEC: [&str; 2] = ["bin/ccec", "compiler/ccec_compiler/bin/ccec"];
const AICPU_COMPILER: &str = "tools/hcc/bin/aarch64-target-linux-gnu-g++";

const DRIVER: &str = "usr/local/Ascend/driver";

impl Facts {
    /// What is found below `root`, along the search path for programs and in the environment.
    pub fn of(root: &Path) -> Self {
        let loader = Loader::new().root(root);
        let toolkit = loader.toolkits().into_iter().find(|path| path.is_dir());
        let in_toolkit =
            |name: &str| toolkit.as_ref().map(|path| path.join(name)).filter(|path| path.is_file());
        let ccec = on_path("ccec").or_else(|| CCEC.into_iter().find_map(in_toolkit));
        Self {
            machine: Machine::of_this_process(),
            kernel_compiler: kernel_compiler(),
            compilers: compilers(),
            pto_isa: pto_isa(),
            ccec,
            aicpu_compiler: in_toolkit(AICPU_COMPILER),
            toolkit: toolkit.map(Installed::at),
            driver: Some(root.join(DRIVER)).filter(|path| path.is_dir()).map(Installed::at),
            devices: devices(&root.join("dev")),
            libraries: loader.inventory(),
        }
    }
}

impl Machine {
    fn of_this_process() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let table = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            cpus,
            memory: memory_line(&table, "MemTotal:"),
            free_memory: memory_line(&table, "MemAvailable:"),
        }
    }
}

/// A line of `/proc/meminfo`, which counts in units of 1024 bytes.
fn memory_line(table: &str, name: &str) -> Option<u64> {
    let rest = table.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

impl Installed {
    fn at(path: PathBuf) -> Self {
        let version = VERSION_FILES.iter().find_map(|file| {
            let text = fs::read_to_string(path.join(file)).ok()?;
            text.lines()
                .find(|line| line.to_ascii_lowercase().contains("version"))
                .map(|line| line.trim().to_owned())
        });
        Self { path, version }
    }
}

fn kernel_compiler() -> Result<String, String> {
    match KernelCompiler::builder().no_cache().build() {
        Ok(compiler) => Ok(compiler.description()),
        Err(error) => Err(error.to_string()),
    }
}

fn pto_isa() -> PtoIsa {
    match env::var_os("PTO_ISA_ROOT").filter(|root| !root.is_empty()).map(PathBuf::from) {
        None => PtoIsa::NotSet,
        Some(root) if root.join("include/pto").is_dir() => PtoIsa::Found(root),
        Some(root) => PtoIsa::Wrong(root),
    }
}

/// A program of this name along the search path.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

fn compilers() -> Vec<Compiler> {
    let set = ["SIMPLER_CXX", "CXX"]
        .into_iter()
        .filter_map(|name| env::var(name).ok())
        .filter(|name| !name.is_empty());
    let mut names: Vec<String> = set.collect();
    names.extend(["g++", "g++-15", "clang++"].map(str::to_owned));
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names.into_iter().filter_map(Compiler::ask).collect()
}

impl Compiler {
    /// `None` when there is no such program, or it is none.
    fn ask(name: String) -> Option<Self> {
        // As in `ccache g++`: what follows the program are its first arguments.
        let mut words = name.split_whitespace();
        let (program, first) = (words.next()?, words.collect::<Vec<_>>());
        let output =
            Command::new(program).args(&first).arg("--version").stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().next().filter(|_| output.status.success())?.trim().to_owned();
        let bfloat16 = has_bfloat16(program, &first);
        Some(Self { name, version, bfloat16 })
    }
}

fn has_bfloat16(program: &str, first: &[&str]) -> bool {
    let source = "#include <stdfloat>\nstd::bfloat16_t value;\n";
    let Ok(scratch) = tempfile::tempdir() else { return false };
    let path = scratch.path().join("bfloat16.cpp");
    if fs::write(&path, source).is_err() {
        return false;
    }
    let mut command = Command::new(program);
    command.args(first).args(["-std=c++23", "-fsyntax-only"]).arg(&path);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// `/dev/davinci0` and so on, in the order of their numbers.
fn devices(dev: &Path) -> Vec<Device> {
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("davinci")?.parse::<u32>().ok();
    let entries = fs::read_dir(dev).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<_> = entries.filter_map(|path| number(&path).map(|number| (number, path))).collect();
    found.sort();
    let device = |path: PathBuf| {
        let open = fs::OpenOptions::new().read(true).write(true).open(&path).is_ok();
        Device { path, open }
    };
    found.into_iter().map(|(_, path)| device(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let table = "MemTotal:        4014564 kB\nMemFree:   1 kB\nMemAvailable:    2000 kB\n";
        assert_eq!(memory_line(table, "MemTotal:"), Some(4_014_564 * 1024));
        assert_eq!(memory_line(table, "MemAvailable:"), Some(2_048_000));
        assert_eq!(memory_line(table, "SwapTotal:"), None);
        assert_eq!(memory_line("MemTotal: many kB", "MemTotal:"), None);
    }

    #[test]
    fn devices_come_in_the_order_of_their_numbers() {
        let dev = tempfile::tempdir().unwrap();
        for name in ["davinci10", "davinci2", "davinci_manager", "null"] {
            fs::write(dev.path().join(name), "").unwrap();
        }
        let names: Vec<_> = devices(dev.path())
            .into_iter()
            .map(|device| device.path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["davinci2", "davinci10"]);
        assert!(devices(&dev.path().join("none")).is_empty());
    }

    #[test]
    fn the_first_version_file_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Installed::at(dir.path().to_owned()).version, None);
        fs::write(dir.path().join("version.info"), "package=driver\nVersion=25.0.1\n").unwrap();
        assert_eq!(Installed::at(dir.path().to_owned()).version.as_deref(), Some("Version=25.0.1"));
    }
}
