//! An image as a device program finds it: read by address, and believed only where it agrees with itself.

use std::fmt::Display;
use std::sync::Arc;

use device_runner::{CoreId, KernelHandle, KernelTable, LaunchKernel, Topology};
use task_interface::{CoreCallableHeader, Handshake};

use super::arena::{ChipNumbers, RuntimeArenaLayout};
use super::contents::MemoryMap;
use super::error::ImageError;
use super::runtime::{RuntimeTail, tail_offset};
use super::structs::RuntimeBack;
use crate::gm::{self, Gm};

/// Regions start on a multiple of this.
const REGION_ALIGN: u64 = 1024;

/// What an image says, checked.
pub(crate) struct Image {
    pub(crate) tail: Box<RuntimeTail>,
    pub(crate) map: MemoryMap,
    pub(crate) topology: Topology,
    pub(crate) heap: Gm,
    pub(crate) sm: Gm,
    pub(crate) arena: Gm,
    /// Kernels by func id, each with the address that cores call.
    pub(crate) kernels: Arc<KernelTable>,
    pub(crate) entry_name: String,
    pub(crate) config_name: String,
}

fn check(
    right: bool,
    what: &'static str,
    found: impl Display,
    expected: impl Display,
) -> Result<(), ImageError> {
    if right { Ok(()) } else { Err(ImageError::invalid(what, found, expected)) }
}

fn check_address(what: &'static str, address: u64, align: u64) -> Result<(), ImageError> {
    let right = address != 0 && address.is_multiple_of(align);
    check(right, what, format_args!("{address:#x}"), format_args!("an address aligned to {align}"))
}

impl Image {
    /// # Safety
    /// As [`DeviceHalf::open`](super::DeviceHalf::open).
    pub(crate) unsafe fn read(chip: ChipNumbers, runtime: u64) -> Result<Self, ImageError> {
        check_address("the address of the Runtime object", runtime, 64)?;
        // SAFETY: the caller vouches for a whole object of this chip.
        let tail: Box<RuntimeTail> =
            Box::new(unsafe { gm::read_foreign(runtime + tail_offset(chip.cores) as u64) });
        let topology = check_cores(chip, &tail)?;
        // SAFETY: there are as many handshakes in front of the tail as the chip has cores.
        unsafe { check_handshakes(runtime, topology) }?;
        check_address("gm_heap_ptr", tail.gm_heap_ptr, REGION_ALIGN)?;
        check_address("gm_sm_ptr", tail.gm_sm_ptr, REGION_ALIGN)?;
        check_address("prebuilt_arena_base", tail.prebuilt_arena_base, REGION_ALIGN)?;
        // SAFETY: the arena is readable.
        let map = unsafe { read_map(chip, &tail) }?;
        let entry_name = text("device_orch_func_name", &tail.device_orch_func_name)?;
        let config_name = text("device_orch_config_name", &tail.device_orch_config_name)?;
        check(tail.dev_orch_so_size > 0, "dev_orch_so_size", tail.dev_orch_so_size, "the object's bytes")?;
        check_address("dev_orch_so_addr", tail.dev_orch_so_addr, 1)?;
        // SAFETY: the caller vouches for the kernels' headers.
        let kernels = Arc::new(unsafe { read_kernels(&tail) }?);
        // SAFETY: the caller keeps the three regions until the program is gone.
        let [heap, sm, arena] = unsafe {
            [
                Gm::new(map.heap, map.config.heap_of_all_rings()),
                Gm::new(map.sm, map.shared.size),
                Gm::new(map.arena, map.layout.arena_size),
            ]
        };
        Ok(Self { tail, map, topology, heap, sm, arena, kernels, entry_name, config_name })
    }

    /// A copy of the orchestration object.
    pub(crate) fn object_bytes(&self) -> Arc<[u8]> {
        // SAFETY: whoever opened the image vouches for the object.
        unsafe { gm::read_bytes(self.tail.dev_orch_so_addr, self.tail.dev_orch_so_size) }
    }
}

fn check_cores(chip: ChipNumbers, tail: &RuntimeTail) -> Result<Topology, ImageError> {
    let cores = u32::try_from(tail.worker_count).unwrap_or(0);
    let topology = Topology::new(cores / Topology::CORES_PER_CLUSTER);
    let whole = (1..=chip.cores).contains(&cores) && topology.cores() == cores;
    check(whole, "worker_count", tail.worker_count, format_args!("a multiple of 3 up to {}", chip.cores))?;
    let threads = u32::try_from(tail.aicpu_thread_num).unwrap_or(0);
    let right = (2..=chip.max_threads).contains(&threads);
    check(right, "aicpu_thread_num", tail.aicpu_thread_num, format_args!("2 to {}", chip.max_threads))?;
    Ok(topology)
}

/// # Safety
/// There must be a handshake for each core at `runtime`.
unsafe fn check_handshakes(runtime: u64, topology: Topology) -> Result<(), ImageError> {
    for core in 0..topology.cores() {
        let place = runtime + u64::from(core) * size_of::<Handshake>() as u64;
        // SAFETY: as the caller promises. Nobody writes there before the AICPU program has greeted the cores.
        let handshake: Handshake = unsafe { gm::read_foreign(place) };
        let expected = topology.core_type(CoreId(core));
        let right = handshake.core_type == expected.raw();
        check(right, "core_type of a handshake", handshake.core_type, expected.raw())?;
    }
    Ok(())
}

/// Where everything lies, by the layout that the arena carries, if it is the one that follows from its own sizes.
///
/// # Safety
/// The arena that `tail` names must be readable.
unsafe fn read_map(chip: ChipNumbers, tail: &RuntimeTail) -> Result<MemoryMap, ImageError> {
    let offset = tail.prebuilt_runtime_offset;
    // The offset is checked below, against the layout; here it only has to stay in the address space.
    let back = tail.prebuilt_arena_base.checked_add(offset).and_then(|at| at.checked_add(chip.back_offset()));
    let back = back.filter(|_| offset < 1 << 40).ok_or_else(|| {
        ImageError::invalid(
            "prebuilt_runtime_offset",
            format_args!("{offset:#x}"),
            "an offset inside of the arena",
        )
    })?;
    // SAFETY: as the caller promises.
    let back: RuntimeBack = unsafe { gm::read_foreign(back) };
    let layout = back.prebuilt_layout;
    let config =
        layout.config().map_err(|error| ImageError::invalid("prebuilt_layout", error, "possible rings"))?;
    let map = MemoryMap {
        heap: tail.gm_heap_ptr,
        sm: tail.gm_sm_ptr,
        arena: tail.prebuilt_arena_base,
        ..MemoryMap::new(chip, config)
    };
    let expected: RuntimeArenaLayout = map.layout;
    let ends = [
        ("gm_heap_ptr", map.heap, config.heap_of_all_rings()),
        ("gm_sm_ptr", map.sm, map.shared.size),
        ("prebuilt_arena_base", map.arena, expected.arena_size),
    ];
    for (what, start, bytes) in ends {
        let inside = start.checked_add(bytes).is_some();
        check(
            inside,
            what,
            format_args!("{start:#x}"),
            format_args!("an address with {bytes} bytes behind it"),
        )?;
    }
    check(layout == expected, "prebuilt_layout", format_args!("{layout:?}"), format_args!("{expected:?}"))?;
    check(offset == expected.off_runtime, "prebuilt_runtime_offset", offset, expected.off_runtime)?;
    check(back.gm_heap == map.heap, "gm_heap of the arena", back.gm_heap, map.heap)?;
    check(
        back.gm_heap_size == map.config.heap_of_all_rings(),
        "gm_heap_size",
        back.gm_heap_size,
        map.config.heap_of_all_rings(),
    )?;
    let sizes = [
        ("task_window_size", tail.task_window_size, expected.task_window_size),
        ("heap_size", tail.heap_size, expected.heap_size),
        ("dep_pool_size", tail.dep_pool_size, u64::from(config.dep_pool)),
    ];
    // 0 stands for the size that the arena was laid out with.
    sizes.into_iter().try_for_each(|(what, found, expected)| {
        check([0, expected].contains(&found), what, found, expected)
    })?;
    Ok(map)
}

/// A name of up to 63 bytes, ended by a NUL.
fn text(what: &'static str, bytes: &[u8]) -> Result<String, ImageError> {
    let end = bytes.iter().position(|&byte| byte == 0);
    let name = end.and_then(|end| std::str::from_utf8(&bytes[..end]).ok());
    let shown =
        || ImageError::invalid(what, String::from_utf8_lossy(bytes), "up to 63 bytes of text and a NUL");
    name.map(str::to_owned).ok_or_else(shown)
}

/// Kernels that the table names, with the addresses that their headers say.
///
/// # Safety
/// Addresses in the table must be those of `CoreCallable` headers.
unsafe fn read_kernels(tail: &RuntimeTail) -> Result<KernelTable, ImageError> {
    let named = (0u32..).zip(&tail.func_id_to_addr).filter(|(_, address)| **address != 0);
    let kernels = named.map(|(func_id, &address)| {
        // SAFETY: as the caller promises; headers inside of a callable are 4-byte aligned, which is enough here.
        let header: CoreCallableHeader = unsafe { gm::read_foreign(address) };
        let entry = header.resolved_addr;
        check(
            entry != 0,
            "resolved_addr of a kernel",
            entry,
            format_args!("where func id {func_id} starts"),
        )?;
        let name = format!("func {func_id}").into();
        let signature = header.arg_directions();
        let signature = signature
            .map_err(|error| ImageError::invalid("the signature of a kernel", error, "a possible one"))?;
        Ok(LaunchKernel { handle: KernelHandle(entry), func_id, name, signature: signature.into() })
    });
    kernels.collect::<Result<_, ImageError>>().map(KernelTable::new)
}
