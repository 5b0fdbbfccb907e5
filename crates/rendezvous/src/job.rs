//! Which job a process belongs to, as far as its environment tells.

use task_interface::fnv1a64;

use crate::MAX_RANKS;
use crate::error::RendezvousError;

/// What tells two jobs apart that meet at the same path at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    pub(crate) id: u64,
    /// Whether ranks of different ids are of different jobs for certain. The group of a process is only a hint: ranks
    /// that were started by hand have different ones.
    pub(crate) is_certain: bool,
}

/// Variables that launchers set to the same value in all ranks of a job, and to another one in every other job.
const JOB_VARIABLES: [&[&str]; 5] = [
    &["SIMPLER_COMM_JOB"],
    &["PMIX_NAMESPACE"],
    &["OMPI_MCA_ess_base_jobid"],
    &["SLURM_JOB_ID", "SLURM_STEP_ID"],
    &["PMI_JOBID"],
];

impl Job {
    /// A job by a name that all its ranks give, and no other job does.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { id: fnv1a64(name.as_bytes()), is_certain: true }
    }

    /// `SIMPLER_COMM_JOB`, else what the launcher says (OpenMPI, MPICH, Slurm), else the process group.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: &dyn Fn(&'static str) -> Option<String>) -> Self {
        for names in JOB_VARIABLES {
            let values: Option<Vec<String>> = names.iter().map(|&name| lookup(name)).collect();
            if let Some(values) = values.filter(|values| values.iter().all(|value| !value.is_empty())) {
                return Self::named(&format!("{names:?}={values:?}"));
            }
        }
        let group = rustix::process::getpgrp().as_raw_nonzero().get();
        Self { id: u64::from(group.unsigned_abs()), is_certain: false }
    }
}

/// Rank and size as a launcher gives them to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Launch {
    /// This process's rank.
    pub rank: u32,
    /// Ranks of the job.
    pub ranks: u32,
}

/// Rank and size by launcher; the first pair that is set counts.
const LAUNCHERS: [(&str, &str); 4] = [
    ("SIMPLER_COMM_RANK", "SIMPLER_COMM_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
];

impl Launch {
    /// What `SIMPLER_COMM_RANK` and `_SIZE` say, or mpirun (OpenMPI, MPICH), or Slurm; `None` outside of them.
    ///
    /// # Errors
    /// [`RendezvousError::Environment`] for values that cannot be.
    pub fn from_environment() -> Result<Option<Self>, RendezvousError> {
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: &dyn Fn(&'static str) -> Option<String>) -> Result<Option<Self>, RendezvousError> {
        for (rank_name, size_name) in LAUNCHERS {
            let (Some(rank), Some(size)) = (lookup(rank_name), lookup(size_name)) else { continue };
            let number = |name, value: &str| {
                value.trim().parse::<u32>().map_err(|_| RendezvousError::Environment {
                    name,
                    value: value.to_owned(),
                    reason: "it must be a number",
                })
            };
            let (rank_number, ranks) = (number(rank_name, &rank)?, number(size_name, &size)?);
            if ranks == 0 || ranks > MAX_RANKS {
                let reason = "a job has 1 to 64 ranks";
                return Err(RendezvousError::Environment { name: size_name, value: size, reason });
            }
            if rank_number >= ranks {
                let reason = "it must be less than the number of ranks";
                return Err(RendezvousError::Environment { name: rank_name, value: rank, reason });
            }
            return Ok(Some(Self { rank: rank_number, ranks }));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup<'a>(
        variables: &'a [(&'static str, &'static str)],
    ) -> impl Fn(&'static str) -> Option<String> + 'a {
        |name| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn every_launcher_is_understood_and_nonsense_is_refused() {
        let launch = |variables: &[_]| Launch::from_lookup(&lookup(variables)).unwrap();
        assert_eq!(launch(&[]), None);
        assert_eq!(launch(&[("PMI_RANK", "1")]), None);
        for (rank, size) in LAUNCHERS {
            assert_eq!(launch(&[(rank, "2"), (size, "4")]), Some(Launch { rank: 2, ranks: 4 }));
        }
        let both = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "1"), ("PMI_RANK", "3"), ("PMI_SIZE", "4")];
        assert_eq!(launch(&both), Some(Launch { rank: 3, ranks: 4 }), "mpirun within a Slurm job");
        for (rank, size, blamed) in [
            ("x", "4", "PMI_RANK=x"),
            ("1", "", "PMI_SIZE="),
            ("4", "4", "PMI_RANK=4"),
            ("0", "65", "PMI_SIZE=65"),
        ] {
            let variables = [("PMI_RANK", rank), ("PMI_SIZE", size)];
            let error = Launch::from_lookup(&lookup(&variables)).unwrap_err().to_string();
            assert!(error.contains(blamed), "{error}");
        }
    }

    #[test]
    fn jobs_differ_by_what_their_launcher_says() {
        let job = |variables: &[_]| Job::from_lookup(&lookup(variables));
        let slurm = [("SLURM_JOB_ID", "7"), ("SLURM_STEP_ID", "0")];
        assert_eq!(job(&slurm), job(&slurm));
        assert!(job(&slurm).is_certain);
        assert_ne!(job(&slurm), job(&[("SLURM_JOB_ID", "7"), ("SLURM_STEP_ID", "1")]));
        assert_eq!(job(&[("SLURM_JOB_ID", "7")]), job(&[]), "half of a name is none");
        assert!(!job(&[]).is_certain);
        let named = [("SIMPLER_COMM_JOB", "mine"), ("SLURM_JOB_ID", "7"), ("SLURM_STEP_ID", "0")];
        assert_eq!(job(&named), job(&named[..1]));
    }
}
