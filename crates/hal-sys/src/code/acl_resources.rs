//! 2xxxxx: something is lacking.

use super::action::{CALLER, KERNEL, ORDER, PATIENCE, PEER, RELEASE, RESET, UPGRADE};
use super::entries;

entries! {
    207_000 ACL_ERROR_RT_FEATURE_NOT_SUPPORT NotSupported:
        "this chip, driver or version of CANN cannot do it" => UPGRADE;
    207_001 ACL_ERROR_RT_MEMORY_ALLOCATION OutOfMemory:
        "no memory is left on the device, or on the host; a program's share is taken by its first launch" =>
        RELEASE;
    207_002 ACL_ERROR_RT_MEMORY_FREE Resource:
        "memory could not be given back" => RESET;
    207_003 ACL_ERROR_RT_AICORE_OVER_FLOW AicoreException:
        "a computation of an AIC overflowed" => KERNEL;
    207_004 ACL_ERROR_RT_NO_DEVICE Resource:
        "there is no device" => "check /dev/davinci* and npu-smi info: the driver must be installed and loaded";
    207_005 ACL_ERROR_RT_RESOURCE_ALLOC_FAIL Resource:
        "a resource of the device or of the driver is used up" => RELEASE;
    207_006 ACL_ERROR_RT_NO_PERMISSION Resource:
        "this user or process may not do it" =>
        "check that the user is in the group of /dev/davinci*, and in containers that the devices are passed in";
    207_007 ACL_ERROR_RT_NO_EVENT_RESOURCE Resource:
        "no event is left on the device" => RELEASE;
    207_008 ACL_ERROR_RT_NO_STREAM_RESOURCE Resource:
        "no stream is left on the device" => RELEASE;
    207_009 ACL_ERROR_RT_NO_NOTIFY_RESOURCE Resource:
        "no notify is left on the device" => RELEASE;
    207_010 ACL_ERROR_RT_NO_MODEL_RESOURCE Resource:
        "no model is left on the device" => RELEASE;
    207_011 ACL_ERROR_RT_NO_CDQ_RESOURCE Resource:
        "no command queue is left on the device" => RELEASE;
    207_012 ACL_ERROR_RT_OVER_LIMIT Resource:
        "a limit of the driver is reached" => RELEASE;
    207_013 ACL_ERROR_RT_QUEUE_EMPTY Resource:
        "the queue is empty" => ORDER;
    207_014 ACL_ERROR_RT_QUEUE_FULL Resource:
        "the queue is full" => PATIENCE;
    207_015 ACL_ERROR_RT_REPEATED_INIT Param:
        "something is initialised a second time" => ORDER;
    207_016 ACL_ERROR_RT_AIVEC_OVER_FLOW AicoreException:
        "a computation of an AIV overflowed" => KERNEL;
    207_017 ACL_ERROR_RT_OVER_FLOW AicoreException:
        "a computation overflowed" => KERNEL;
    207_018 ACL_ERROR_RT_DEVICE_OOM OutOfMemory:
        "the device ran out of memory" => RELEASE;
    207_019 ACL_ERROR_RT_FEATURE_NOT_SUPPORT_UPDATE_OP NotSupported:
        "this operator cannot be changed in a captured graph" => CALLER;
    207_020 ACL_ERROR_RT_TIMEOUT Timeout:
        "something took longer than it may" => PATIENCE;
    207_021 ACL_ERROR_RT_LINK_TYPE_NOT_SUPPORTED NotSupported:
        "devices that are linked in this way cannot do it" => PEER;
}
