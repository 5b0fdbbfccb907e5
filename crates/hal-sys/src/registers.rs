//! Where programs of the AICPU find the registers of the cores.

use std::ffi::c_ulong;
use std::ptr;

use crate::error::HalError;
use crate::hal::{Hal, acl, driver, function};
use crate::sys;

/// Register blocks of a2a3, as `halMemCtl` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddrKind {
    /// Control of the cores.
    AicCtrl,
    /// Their performance counters.
    AicPmu,
}

/// Bytes of the registers of one core on a5 (`spec/hal.md`, section 2).
const CORE_BLOCK_A5: u32 = 0x30_0000;

impl Hal {
    /// Maps the registers of all cores of an a2a3 device: address on the device, and bytes. The mapping stays
    /// for the life of the process, and is the same each time. Needs
    /// [`Group::RegistersA2a3`](crate::Group::RegistersA2a3).
    ///
    /// # Errors
    /// A code of the driver: 13 when it is busy, which passes; 4 when the device is not open.
    pub fn map_registers(&self, kind: AddrKind, device: u32) -> Result<(u64, u64), HalError> {
        let control = function!(self, halMemCtl)?;
        let addr_type = match kind {
            AddrKind::AicCtrl => sys::ADDR_MAP_TYPE_REG_AIC_CTRL,
            AddrKind::AicPmu => sys::ADDR_MAP_TYPE_REG_AIC_PMU_CTRL,
        };
        let mut input = sys::AddrMapInPara { addr_type, devid: device };
        let mut output = sys::AddrMapOutPara::default();
        let what = sys::CTRL_TYPE_ADDR_MAP.cast_signed();
        // SAFETY: both structures live during the call, which takes them by this size and this type.
        driver("halMemCtl", unsafe {
            control(
                what,
                (&raw mut input).cast(),
                size_of_val(&input),
                (&raw mut output).cast(),
                ptr::null_mut(),
            )
        })?;
        if output.ptr == 0 {
            return Err(HalError::Empty { call: "halMemCtl" });
        }
        Ok((output.ptr, output.len))
    }

    /// Which cores of an a2a3 device are there: bit i for core i.
    /// Needs [`Group::RegistersA2a3`](crate::Group::RegistersA2a3).
    ///
    /// # Errors
    /// A code of the driver: 65534 when it does not tell.
    pub fn core_bitmap(&self, device: u32) -> Result<u64, HalError> {
        let get = function!(self, halGetDeviceInfoByBuff)?;
        let mut words = [0_u64; 2];
        // What it says, in bytes, as the call wants it.
        let mut size = 16;
        let module = sys::MODULE_TYPE_AICORE.cast_signed();
        let info = sys::INFO_TYPE_OCCUPY.cast_signed();
        // SAFETY: the buffer has as many bytes as `size` says, and both live during the call.
        driver("halGetDeviceInfoByBuff", unsafe {
            get(device, module, info, (&raw mut words).cast(), &raw mut size)
        })?;
        Ok(words[0])
    }

    /// Maps the registers of one core of an a5 device: address on the device, and bytes. The AIC has the
    /// first third, its two AIV the others. Needs [`Group::RegistersA5`](crate::Group::RegistersA5).
    ///
    /// # Errors
    /// A code of the driver: 7 when the device is not open, 3 when it has no such core.
    pub fn map_core(&self, device: u32, core: u32) -> Result<(u64, u32), HalError> {
        let map = function!(self, halResMap)?;
        let mut info = sys::res_map_info {
            target_proc_type: sys::PROCESS_CP1,
            res_type: sys::RES_AICORE,
            res_id: core,
            flag: 0,
            rsv: [0],
        };
        let mut address: c_ulong = 0;
        let mut length = CORE_BLOCK_A5;
        // SAFETY: all three live during the call.
        driver("halResMap", unsafe { map(device, &raw mut info, &raw mut address, &raw mut length) })?;
        if address == 0 {
            return Err(HalError::Empty { call: "halResMap" });
        }
        #[allow(clippy::useless_conversion, reason = "the size of `unsigned long` is the target's")]
        Ok((u64::from(address), length))
    }

    /// Where the FFTS control block of the a2a3 device lies that the thread is *attached* to.
    /// Needs [`Group::Ffts`](crate::Group::Ffts).
    ///
    /// # Errors
    /// 107002: the thread is not attached; 0x0711000D: the chip has none.
    pub fn c2c_ctrl_addr(&self) -> Result<u64, HalError> {
        let get = function!(self, rtGetC2cCtrlAddr)?;
        let (mut address, mut length) = (0, 0);
        // SAFETY: both live during the call.
        acl("rtGetC2cCtrlAddr", unsafe { get(&raw mut address, &raw mut length) })?;
        if address == 0 {
            return Err(HalError::Empty { call: "rtGetC2cCtrlAddr" });
        }
        Ok(address)
    }
}
