use std::mem::{align_of, offset_of, size_of};

use bytemuck::{Pod, Zeroable};
use device_runner::Arch;
use task_interface::{
    Handshake, RUNTIME_MAX_ARGS, RUNTIME_MAX_FANOUT, RUNTIME_MAX_FUNC_ID, RUNTIME_MAX_TASKS,
};

/// One task of an image (`spec/device-abi.md`, section 3.1). 696 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct Task {
    /// Its own index.
    pub task_id: i32,
    /// The kernel's id in the callable.
    pub func_id: i32,
    /// The kernel's argument slots; unused ones are 0.
    pub args: [u64; RUNTIME_MAX_ARGS],
    /// Slots in use.
    pub num_args: i32,
    /// Zero.
    pub padding: u32,
    /// What a core calls; 0 for nothing.
    pub function_bin_addr: u64,
    /// A raw [`CoreType`](task_interface::CoreType).
    pub core_type: i32,
    /// Predecessors.
    pub fanin: i32,
    /// Successors; only the first `fanout_count` count.
    pub fanout: [i32; RUNTIME_MAX_FANOUT],
    /// Number of successors.
    pub fanout_count: i32,
    /// Zero.
    pub padding_2: u32,
    /// Never written.
    pub start_time: u64,
    /// Never written.
    pub end_time: u64,
}

/// What every image has between the tasks and the tensor tables.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Tables {
    /// Device addresses of the kernels' `CoreCallable`s.
    pub(super) func_id_to_addr: [u64; RUNTIME_MAX_FUNC_ID],
    /// Of the host only; none.
    pub(super) registered_kernel_func_ids: [i32; RUNTIME_MAX_FUNC_ID],
    pub(super) registered_kernel_count: i32,
    pub(super) padding: u32,
    /// Device address of all `TensorInfo`s, in order of their tasks; 0 for none.
    pub(super) tensor_info_storage: u64,
    pub(super) tensor_info_storage_bytes: u64,
}

/// The end of every image.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Tail {
    /// Device address of the `TensorAllocationInfo`s; 0 for none.
    pub(super) tensor_allocation_storage: u64,
    pub(super) tensor_allocation_storage_bytes: u64,
    pub(super) tensor_allocation_count: u32,
    pub(super) padding: u32,
    /// Of the host only.
    pub(super) host_api: [u64; 9],
    /// There is no orchestration on the device.
    pub(super) dev_orch_so_addr: u64,
    pub(super) dev_orch_so_size: u64,
    pub(super) active_callable_id: i32,
    pub(super) register_new_callable_id: u8,
    pub(super) device_orch_func_name: [u8; NAME_BYTES],
    pub(super) device_orch_config_name: [u8; NAME_BYTES],
    pub(super) padding_2: [u8; 3],
    /// Of the host only.
    pub(super) tensor_pairs: [u64; 3],
}

/// Room of a name, with the NUL at its end.
pub(super) const NAME_BYTES: usize = 64;

/// The whole object, for its offsets; 92 MB that nobody ever makes.
#[repr(C, align(64))]
struct Runtime<const CORES: usize> {
    workers: [Handshake; CORES],
    worker_count: i32,
    aicpu_thread_num: i32,
    tasks: [Task; RUNTIME_MAX_TASKS],
    next_task_id: i32,
    initial_ready_tasks: [i32; RUNTIME_MAX_TASKS],
    initial_ready_count: i32,
    tables: Tables,
    tensor_info_offsets: [u32; RUNTIME_MAX_TASKS],
    tensor_info_counts: [u16; RUNTIME_MAX_TASKS],
    tail: Tail,
}

/// Where things are in the image of one chip; offsets and sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    /// Size of the image.
    pub bytes: usize,
    /// Places for cores at the start, a [`Handshake`] each.
    pub cores: usize,
    /// Cores in use, an `i32`; behind it the number of AICPU threads, another one.
    pub worker_count: usize,
    /// The tasks.
    pub tasks: usize,
    pub(super) next_task_id: usize,
    pub(super) initial_ready_tasks: usize,
    pub(super) initial_ready_count: usize,
    pub(super) tables: usize,
    pub(super) tensor_info_offsets: usize,
    pub(super) tensor_info_counts: usize,
    pub(super) tail: usize,
}

impl Layout {
    const fn with_cores<const CORES: usize>() -> Self {
        Self {
            bytes: size_of::<Runtime<CORES>>(),
            cores: CORES,
            worker_count: offset_of!(Runtime<CORES>, worker_count),
            tasks: offset_of!(Runtime<CORES>, tasks),
            next_task_id: offset_of!(Runtime<CORES>, next_task_id),
            initial_ready_tasks: offset_of!(Runtime<CORES>, initial_ready_tasks),
            initial_ready_count: offset_of!(Runtime<CORES>, initial_ready_count),
            tables: offset_of!(Runtime<CORES>, tables),
            tensor_info_offsets: offset_of!(Runtime<CORES>, tensor_info_offsets),
            tensor_info_counts: offset_of!(Runtime<CORES>, tensor_info_counts),
            tail: offset_of!(Runtime<CORES>, tail),
        }
    }

    /// The layout on a chip; `None` for one that the contract does not have.
    #[must_use]
    pub fn of(arch: &dyn Arch) -> Option<Self> {
        // An image has a place for each core that the chip may give to a launch.
        match arch.limits().max_block_dim {
            24 => Some(Self::with_cores::<72>()),
            36 => Some(Self::with_cores::<108>()),
            _ => None,
        }
    }

    /// Offset of task `index`; `None` beyond the last one that an image can have.
    #[must_use]
    pub fn task(&self, index: usize) -> Option<usize> {
        (index < RUNTIME_MAX_TASKS).then(|| self.tasks + index * size_of::<Task>())
    }
}

const _: () = {
    assert!(size_of::<Task>() == 696 && align_of::<Task>() == 8);
    assert!(size_of::<Runtime<72>>() == 92_554_048 && align_of::<Runtime<72>>() == 64);
    assert!(size_of::<Runtime<108>>() == 92_556_352 && align_of::<Runtime<108>>() == 64);
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use serde_json::Value;

    type Fields = BTreeMap<&'static str, usize>;

    macro_rules! offsets {
        ($type:ty, { $($name:literal: $($field:ident).+),+ $(,)? }) => {
            Fields::from([$(($name, offset_of!($type, $($field).+))),+])
        };
    }

    fn runtime_fields<const CORES: usize>() -> Fields {
        offsets!(Runtime<CORES>, {
            "workers": workers,
            "worker_count": worker_count,
            "aicpu_thread_num": aicpu_thread_num,
            "tasks": tasks,
            "next_task_id": next_task_id,
            "initial_ready_tasks": initial_ready_tasks,
            "initial_ready_count": initial_ready_count,
            "func_id_to_addr_": tables.func_id_to_addr,
            "registered_kernel_func_ids_": tables.registered_kernel_func_ids,
            "registered_kernel_count_": tables.registered_kernel_count,
            "tensor_info_storage_": tables.tensor_info_storage,
            "tensor_info_storage_bytes_": tables.tensor_info_storage_bytes,
            "tensor_info_offsets_": tensor_info_offsets,
            "tensor_info_counts_": tensor_info_counts,
            "tensor_allocation_storage_": tail.tensor_allocation_storage,
            "tensor_allocation_storage_bytes_": tail.tensor_allocation_storage_bytes,
            "tensor_allocation_count_": tail.tensor_allocation_count,
            "host_api": tail.host_api,
            "dev_orch_so_addr_": tail.dev_orch_so_addr,
            "dev_orch_so_size_": tail.dev_orch_so_size,
            "active_callable_id_": tail.active_callable_id,
            "register_new_callable_id_": tail.register_new_callable_id,
            "device_orch_func_name_": tail.device_orch_func_name,
            "device_orch_config_name_": tail.device_orch_config_name,
            "tensor_pairs_": tail.tensor_pairs,
        })
    }

    fn task_fields() -> Fields {
        offsets!(Task, {
            "task_id": task_id,
            "func_id": func_id,
            "args": args,
            "num_args": num_args,
            "function_bin_addr": function_bin_addr,
            "core_type": core_type,
            "fanin": fanin,
            "fanout": fanout,
            "fanout_count": fanout_count,
            "start_time": start_time,
            "end_time": end_time,
        })
    }

    fn assert_struct(contract: &Value, size: usize, ours: &Fields) {
        assert_eq!(contract["size"].as_u64(), Some(size as u64));
        let fields = contract["fields"].as_array().unwrap();
        let theirs: BTreeMap<&str, usize> = fields
            .iter()
            .map(|field| {
                let offset = field["offset"].as_u64().unwrap();
                (field["name"].as_str().unwrap(), usize::try_from(offset).unwrap())
            })
            .collect();
        assert_eq!(&theirs, ours);
    }

    #[test]
    fn every_offset_is_the_contracts() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/device-layouts.json");
        let contract: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let chips = [
            ("a2a3", size_of::<Runtime<72>>(), runtime_fields::<72>()),
            ("a5", size_of::<Runtime<108>>(), runtime_fields::<108>()),
        ];
        for (arch, size, runtime) in chips {
            let contract = &contract[arch]["hbg"];
            assert_struct(&contract["Runtime"], size, &runtime);
            assert_struct(&contract["Task"], size_of::<Task>(), &task_fields());
        }
    }

    #[test]
    fn chips_have_their_layouts() {
        let of = |arch: &dyn Arch| Layout::of(arch).unwrap();
        assert_eq!(of(&arch_a2a3::CHIP), Layout::with_cores::<72>());
        assert_eq!(of(&arch_a5::CHIP), Layout::with_cores::<108>());
        let layout = Layout::with_cores::<72>();
        assert_eq!(layout.task(0), Some(layout.tasks));
        assert_eq!(layout.task(RUNTIME_MAX_TASKS - 1).unwrap() + 696, layout.next_task_id);
        assert_eq!(layout.task(RUNTIME_MAX_TASKS), None);
    }
}
