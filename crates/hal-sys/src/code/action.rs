//! What is to be done next, where that is the same for several codes.

pub(super) const CALLER: &str =
    "check what was passed to the call; if it came from this runtime, report it with the log of CANN";
pub(super) const LOOK_UP: &str =
    "look the number up in the documentation of the installed CANN, and at its log";
pub(super) const LOG: &str =
    "look at the log of CANN (~/ascend/log, or ASCEND_SLOG_PRINT_TO_STDOUT=1) for what failed first";
pub(super) const RESET: &str =
    "reset the device before the next run; if it comes back, look at the log of CANN for what failed first";
pub(super) const KERNEL: &str =
    "try the kernels of this run on the simulator, check their addresses and sizes, and reset the device";
pub(super) const OP_TIMEOUT: &str =
    "find the kernel that does not end, on the simulator, or raise the limit on execution; reset the device";
pub(super) const RELEASE: &str =
    "release what is not needed, and see with npu-smi info who else uses the device";
pub(super) const UPGRADE: &str =
    "use versions of CANN, driver and firmware that fit each other and this chip";
pub(super) const HARDWARE: &str =
    "check the device with npu-smi info and the driver's log; take it out of use if it comes back";
pub(super) const CAPTURE: &str =
    "do not use a stream for this runtime that another part of the program captures into a graph";
pub(super) const ORDER: &str =
    "check the order of the calls; if it is this runtime's, report it with the log of CANN";
pub(super) const PATIENCE: &str =
    "give it more time, or find what it waits for; free no buffers of the run before the device was reset";
pub(super) const PEER: &str =
    "check the other devices and the links to them with npu-smi info, then start all ranks anew";
