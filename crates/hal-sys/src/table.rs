//! The table of all calls, and where each is found.

use std::fmt;

use libloading::os::unix;

use crate::sys;

/// A shared library of CANN or of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Library {
    /// The log library.
    Dlog,
    /// The driver's user-space library. It comes with the driver, not with the toolkit.
    Hal,
    /// The runtime.
    Runtime,
    /// AscendCL.
    AscendCl,
    /// The communication library.
    Hcomm,
}

impl Library {
    /// All of them, in the order in which they are loaded: the runtime needs the log library and the
    /// driver's, and finds them where they are already, also outside of the search path.
    pub const ALL: [Self; 5] = [Self::Dlog, Self::Hal, Self::Runtime, Self::AscendCl, Self::Hcomm];

    /// The file names that it has in the versions of CANN, the preferred one first.
    #[must_use]
    pub fn candidates(self) -> &'static [&'static str] {
        match self {
            Self::Dlog => &["libunified_dlog.so", "libascendalog.so"],
            Self::Hal => &["libascend_hal.so"],
            Self::Runtime => &["libruntime.so"],
            // Since CANN 9 the first is in a package of its own, for compatibility.
            Self::AscendCl => &["libascendcl.so", "libacl_rt.so"],
            // In CANN 8 HCCL is all in the second; in CANN 9 it forwards to the first.
            Self::Hcomm => &["libhcomm.so", "libhccl.so"],
        }
    }
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Base,
        Self::RegistersA2a3,
        Self::RegistersA5,
        Self::Ffts,
        Self::Teardown,
        Self::HostRegistration,
        Self::AclComm,
        Self::Ipc,
        Self::Hccl,
        Self::Dlog,
        Self::Information,
        Self::DeviceSide,
    ];
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.candidates().join(" or "))
    }
}

/// Functions that are needed together, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Group {
    /// What each chip needs: attachment, memory, streams, loading and launching of programs.
    Base,
    /// Register blocks and present cores of a2a3.
    RegistersA2a3,
    /// Register blocks of a5.
    RegistersA5,
    /// The FFTS control block of a2a3.
    Ffts,
    /// Giving back more than the usual: unloading kernels, resetting a device that others use. Not in all
    /// versions.
    Teardown,
    /// Mapping device memory into this process, for diagnostics on a2a3.
    HostRegistration,
    /// Initialisation, devices and streams of AscendCL, as communication on a2a3 wants them.
    AclComm,
    /// Sharing device memory between processes and chips.
    Ipc,
    /// Communicators.
    Hccl,
    /// The level of the log.
    Dlog,
    /// What tools ask about a device.
    Information,
    /// What programs on the AICPU call; a host has no use for it.
    DeviceSide,
}

/// What is known about a function before anything is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Its name in C.
    pub name: &'static str,
    /// The library that has it.
    pub library: Library,
    /// What it is needed together with.
    pub group: Group,
}

macro_rules! functions {
    ($($library:ident, $group:ident: $($name:ident)*;)*) => {
        /// One field per call of `spec/hal.md`, section 1, under its name in C. `None`: it is not there.
        #[allow(non_snake_case, reason = "the names are those of C")]
        #[allow(missing_docs, reason = "the fields are what their names say, in spec/hal.md")]
        #[derive(Clone, Copy, Debug, Default)]
        pub struct RawTable {
            $($(pub $name: Option<sys::$name>,)*)*
        }

        /// All calls, in the order of `spec/hal.md`.
        pub const FUNCTIONS: &[FunctionInfo] = &[
            $($(FunctionInfo {
                name: stringify!($name), library: Library::$library, group: Group::$group
            },)*)*
        ];

        impl RawTable {
            /// Whether it has the function of this name.
            #[must_use]
            pub fn has(&self, name: &str) -> bool {
                match name {
                    $($(stringify!($name) => self.$name.is_some(),)*)*
                    _ => false,
                }
            }

            /// Takes the functions of `wanted` that it lacks from a library, where that has them.
            ///
            /// # Safety
            /// The library stays loaded for as long as the table is used, and its functions have the signatures
            /// that their names stand for.
            pub(crate) unsafe fn fill(&mut self, wanted: Library, library: &unix::Library) {
                $($(if wanted == Library::$library && self.$name.is_none() {
                    // SAFETY: the caller vouches for the signature; the option holds a null address as well.
                    let found = unsafe {
                        library.get::<Option<sys::$name>>(concat!(stringify!($name), "\0").as_bytes())
                    };
                    self.$name = found.ok().and_then(|function| *function);
                })*)*
            }
        }
    };
}

functions! {
    Runtime, Base: rtSetDevice rtDeviceReset rtMalloc rtFree rtMemcpy rtStreamCreate rtStreamDestroy
        rtRegisterAllKernel rtKernelLaunchWithHandleV2 rtAicpuKernelLaunchExWithArgs rtsBinaryLoadFromFile
        rtsFuncGetByName rtsLaunchCpuKernel rtsBinaryUnload;
    Runtime, Teardown: rtDevBinaryUnRegister;
    Runtime, Ffts: rtGetC2cCtrlAddr;
    Runtime, Information: rtGetAiCpuCount;
    AscendCl, Base: aclrtMalloc aclrtFree aclrtMemcpy aclrtSynchronizeStream aclrtSynchronizeStreamWithTimeout
        aclrtSetOpExecuteTimeOutV2 aclrtGetStreamResLimit;
    AscendCl, Teardown: aclrtResetDeviceForce;
    AscendCl, AclComm: aclInit aclFinalize aclrtSetDevice aclrtResetDevice aclrtGetDevice aclrtCreateStream
        aclrtDestroyStream aclrtMemset;
    AscendCl, Ipc: aclrtIpcMemGetExportKey aclrtIpcMemSetImportPid aclrtIpcMemImportByKey aclrtIpcMemClose
        aclrtDeviceEnablePeerAccess aclrtDevicePeerAccessStatus;
    Hcomm, Hccl: HcclGetRootInfo HcclCommInitRootInfo HcclBarrier HcclCommDestroy;
    Hal, HostRegistration: halHostRegister halHostUnregister;
    Hal, RegistersA2a3: halGetDeviceInfoByBuff halMemCtl;
    Hal, RegistersA5: halResMap;
    Hal, DeviceSide: halMemAlloc halMemFree;
    Dlog, Dlog: dlog_setlevel;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_has_functions_and_each_function_a_group() {
        for group in Group::ALL {
            assert!(FUNCTIONS.iter().any(|function| function.group == group), "{group:?}");
        }
        assert!(FUNCTIONS.iter().all(|function| Group::ALL.contains(&function.group)));
        // 47 of section 1.1 to 1.5, and 4 of HCCL.
        assert_eq!(FUNCTIONS.len(), 51);
    }

    #[test]
    fn a_table_starts_empty() {
        assert!(!FUNCTIONS.iter().any(|function| RawTable::default().has(function.name)));
    }
}
