//! The codes with which a trb run fails (`spec/public-abi.md`, sections D.6 and F.2).

use core::fmt;

/// No error.
pub const ERROR_NONE: i32 = 0;

/// Defines the codes with their contract name, what happened, and what to do about it.
macro_rules! error_codes {
    ($($variant:ident = $code:literal, $name:literal, $meaning:literal, $next_action:literal;)+) => {
        /// Why a run failed. Orchestrations may also report any other number, which has no meaning here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        #[non_exhaustive]
        pub enum TrbErrorCode {
            $(
                #[doc = concat!("Code ", $code, ": ", $meaning, ".")]
                $variant = $code,
            )+
        }

        impl TrbErrorCode {
            /// Every code, ordered by its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code with this (positive) number, if it is known.
            #[must_use]
            pub const fn from_code(code: i32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The name of the contract, in upper case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What happened, as a part of a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)+
                }
            }

            /// What to do about it, as a part of a sentence.
            #[must_use]
            pub const fn next_action(self) -> &'static str {
                match self {
                    $(Self::$variant => $next_action,)+
                }
            }
        }
    };
}

error_codes! {
    ScopeDeadlock = 1, "SCOPE_DEADLOCK",
        "one scope holds as many tasks as its ring has slots, so none of them can ever be reused",
        "open a nested scope per loop iteration, or enlarge the task window";
    HeapRingDeadlock = 2, "HEAP_RING_DEADLOCK",
        "the output memory of a ring is used up and no task retires to give some back",
        "close scopes earlier, make the outputs smaller, or enlarge the ring heap";
    FlowControlDeadlock = 3, "FLOW_CONTROL_DEADLOCK",
        "all task slots of a ring are taken and no task retires to free one",
        "close scopes earlier, enlarge the task window, and look for kernels that never end";
    DepPoolOverflow = 4, "DEP_POOL_OVERFLOW",
        "there is no room for another dependency of a task with many producers",
        "let tasks depend on fewer others (join them in a dummy task), or enlarge the dependency pool";
    InvalidArgs = 5, "INVALID_ARGS",
        "the orchestration passed arguments that cannot be used",
        "read the logged message: it names the misused builder, dependency, scope or allocation call";
    DependencyOverflow = 6, "DEPENDENCY_OVERFLOW",
        "a task has more dependencies than can be counted",
        "let tasks depend on fewer others; no known runtime raises this code";
    RequireSyncStartInvalid = 7, "REQUIRE_SYNC_START_INVALID",
        "a task wants more blocks to start together than there are cores",
        "lower its block count, raise the block dimension of the call, or drop the common start";
    TensorWaitTimeout = 8, "TENSOR_WAIT_TIMEOUT",
        "the orchestration wanted tensor data that the tasks writing or reading it did not release in time",
        "look for a producer that never ends or that waits for a later task of the same orchestration";
    ExplicitOrchFatal = 9, "EXPLICIT_ORCH_FATAL",
        "the orchestration itself gave up",
        "read the logged message: it was written by the orchestration";
    ScopeTasksOverflow = 10, "SCOPE_TASKS_OVERFLOW",
        "the open scopes together hold more tasks than can be tracked",
        "close scopes earlier, or split the work into several nested scopes";
    SchedulerTimeout = 100, "SCHEDULER_TIMEOUT",
        "nothing made progress for too long",
        "look for a kernel that never ends, a condition nobody fulfils, or an orchestration without any task";
    AsyncCompletionInvalid = 101, "ASYNC_COMPLETION_INVALID",
        "a kernel registered a completion condition that cannot be tested",
        "check the address and the type of the condition; event records exist on a2a3 only";
    AsyncWaitOverflow = 102, "ASYNC_WAIT_OVERFLOW",
        "too many completion conditions or waiting tasks at a time",
        "register at most 64 conditions per task and keep at most 64 tasks waiting";
    AsyncRegistrationFailed = 103, "ASYNC_REGISTRATION_FAILED",
        "the completion conditions of a task do not fit together",
        "register at most 64 conditions over all blocks of a task, and only through the kernel interface";
}

impl TrbErrorCode {
    /// The (positive) number.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// The code behind the return value of a run, which is its negative. The value -1 also stands for every failure
    /// outside of the runtime, so [`ScopeDeadlock`](Self::ScopeDeadlock) is only a possibility then.
    #[must_use]
    pub const fn from_run_code(run_code: i32) -> Option<Self> {
        match run_code.checked_neg() {
            Some(code) => Self::from_code(code),
            None => None,
        }
    }
}

impl fmt::Display for TrbErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}; {}", self.name(), self.code(), self.meaning(), self.next_action())
    }
}

/// The return value of a run from its two error words (section D.6): minus the absolute value of the orchestrator's,
/// or of the scheduler's if the former is 0.
#[must_use]
pub const fn run_code(orchestrator: i32, scheduler: i32) -> i32 {
    let word = if orchestrator != ERROR_NONE { orchestrator } else { scheduler };
    // Every positive number has a negative; the other way round the smallest one would overflow.
    if word > 0 { -word } else { word }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn every_code_of_the_contract_is_there() {
        let codes: Vec<i32> = TrbErrorCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes, (1..=10).chain(100..=103).collect::<Vec<_>>());
        for &code in TrbErrorCode::ALL {
            assert_eq!(TrbErrorCode::from_code(code.code()), Some(code));
            assert_eq!(TrbErrorCode::from_run_code(-code.code()), Some(code));
        }
        for unknown in [i32::MIN, -1, 0, 11, 99, 104, i32::MAX] {
            assert_eq!(TrbErrorCode::from_code(unknown), None);
        }
        assert_eq!(TrbErrorCode::from_run_code(i32::MIN), None);
        assert_eq!(TrbErrorCode::from_run_code(5), None);
    }

    #[test]
    fn texts_are_distinct_and_complete() {
        for (index, code) in TrbErrorCode::ALL.iter().enumerate() {
            assert!(!code.meaning().is_empty() && !code.next_action().is_empty());
            for other in &TrbErrorCode::ALL[..index] {
                assert_ne!(code.meaning(), other.meaning());
                assert_ne!(code.next_action(), other.next_action());
            }
        }
        let text = TrbErrorCode::ExplicitOrchFatal.to_string();
        assert!(
            text.starts_with("EXPLICIT_ORCH_FATAL (9): the orchestration itself gave up; read"),
            "{text}"
        );
    }

    #[test]
    fn the_orchestrator_word_comes_first() {
        assert_eq!(run_code(0, 0), 0);
        assert_eq!(run_code(5, 100), -5);
        assert_eq!(run_code(0, 100), -100);
        assert_eq!(run_code(-7, 0), -7);
        assert_eq!(run_code(i32::MIN, 0), i32::MIN);
        assert_eq!(run_code(0, i32::MAX), -i32::MAX);
    }
}
