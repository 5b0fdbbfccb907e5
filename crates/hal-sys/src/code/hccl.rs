//! `HcclResult` of the communication library.

use super::action::{CALLER, LOG, PATIENCE, PEER, RELEASE, RESET, UPGRADE};
use super::entries;

/// Those that stand for an error of the runtime or of the driver.
pub(super) const SUSPECT: &[i32] = &[15, 16];

entries! {
    1 HCCL_E_PARA Param:
        "an argument is not allowed" => CALLER;
    2 HCCL_E_PTR Param:
        "an argument is null" => CALLER;
    3 HCCL_E_MEMORY OutOfMemory:
        "memory could not be had or used" => RELEASE;
    4 HCCL_E_INTERNAL Other:
        "the communication library failed" => LOG;
    5 HCCL_E_NOT_SUPPORT NotSupported:
        "this chip or version of CANN cannot do it" => UPGRADE;
    6 HCCL_E_NOT_FOUND Param:
        "what was named does not exist" => CALLER;
    7 HCCL_E_UNAVAIL Resource:
        "something that is needed is not available now" => PEER;
    8 HCCL_E_SYSCALL Other:
        "a call of the operating system failed" => LOG;
    9 HCCL_E_TIMEOUT Timeout:
        "other ranks did not come in time" => "check that all ranks run, and with the same number of ranks";
    15 HCCL_E_RUNTIME Other:
        "a call of the runtime failed" => RESET;
    16 HCCL_E_DRV DriverInternal:
        "a call of the driver failed" => RESET;
    20 HCCL_E_AGAIN Other:
        "not done yet; it may be tried again" => "try again after some milliseconds";
    21 HCCL_E_REMOTE Link:
        "another rank failed" => PEER;
    22 HCCL_E_SUSPENDING Other:
        "the communicator is being suspended" => PATIENCE;
    23 HCCL_E_OPRETRY_FAIL Link:
        "an operation failed, and so did repeating it" => PEER;
    24 HCCL_E_OOM OutOfMemory:
        "no memory is left" => RELEASE;
    1041 HCCL_E_IN_STATUS Other:
        "the communicator is in a state in which it does not take this call" => PEER;
}
