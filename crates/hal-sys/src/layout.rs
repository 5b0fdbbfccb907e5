//! The layouts of the generated declarations, held against the numbers of `spec/hal.md`, section 2.

use std::mem::{align_of, offset_of, size_of};

use crate::sys;

macro_rules! assert_layout {
    ($type:ident, size $size:literal, align $align:literal, { $($field:ident @ $offset:literal),* $(,)? }) => {
        const _: () = {
            assert!(size_of::<sys::$type>() == $size);
            assert!(align_of::<sys::$type>() == $align);
            $(assert!(offset_of!(sys::$type, $field) == $offset);)*
        };
    };
}

assert_layout!(rtError_t, size 4, align 4, {});
assert_layout!(aclError, size 4, align 4, {});
assert_layout!(HcclResult, size 4, align 4, {});
assert_layout!(drvError_t, size 4, align 4, {});
assert_layout!(rtMemType_t, size 4, align 4, {});
assert_layout!(rtMemcpyKind_t, size 4, align 4, {});
assert_layout!(aclrtMemMallocPolicy, size 4, align 4, {});
assert_layout!(aclrtMemcpyKind, size 4, align 4, {});
assert_layout!(aclrtDevResLimitType, size 4, align 4, {});
assert_layout!(processType_t, size 4, align 4, {});
assert_layout!(res_map_type, size 4, align 4, {});
assert_layout!(rtStream_t, size 8, align 8, {});
assert_layout!(aclrtStream, size 8, align 8, {});
assert_layout!(rtBinHandle, size 8, align 8, {});
assert_layout!(rtFuncHandle, size 8, align 8, {});
assert_layout!(HcclComm, size 8, align 8, {});
assert_layout!(rtDevBinary_t, size 24, align 8, { magic @ 0, version @ 4, data @ 8, length @ 16 });
assert_layout!(rtHostInputInfo_t, size 8, align 4, { addrOffset @ 0, dataOffset @ 4 });
assert_layout!(rtArgsEx_t, size 40, align 8, {
    args @ 0, hostInputInfoPtr @ 8, argsSize @ 16, tilingAddrOffset @ 20, tilingDataOffset @ 24,
    hostInputInfoNum @ 28, hasTiling @ 30, isNoNeedH2DCopy @ 31, reserved @ 32,
});
assert_layout!(rtAicpuArgsEx_t, size 48, align 8, {
    args @ 0, hostInputInfoPtr @ 8, kernelOffsetInfoPtr @ 16, argsSize @ 24, hostInputInfoNum @ 28,
    kernelOffsetInfoNum @ 30, soNameAddrOffset @ 32, kernelNameAddrOffset @ 36, isNoNeedH2DCopy @ 40, timeout @ 42,
    reserved @ 44,
});
assert_layout!(rtCpuKernelArgs_t, size 72, align 8, { baseArgs @ 0, cpuParamHeadOffset @ 48, rsv @ 56 });
assert_layout!(rtTaskCfgInfo_t, size 16, align 4, {
    qos @ 0, partId @ 1, schemMode @ 2, d2dCrossFlag @ 3, blockDimOffset @ 4, dumpflag @ 8, neverTimeout @ 9,
    rev @ 10, localMemorySize @ 12,
});
assert_layout!(rtSmDesc_t, size 272, align 8, {});
assert_layout!(rtLoadBinaryOptionValue_t, size 16, align 4, { cpuKernelMode @ 0, rsv @ 0 });
assert_layout!(rtLoadBinaryOption_t, size 20, align 4, { optionId @ 0, value @ 4 });
assert_layout!(rtLoadBinaryConfig_t, size 16, align 8, { options @ 0, numOpt @ 8 });
assert_layout!(rtLaunchKernelAttrVal_t, size 16, align 4, { rsv @ 0 });
assert_layout!(rtLaunchKernelAttr_t, size 20, align 4, { id @ 0, value @ 4 });
assert_layout!(rtKernelLaunchCfg_t, size 16, align 8, { attrs @ 0, numAttrs @ 8 });
assert_layout!(AddrMapInPara, size 8, align 4, { addr_type @ 0, devid @ 4 });
assert_layout!(AddrMapOutPara, size 16, align 8, { ptr @ 0, len @ 8 });
assert_layout!(AddrUnmapInPara, size 24, align 8, { addr_type @ 0, devid @ 4, ptr @ 8, len @ 16 });
assert_layout!(res_map_info, size 20, align 4, {
    target_proc_type @ 0, res_type @ 4, res_id @ 8, flag @ 12, rsv @ 16,
});
assert_layout!(HcclRootInfo, size 4108, align 1, { internal @ 0 });
