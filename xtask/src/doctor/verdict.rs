//! What is missing for which platform, and what to do about it.

use hal_sys::{Group, Library};

use super::facts::{Facts, PtoIsa};

/// A platform of `chip-worker`, also where this build has no device for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub name: &'static str,
    /// What a real chip needs of the libraries; `None` for a simulated one.
    groups: Option<&'static [Group]>,
    /// What goes without, and for what.
    optional: &'static [(&'static str, &'static [Group])],
}

const RESETTING: (&str, &[Group]) = ("resetting of a device that others use", &[Group::Teardown]);
const LOGGING: (&str, &[Group]) = ("choice of the level of CANN's log", &[Group::Dlog]);

/// Something that is not as it should be.
pub struct Finding {
    pub what: String,
    pub action: String,
}

pub struct Verdict {
    pub target: Target,
    /// Without these the platform cannot be used.
    pub missing: Vec<Finding>,
    /// Without these something cannot be done there.
    pub limits: Vec<Finding>,
}

impl Target {
    pub const ALL: [Self; 4] = [
        Self { name: "a2a3sim", groups: None, optional: &[] },
        Self { name: "a5sim", groups: None, optional: &[] },
        Self {
            name: "a2a3",
            groups: Some(&[Group::Base, Group::RegistersA2a3, Group::Ffts]),
            optional: &[
                ("diagnostics of a run", &[Group::HostRegistration]),
                ("communication between devices", &[Group::AclComm, Group::Ipc, Group::Hccl]),
                RESETTING,
                LOGGING,
            ],
        },
        Self {
            name: "a5",
            groups: Some(&[Group::Base, Group::RegistersA5]),
            optional: &[RESETTING, LOGGING],
        },
    ];

    pub fn named(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(|target| target.name).join(", ");
        let found = Self::ALL.into_iter().find(|target| target.name == name);
        found.ok_or_else(|| format!("unknown platform \"{name}\"; known are: {names}"))
    }

    pub fn judge(self, facts: &Facts) -> Verdict {
        let mut verdict = Verdict { target: self, missing: vec![], limits: vec![] };
        match self.groups {
            None => verdict.judge_simulated(facts),
            Some(groups) => verdict.judge_real(groups, facts),
        }
        verdict
    }
}

impl Verdict {
    fn missing(&mut self, what: impl Into<String>, action: impl Into<String>) {
        self.missing.push(Finding { what: what.into(), action: action.into() });
    }

    fn limit(&mut self, what: impl Into<String>, action: impl Into<String>) {
        self.limits.push(Finding { what: what.into(), action: action.into() });
    }

    fn judge_simulated(&mut self, facts: &Facts) {
        if let Err(reason) = &facts.kernel_compiler {
            self.missing(
                format!("no compiler for kernels: {reason}"),
                "do what it says; g++ 11, clang++ 13 or a newer one is needed, and can be named with SIMPLER_CXX",
            );
        } else if !facts.compilers.iter().any(|compiler| compiler.bfloat16) {
            self.limit(
                "no compiler has std::bfloat16_t: kernels with bfloat16 do not compile",
                "install g++ 15 and name it with SIMPLER_CXX",
            );
        }
        self.judge_pto_isa(facts);
    }

    fn judge_pto_isa(&mut self, facts: &Facts) {
        let action = "set PTO_ISA_ROOT to a checkout of PTO-ISA, the directory with include/pto in it";
        match &facts.pto_isa {
            PtoIsa::Found(_) => {}
            PtoIsa::NotSet => self.limit("no PTO-ISA: kernels that include it do not compile", action),
            // The kernel compiler refuses it, too.
            PtoIsa::Wrong(root) => {
                self.limit(format!("PTO_ISA_ROOT={} is no PTO-ISA", root.display()), action);
            }
        }
    }

    fn judge_real(&mut self, groups: &[Group], facts: &Facts) {
        self.judge_devices(facts);
        if facts.driver.is_none() {
            self.missing("no driver", "install the driver and firmware of the device");
        }
        if facts.toolkit.is_none() {
            self.missing(
                "no CANN toolkit",
                "install one and source its set_env.sh, which sets ASCEND_HOME_PATH and LD_LIBRARY_PATH",
            );
        }
        for (library, what) in lacking(groups, facts) {
            let action = match library {
                Library::Hal => "install the driver, and put its lib64/driver on LD_LIBRARY_PATH",
                _ => "source set_env.sh of the CANN toolkit; if that is done, install what has it",
            };
            self.missing(what, action);
        }
        for (purpose, groups) in self.target.optional {
            let what: Vec<_> = lacking(groups, facts).into_iter().map(|(_, what)| what).collect();
            if !what.is_empty() {
                let action = "install the package or version of CANN that has it, or do without";
                self.limit(format!("no {purpose}: {}", what.join("; ")), action);
            }
        }
        if facts.ccec.is_none() {
            self.limit(
                "no ccec: kernels for this chip cannot be compiled here",
                "install the toolkit's compiler",
            );
        }
        if facts.aicpu_compiler.is_none() {
            self.limit(
                "no compiler for AICPU programs: they must come from elsewhere",
                "install the toolkit's hcc (tools/hcc), or bring the program files",
            );
        }
        self.judge_pto_isa(facts);
    }

    fn judge_devices(&mut self, facts: &Facts) {
        if facts.devices.is_empty() {
            self.missing(
                "no device (/dev/davinci*)",
                "install the driver and load it; in a container, pass /dev/davinci* and /dev/davinci_manager in",
            );
        } else if facts.devices.iter().all(|device| !device.open) {
            self.missing(
                "no device (/dev/davinci*) may be opened by this user",
                "join the group that they belong to, usually HwHiAiUser",
            );
        }
    }
}

/// What the functions of these groups lack, by library.
fn lacking(groups: &[Group], facts: &Facts) -> Vec<(Library, String)> {
    let missing: Vec<_> = groups.iter().flat_map(|&group| facts.libraries.missing(group)).collect();
    let of = |library| {
        let functions = missing.iter().filter(|function| function.library == library);
        let names: Vec<_> = functions.map(|function| function.name).collect();
        let is_loaded = facts.libraries.is_loaded(library);
        match &names[..] {
            [] => None,
            _ if is_loaded => Some((library, format!("{library} lacks {}", names.join(", ")))),
            _ => Some((library, format!("{library} is not found, or cannot be loaded"))),
        }
    };
    Library::ALL.into_iter().filter_map(of).collect()
}
