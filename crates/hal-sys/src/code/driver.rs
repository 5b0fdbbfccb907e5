//! `drvError_t` of the driver.

use super::action::{CALLER, HARDWARE, PATIENCE, RELEASE, RESET, UPGRADE};
use super::entries;

/// Those that come out of a runtime call as 507012 or 507899, and do not pass by themselves.
pub(super) const SUSPECT: &[i32] = &[7, 16, 17];

entries! {
    1 DRV_ERROR_NO_DEVICE Resource:
        "there is no device" => "check /dev/davinci* and npu-smi info: the driver must be installed and loaded";
    2 DRV_ERROR_INVALID_DEVICE Param:
        "there is no device of this id" => "see the ids with npu-smi info";
    3 DRV_ERROR_INVALID_VALUE Param:
        "an argument is null or out of range" => CALLER;
    4 DRV_ERROR_INVALID_HANDLE Param:
        "a handle is not valid, or the device is not open" => "set the device first";
    6 DRV_ERROR_OUT_OF_MEMORY OutOfMemory:
        "no memory is left" => RELEASE;
    7 DRV_ERROR_INNER_ERR DriverInternal:
        "the driver failed, or the process on the device is not running" => RESET;
    8 DRV_ERROR_PARA_ERROR Param:
        "an argument is null or not allowed" => CALLER;
    11 DRV_ERROR_NOT_EXIST Param:
        "what was named does not exist" => CALLER;
    12 DRV_ERROR_REPEATED_USERD Param:
        "it is in use already" => CALLER;
    13 DRV_ERROR_BUSY Resource:
        "the driver is busy; that passes" => "try again after some milliseconds";
    14 DRV_ERROR_NO_RESOURCES Resource:
        "a resource of the device or of the driver is used up" => RELEASE;
    16 DRV_ERROR_WAIT_TIMEOUT Timeout:
        "the driver waited in vain" => PATIENCE;
    17 DRV_ERROR_IOCRL_FAIL DriverInternal:
        "the kernel part of the driver refused, also for lack of permission" => HARDWARE;
    46 DRV_ERROR_OPER_NOT_PERMITTED Resource:
        "this user or process may not do it" =>
        "check that the user is in the group of /dev/davinci*, and in containers that the devices are passed in";
    65_534 DRV_ERROR_NOT_SUPPORT NotSupported:
        "this driver or chip cannot do it" => UPGRADE;
}
