//! 1xxxxx: the call was refused.

use super::action::{CALLER, CAPTURE, ORDER, PATIENCE, RESET, UPGRADE};
use super::entries;

entries! {
    100_000 ACL_ERROR_INVALID_PARAM Param:
        "an argument of an acl call is null, zero or out of range" => CALLER;
    100_001 ACL_ERROR_UNINITIALIZE Param:
        "AscendCL is not initialised" => "call aclInit first";
    100_002 ACL_ERROR_REPEAT_INITIALIZE Param:
        "AscendCL is initialised already in this process; the call was counted" =>
        "go on, and finalise AscendCL once more than otherwise";
    100_037 ACL_ERROR_REPEAT_FINALIZE Param:
        "AscendCL was finalised as often as it was initialised" => "leave the additional finalisation out";
    107_000 ACL_ERROR_RT_PARAM_INVALID Param:
        "an argument is null or out of range, memory is not the device's, or a file or name is unknown" => CALLER;
    107_001 ACL_ERROR_RT_INVALID_DEVICEID Param:
        "there is no device of this id for this process" =>
        "see the ids with npu-smi info, and check ASCEND_RT_VISIBLE_DEVICES";
    107_002 ACL_ERROR_RT_CONTEXT_NULL NotAttached:
        "the calling thread is not attached to a device, or the device was reset since" =>
        "set the device on this thread first";
    107_003 ACL_ERROR_RT_STREAM_CONTEXT Param:
        "the stream belongs to another device or context" =>
        "use a stream of the device the thread is attached to";
    107_004 ACL_ERROR_RT_MODEL_CONTEXT Param:
        "the model belongs to another device or context" => CALLER;
    107_005 ACL_ERROR_RT_STREAM_MODEL Param:
        "the stream is bound to a model, or not to this one" => CALLER;
    107_006 ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID Param:
        "an event has no time because it was not recorded with one" => CALLER;
    107_007 ACL_ERROR_RT_EVENT_TIMESTAMP_REVERSAL Param:
        "the first of two events is the later one" => CALLER;
    107_008 ACL_ERROR_RT_ADDR_UNALIGNED Param:
        "an address is not aligned as the call wants it" => CALLER;
    107_009 ACL_ERROR_RT_FILE_OPEN Param:
        "a file cannot be opened" => "check that it is there and may be read";
    107_010 ACL_ERROR_RT_FILE_WRITE Param:
        "a file cannot be written" => "check permissions and free space of its directory";
    107_011 ACL_ERROR_RT_STREAM_SUBSCRIBE Param:
        "the stream's reports are not subscribed to, or twice" => ORDER;
    107_012 ACL_ERROR_RT_THREAD_SUBSCRIBE Param:
        "the thread's reports are not subscribed to, or twice" => ORDER;
    107_013 ACL_ERROR_RT_GROUP_NOT_SET Param:
        "no group of cores was chosen" => ORDER;
    107_014 ACL_ERROR_RT_GROUP_NOT_CREATE Param:
        "there is no such group of cores" => ORDER;
    107_015 ACL_ERROR_RT_STREAM_NO_CB_REG Param:
        "no callback is registered for the stream" => ORDER;
    107_016 ACL_ERROR_RT_INVALID_MEMORY_TYPE Param:
        "the device has no memory of this type, or the address is of another type" => CALLER;
    107_017 ACL_ERROR_RT_INVALID_HANDLE Param:
        "a handle is not one of this device, or what it stood for is gone" =>
        "use no handles from before the reset of a device; look functions up anew on each device";
    107_018 ACL_ERROR_RT_INVALID_MALLOC_TYPE Param:
        "memory cannot be allocated in this way" => CALLER;
    107_019 ACL_ERROR_RT_WAIT_TIMEOUT Timeout:
        "something that was waited for did not come in time" => PATIENCE;
    107_020 ACL_ERROR_RT_TASK_TIMEOUT Timeout:
        "a task did not end in time" => PATIENCE;
    107_021 ACL_ERROR_RT_SYSPARAMOPT_NOT_SET Param:
        "a system option has no value" => CALLER;
    107_022 ACL_ERROR_RT_DEVICE_TASK_ABORT Other:
        "the tasks of the device are being aborted" => RESET;
    107_023 ACL_ERROR_RT_STREAM_ABORT Other:
        "the tasks of the stream are being aborted" => RESET;
    107_024 ACL_ERROR_RT_CAPTURE_DEPENDENCY Param:
        "a captured stream waits for work outside of the capture" => CAPTURE;
    107_025 ACL_ERROR_RT_STREAM_UNJOINED Param:
        "a captured stream was not joined to the one the capture began on" => CAPTURE;
    107_026 ACL_ERROR_RT_MODEL_CAPTURED Param:
        "a graph is being captured already" => CAPTURE;
    107_027 ACL_ERROR_RT_STREAM_CAPTURED Param:
        "the stream is being captured, and does not take this call meanwhile" => CAPTURE;
    107_028 ACL_ERROR_RT_EVENT_CAPTURED Param:
        "the event is part of a capture, and does not take this call meanwhile" => CAPTURE;
    107_029 ACL_ERROR_RT_STREAM_NOT_CAPTURED Param:
        "the stream is not being captured" => CAPTURE;
    107_030 ACL_ERROR_RT_CAPTURE_MODE_NOT_SUPPORT Param:
        "the call is not allowed in this mode of capture" => CAPTURE;
    107_031 ACL_ERROR_RT_STREAM_CAPTURE_IMPLICIT Param:
        "the default stream was used while another is captured" => CAPTURE;
    107_035 ACL_ERROR_RT_TASK_ABORT_STOP Other:
        "aborting tasks was stopped before it was done" => RESET;
    107_036 ACL_ERROR_RT_STREAM_CAPTURE_UNMATCHED Param:
        "the capture was begun on another stream" => CAPTURE;
    107_037 ACL_ERROR_RT_MODEL_RUNNING Param:
        "the model is running, and cannot be changed meanwhile" => CAPTURE;
    107_038 ACL_ERROR_RT_STREAM_CAPTURE_WRONG_THREAD Param:
        "the capture was begun by another thread" => CAPTURE;
    107_039 ACL_ERROR_RT_INSUFFICIENT_INPUT_ARRAY Param:
        "an array of the caller is too short for the answer" => CALLER;
    107_040 ACL_ERROR_RT_MODEL_UPDATE_FAILED Other:
        "a model could not be changed" => CAPTURE;
    107_041 ACL_ERROR_RT_CAPTURE_MODE_BLOCK_ASYNC Param:
        "the mode of capture forbids asynchronous calls that may block" => CAPTURE;
    107_042 ACL_ERROR_RT_SYMBOL_NOT_FOUND Param:
        "a program has no symbol of this name" => "check the name, and that the program is the one meant";
    107_043 ACL_ERROR_RT_INVALID_SYMBOL Param:
        "this is no symbol of a loaded program" => CALLER;
    107_044 ACL_ERROR_RT_INVALID_DEVICE_FUNCTION Param:
        "the function is not one that this device can run" => UPGRADE;
    107_045 ACL_ERROR_RT_SUB_ACLGRAPH_IS_CAPTURING Param:
        "a graph within the graph is still being captured" => CAPTURE;
}
