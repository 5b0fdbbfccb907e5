//! 5xxxxx: CANN or the device failed.

use super::action::{
    CALLER, CAPTURE, HARDWARE, KERNEL, LOG, OP_TIMEOUT, ORDER, PATIENCE, PEER, RESET, UPGRADE,
};
use super::entries;

entries! {
    507_000 ACL_ERROR_RT_INTERNAL_ERROR Other:
        "an error without a number of its own; also an unknown kernel key, and on a5 a kernel that takes too \
         long" => RESET;
    507_001 ACL_ERROR_RT_TS_ERROR Other:
        "the task scheduler of the device failed" => RESET;
    507_002 ACL_ERROR_RT_STREAM_TASK_FULL Resource:
        "the stream has as many tasks as it can hold" => PATIENCE;
    507_003 ACL_ERROR_RT_STREAM_TASK_EMPTY Other:
        "the stream has no task" => ORDER;
    507_004 ACL_ERROR_RT_STREAM_NOT_COMPLETE Other:
        "the stream has work that is not done" => PATIENCE;
    507_005 ACL_ERROR_RT_END_OF_SEQUENCE Other:
        "the input of a model is at its end" => ORDER;
    507_006 ACL_ERROR_RT_EVENT_NOT_COMPLETE Other:
        "the event has not happened yet" => PATIENCE;
    507_007 ACL_ERROR_RT_CONTEXT_RELEASE_ERROR Param:
        "the device was reset as often as it was set, or is not set" =>
        "reset a device once for each time it was set";
    507_008 ACL_ERROR_RT_SOC_VERSION NotSupported:
        "the chip is not the one that the program or CANN is for" => UPGRADE;
    507_009 ACL_ERROR_RT_TASK_TYPE_NOT_SUPPORT NotSupported:
        "the device does not know this kind of task" => UPGRADE;
    507_010 ACL_ERROR_RT_LOST_HEARTBEAT Link:
        "the process on the device is gone" => RESET;
    507_011 ACL_ERROR_RT_MODEL_EXECUTE Other:
        "a model failed while it was running" => LOG;
    507_012 ACL_ERROR_RT_REPORT_TIMEOUT Timeout:
        "the device did not report in time" => RESET;
    507_013 ACL_ERROR_RT_SYS_DMA Other:
        "a copy by the device's DMA failed" => RESET;
    507_014 ACL_ERROR_RT_AICORE_TIMEOUT Timeout:
        "a kernel ran on a core for longer than it may, and was killed" => OP_TIMEOUT;
    507_015 ACL_ERROR_RT_AICORE_EXCEPTION AicoreException:
        "a kernel crashed on an AIC" => KERNEL;
    507_016 ACL_ERROR_RT_AICORE_TRAP_EXCEPTION AicoreException:
        "a kernel trapped on an AIC, as a failed assertion does" => KERNEL;
    507_017 ACL_ERROR_RT_AICPU_TIMEOUT Timeout:
        "a program ran on the AICPU for longer than it may" => OP_TIMEOUT;
    507_018 ACL_ERROR_RT_AICPU_EXCEPTION AicpuException:
        "a program on the AICPU returned an error, crashed, or its library could not be loaded there; also what \
         follows when a core was stopped under it" =>
        "look at the AICPU part of CANN's log; check that the AICPU program is built for this chip and CANN; \
         reset the device";
    507_019 ACL_ERROR_RT_AICPU_DATADUMP_RSP_ERR AicpuException:
        "the AICPU answers a dump of data with an error" => LOG;
    507_020 ACL_ERROR_RT_AICPU_MODEL_RSP_ERR AicpuException:
        "the AICPU answers for a model with an error" => LOG;
    507_021 ACL_ERROR_RT_PROFILING_ERROR Other:
        "profiling failed" => "run without the profiler of CANN";
    507_022 ACL_ERROR_RT_IPC_ERROR Link:
        "sharing with another process failed" => PEER;
    507_023 ACL_ERROR_RT_MODEL_ABORT_NORMAL Other:
        "a model was ended on request" => ORDER;
    507_024 ACL_ERROR_RT_KERNEL_UNREGISTERING Other:
        "the kernels are being unregistered" => ORDER;
    507_025 ACL_ERROR_RT_RINGBUFFER_NOT_INIT Other:
        "a ring of messages between host and device is not set up" => RESET;
    507_026 ACL_ERROR_RT_RINGBUFFER_NO_DATA Other:
        "a ring of messages between host and device has none" => RESET;
    507_027 ACL_ERROR_RT_KERNEL_LOOKUP Other:
        "there is no such kernel in the registered objects" => CALLER;
    507_028 ACL_ERROR_RT_KERNEL_DUPLICATE Other:
        "a kernel of this name is registered already" => CALLER;
    507_029 ACL_ERROR_RT_DEBUG_REGISTER_FAIL Other:
        "debugging could not be turned on" => LOG;
    507_030 ACL_ERROR_RT_DEBUG_UNREGISTER_FAIL Other:
        "debugging could not be turned off" => LOG;
    507_031 ACL_ERROR_RT_LABEL_CONTEXT Other:
        "the label belongs to another device or context" => CALLER;
    507_032 ACL_ERROR_RT_PROGRAM_USE_OUT Resource:
        "as many programs are registered as can be" =>
        "register each object once, and unregister what is not needed";
    507_033 ACL_ERROR_RT_DEV_SETUP_ERROR Link:
        "the device could not be opened" => HARDWARE;
    507_034 ACL_ERROR_RT_VECTOR_CORE_TIMEOUT Timeout:
        "a kernel ran on an AIV for longer than it may, and was killed" => OP_TIMEOUT;
    507_035 ACL_ERROR_RT_VECTOR_CORE_EXCEPTION AicoreException:
        "a kernel crashed on an AIV" => KERNEL;
    507_036 ACL_ERROR_RT_VECTOR_CORE_TRAP_EXCEPTION AicoreException:
        "a kernel trapped on an AIV, as a failed assertion does" => KERNEL;
    507_037 ACL_ERROR_RT_CDQ_BATCH_ABNORMAL Other:
        "a batch of a command queue failed" => RESET;
    507_038 ACL_ERROR_RT_DIE_MODE_CHANGE_ERROR Other:
        "the way in which the dies work together cannot be changed" => HARDWARE;
    507_039 ACL_ERROR_RT_DIE_SET_ERROR Other:
        "a die could not be chosen" => CALLER;
    507_040 ACL_ERROR_RT_INVALID_DIEID Param:
        "there is no such die" => CALLER;
    507_041 ACL_ERROR_RT_DIE_MODE_NOT_SET Param:
        "the way in which the dies work together is not set" => ORDER;
    507_042 ACL_ERROR_RT_AICORE_TRAP_READ_OVERFLOW AicoreException:
        "a kernel on an AIC read outside of its memory" => KERNEL;
    507_043 ACL_ERROR_RT_AICORE_TRAP_WRITE_OVERFLOW AicoreException:
        "a kernel on an AIC wrote outside of its memory" => KERNEL;
    507_044 ACL_ERROR_RT_VECTOR_CORE_TRAP_READ_OVERFLOW AicoreException:
        "a kernel on an AIV read outside of its memory" => KERNEL;
    507_045 ACL_ERROR_RT_VECTOR_CORE_TRAP_WRITE_OVERFLOW AicoreException:
        "a kernel on an AIV wrote outside of its memory" => KERNEL;
    507_046 ACL_ERROR_RT_STREAM_SYNC_TIMEOUT Timeout:
        "the stream is not idle in time; its work goes on, and may still write to its buffers" => PATIENCE;
    507_047 ACL_ERROR_RT_EVENT_SYNC_TIMEOUT Timeout:
        "the event did not happen in time; the work before it goes on" => PATIENCE;
    507_048 ACL_ERROR_RT_FFTS_PLUS_TIMEOUT Timeout:
        "tasks of the fine-grained scheduler (FFTS+) ran for longer than they may" => OP_TIMEOUT;
    507_049 ACL_ERROR_RT_FFTS_PLUS_EXCEPTION AicoreException:
        "a task of the fine-grained scheduler (FFTS+) crashed" => KERNEL;
    507_050 ACL_ERROR_RT_FFTS_PLUS_TRAP_EXCEPTION AicoreException:
        "a task of the fine-grained scheduler (FFTS+) trapped" => KERNEL;
    507_051 ACL_ERROR_RT_SEND_MSG Link:
        "a message to the device could not be sent" => RESET;
    507_052 ACL_ERROR_RT_COPY_DATA Other:
        "data could not be copied between the program and the driver" => RESET;
    507_053 ACL_ERROR_RT_DEVICE_MEM_ERROR Other:
        "the memory of the device has an error" => HARDWARE;
    507_054 ACL_ERROR_RT_HBM_MULTI_BIT_ECC_ERROR Other:
        "the memory of the device has an error that it cannot correct" => HARDWARE;
    507_055 ACL_ERROR_RT_SUSPECT_DEVICE_MEM_ERROR Other:
        "the memory of the device probably has an error" => HARDWARE;
    507_056 ACL_ERROR_RT_LINK_ERROR Link:
        "a link between devices failed" => PEER;
    507_057 ACL_ERROR_RT_SUSPECT_REMOTE_ERROR Link:
        "another device probably failed" => PEER;
    507_899 ACL_ERROR_RT_DRV_INTERNAL_ERROR DriverInternal:
        "the driver failed without saying how; usual for the next user after something failed on the device" =>
        RESET;
    507_900 ACL_ERROR_RT_AICPU_INTERNAL_ERROR AicpuException:
        "the AICPU's own software failed" => RESET;
    507_901 ACL_ERROR_RT_SOCKET_CLOSE Link:
        "the connection to the process on the device is lost" =>
        "reset the device and start anew; programs that are loaded are gone with that process";
    507_902 ACL_ERROR_RT_AICPU_INFO_LOAD_RSP_ERR AicpuException:
        "the AICPU does not take the description of a program" => UPGRADE;
    507_903 ACL_ERROR_RT_STREAM_CAPTURE_INVALIDATED Param:
        "the capture of the stream failed before" => CAPTURE;
    507_904 ACL_ERROR_RT_COMM_OP_RETRY_FAIL Link:
        "a collective operation failed, and so did repeating it" => PEER;
    507_914 ACL_ERROR_RT_L3_PORT_ERROR Link:
        "a port of the links between devices failed" => PEER;
    507_915 ACL_ERROR_RT_CCU_TIMEOUT Timeout:
        "the collective communication unit took longer than it may" => PEER;
    507_916 ACL_ERROR_RT_CCU_EXCEPTION Link:
        "the collective communication unit failed" => PEER;
}
