use std::ffi::{c_char, c_int, c_void};

use libloading::os::unix::Library;
use task_interface::{HostApi, PtoRunTiming};

use crate::additions::{ContextReport, LogSink, RunInfo};

/// A function as text, for checking other declarations of it against ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// Its symbol.
    pub name: &'static str,
    /// The Rust types of its arguments.
    pub arguments: &'static [&'static str],
    /// The Rust type of its result; empty for none.
    pub result: &'static str,
}

/// What a table keeps of the look-up of a symbol; a required one that is not there ends the look-up.
macro_rules! kept {
    (Required, $found:expr, $name:expr) => {
        $found.ok_or($name)?
    };
    (Option, $found:expr, $name:expr) => {
        $found
    };
}

/// Declares a table of C functions together with their signatures as text, and how a library fills it.
macro_rules! function_table {
    (
        $(#[$table_doc:meta])*
        pub struct $table:ident: $wrap:ident {
            $( $(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?; )*
        }
    ) => {
        $(#[$table_doc])*
        #[derive(Clone, Copy, Debug)]
        #[allow(clippy::exhaustive_structs, reason = "a library fills in all of it")]
        pub struct $table {
            $( $(#[$doc])* pub $name: $wrap<unsafe extern "C" fn($($arg: $ty),*) $(-> $ret)?>, )*
        }

        impl $table {
            /// All functions, in order.
            pub const SIGNATURES: &'static [Signature] = &[
                $( Signature {
                    name: stringify!($name),
                    arguments: &[$(stringify!($ty)),*],
                    result: concat!($(stringify!($ret))?),
                }, )*
            ];

            /// Looks up all functions by their names; an error is the name of a required one that is missing.
            ///
            /// # Safety
            /// What the library has under these names are functions of these signatures. The table must not be used
            /// once the library is closed.
            pub(crate) unsafe fn look_up(library: &Library) -> Result<Self, &'static str> {
                Ok(Self {
                    $( $name: {
                        // SAFETY: the caller vouches for the type; the option holds a null address as well.
                        let symbol = unsafe {
                            library.get::<Option<unsafe extern "C" fn($($arg: $ty),*) $(-> $ret)?>>(
                                concat!(stringify!($name), "\0").as_bytes(),
                            )
                        };
                        kept!($wrap, symbol.ok().and_then(|symbol| *symbol), stringify!($name))
                    }, )*
                })
            }
        }
    };
}

/// A function that every library has.
type Required<T> = T;

function_table! {
    /// The functions that every host runtime library has; clients look up all of them.
    ///
    /// 0 is success and a negative number an error, unless something else is said.
    pub struct Functions: Required {
        /// Makes a context; null on failure.
        fn create_device_context() -> *mut c_void;
        /// Closes a context and frees it; null is allowed.
        fn destroy_device_context(ctx: *mut c_void);
        /// Bytes of the buffer that `run_prepared` wants.
        fn get_runtime_size() -> usize;
        /// Takes a device into use, with the device programs for AICPU, AICore and dispatcher.
        fn simpler_init(
            ctx: *mut c_void, device_id: c_int, aicpu: *const u8, aicpu_size: usize, aicore: *const u8,
            aicore_size: usize, dispatcher: *const u8, dispatcher_size: usize,
        ) -> c_int;
        /// Gives back everything the context holds.
        fn finalize_device(ctx: *mut c_void) -> c_int;
        /// Allocates device memory; null on failure.
        fn device_malloc_ctx(ctx: *mut c_void, size: usize) -> *mut c_void;
        /// Frees device memory; null and unknown addresses are ignored.
        fn device_free_ctx(ctx: *mut c_void, dev_ptr: *mut c_void);
        /// Copies host memory to the device.
        fn copy_to_device_ctx(ctx: *mut c_void, dev_ptr: *mut c_void, host_ptr: *const c_void, size: usize) -> c_int;
        /// Copies device memory to the host.
        fn copy_from_device_ctx(ctx: *mut c_void, host_ptr: *mut c_void, dev_ptr: *const c_void, size: usize) -> c_int;
        /// Registers a `ChipCallable` image under an id, 0 to 63.
        fn prepare_callable(ctx: *mut c_void, callable_id: i32, callable: *const c_void) -> c_int;
        /// Runs a registered callable and waits for it.
        fn run_prepared(
            ctx: *mut c_void, runtime: *mut c_void, callable_id: i32, args: *const c_void, block_dim: c_int,
            aicpu_thread_num: c_int, enable_l2_swimlane: c_int, enable_dump_tensor: c_int, enable_pmu: c_int,
            enable_dep_gen: c_int, enable_scope_stats: c_int, output_prefix: *const c_char,
            out_timing: *mut PtoRunTiming,
        ) -> c_int;
        /// Forgets a callable; an unknown id is fine.
        fn unregister_callable(ctx: *mut c_void, callable_id: i32) -> c_int;
        /// How often an orchestration was first run on the device since it was registered.
        fn get_aicpu_dlopen_count(ctx: *mut c_void) -> usize;
        /// How often an orchestration was opened on the host.
        fn get_host_dlopen_count(ctx: *mut c_void) -> usize;
        /// Makes ACL ready for communication.
        fn ensure_acl_ready_ctx(ctx: *mut c_void, device_id: c_int) -> c_int;
        /// Makes a stream for communication; null where none is needed.
        fn create_comm_stream_ctx(ctx: *mut c_void) -> *mut c_void;
        /// Gives such a stream back.
        fn destroy_comm_stream_ctx(ctx: *mut c_void, stream: *mut c_void) -> c_int;
        /// Joins the ranks that meet at a path; null on failure.
        fn comm_init(rank: c_int, nranks: c_int, stream: *mut c_void, rootinfo_path: *const c_char) -> *mut c_void;
        /// Makes the windows of all ranks; stores the address of the `CommContext`.
        fn comm_alloc_windows(handle: *mut c_void, win_size: usize, device_ctx_out: *mut u64) -> c_int;
        /// Stores the address of this rank's window.
        fn comm_get_local_window_base(handle: *mut c_void, base_out: *mut u64) -> c_int;
        /// Stores the size of a window.
        fn comm_get_window_size(handle: *mut c_void, size_out: *mut usize) -> c_int;
        /// Makes the context of a subset of the ranks within the windows.
        fn comm_derive_context(
            handle: *mut c_void, rank_ids: *const u32, rank_count: usize, domain_rank: u32, window_offset: usize,
            window_size: usize, device_ctx_out: *mut u64,
        ) -> c_int;
        /// Makes windows for a subset of the ranks.
        fn comm_alloc_domain_windows(
            handle: *mut c_void, allocation_id: u64, rank_ids: *const u32, rank_count: usize, domain_rank: u32,
            window_size: usize, device_ctx_out: *mut u64, local_base_out: *mut u64,
        ) -> c_int;
        /// Gives such windows back.
        fn comm_release_domain_windows(
            handle: *mut c_void, allocation_id: u64, rank_count: usize, domain_rank: u32,
        ) -> c_int;
        /// Waits for all ranks.
        fn comm_barrier(handle: *mut c_void) -> c_int;
        /// Leaves the ranks; the handle is dead afterwards.
        fn comm_destroy(handle: *mut c_void) -> c_int;
    }
}

function_table! {
    /// Functions that a host runtime library may have beyond those of the contract.
    pub struct AdditionalFunctions: Option {
        /// The platform it was built for, such as `a2a3sim`.
        fn get_platform() -> *const c_char;
        /// The compiler for kernels: 0 CCEC, 1 g++-15, 2 g++, 3 aarch64 g++.
        fn get_incore_compiler() -> c_int;
        /// The compiler for orchestrations, as above.
        fn get_orchestration_compiler() -> c_int;
        /// Earlier form: takes a device into use without device programs.
        fn set_device(ctx: *mut c_void, device_id: c_int) -> c_int;
        /// Earlier form: registers a callable, runs it, and forgets it.
        fn run_runtime(
            ctx: *mut c_void, runtime: *mut c_void, callable: *const c_void, args: *const c_void, block_dim: c_int,
            aicpu_thread_num: c_int, device_id: c_int, aicpu: *const u8, aicpu_size: usize, aicore: *const u8,
            aicore_size: usize, enable_profiling: c_int,
        ) -> c_int;
        /// Version of this implementation, `major.minor.patch`.
        fn simpler_rs_version() -> *const c_char;
        /// The runtime variant it was built for, such as `host_build_graph`.
        fn simpler_rs_runtime() -> *const c_char;
        /// Kind and text of the last error of a context, or with null of the calling thread.
        fn simpler_rs_last_error(
            ctx: *mut c_void, text: *mut c_char, capacity: usize, length_out: *mut usize,
        ) -> c_int;
        /// What a context holds, or with null what all contexts hold.
        fn simpler_rs_resource_report(ctx: *mut c_void, out: *mut ContextReport) -> c_int;
        /// Figures of the last run of a context that ended well.
        fn simpler_rs_run_info(ctx: *mut c_void, out: *mut RunInfo) -> c_int;
        /// Sets an option of a context that has no device yet.
        fn simpler_rs_set_option(ctx: *mut c_void, name: *const c_char, value: *const c_char) -> c_int;
        /// Chooses where log records of this library go.
        fn simpler_rs_set_log_sink(sink: Option<LogSink>, user: *mut c_void, max_level: c_int) -> c_int;
        /// Functions that take no context and work on the one that is bound to the calling thread.
        fn simpler_rs_host_api() -> *const HostApi;
    }
}
