//! The trb structures: what is built is read back, shape arithmetic agrees with a simple model, and no foreign bytes
//! cause a panic or lead out of a buffer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use bytemuck::Zeroable;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use task_interface::trb::{
    Arg, ArgError, AsyncEngine, CompletionType, DeferredCompletionSlab, DispatchPayload, MixedKernels,
    ResourceShape, RuntimeHeader, ScopeMode, SdmaEventRecord, SubtaskSlot, TaskOutputTensors, TaskToken,
    Tensor, TensorCreateInfo, TensorRef, TrbErrorCode, run_code,
};
use task_interface::{DataType, TensorArgType};

/// Foreign bytes: anything, or few different small values, which get past the checks of counts more often.
fn bytes<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    let noise = vec(any::<u8>(), N);
    let sparse = vec(prop_oneof![12 => Just(0_u8), 2 => 1_u8..6, 1 => Just(0xff_u8)], N);
    prop_oneof![noise, sparse].prop_map(|bytes| bytes.try_into().unwrap())
}

/// Small enough that every element can be visited.
fn small_shapes() -> impl Strategy<Value = Vec<u32>> {
    vec(0_u32..5, 1..=5)
}

/// All index lists of a shape, in row-major order.
fn all_indices(shape: &[u32]) -> Vec<Vec<u32>> {
    shape.iter().fold(vec![Vec::new()], |lists, &dim| {
        lists.iter().flat_map(|list| (0..dim).map(move |index| [&list[..], &[index]].concat())).collect()
    })
}

/// A foreign tensor whose numbers are plausible, so that the arithmetic behind the checks is reached.
fn damaged_tensors() -> impl Strategy<Value = Tensor> {
    let dims = || [(); 5].map(|()| prop_oneof![4 => 0_u32..9, 1 => any::<u32>()]);
    let place = prop_oneof![3 => 0_u64..500, 1 => any::<u64>()];
    (dims(), dims(), (place.clone(), place.clone(), place), 0_u32..7, 0_u8..12, any::<u8>()).prop_map(
        |(shapes, strides, (buffer_addr, buffer_size, start_offset), ndims, dtype, flag)| Tensor {
            buffer_addr,
            buffer_size,
            start_offset,
            ndims,
            dtype,
            is_contiguous: flag & 1,
            manual_dep: flag,
            shapes,
            strides,
            ..Tensor::zeroed()
        },
    )
}

/// Calls every accessor and checks what must hold for all tensors.
fn use_tensor(tensor: &Tensor, indices: &[u32]) {
    let _ = (tensor.manual_dep(), tensor.is_contiguous(), format!("{tensor:?}"));
    let _ = (tensor.dtype(), tensor.strides(), tensor.element_count(), tensor.nbytes(), tensor.extent());
    if let Ok(shape) = tensor.shape() {
        assert!((1..=5).contains(&shape.len()));
    }
    if let Ok(offset) = tensor.flat_offset(indices) {
        assert!(offset >= tensor.start_offset);
        if let Ok(extent) = tensor.extent() {
            assert!(offset - tensor.start_offset < extent);
        }
    }
    if let Ok(address) = tensor.element_address(indices) {
        let size = tensor.dtype().unwrap().element_size() as u64;
        assert!(address >= tensor.buffer_addr && address - tensor.buffer_addr <= tensor.buffer_size - size);
    }
    if let Ok(copy) = tensor.payload_copy() {
        assert_eq!(copy.payload_copy(), Ok(copy));
        assert_eq!(copy.shape(), tensor.shape());
        assert_eq!((copy.pad_cl1, copy.pad_cl2), (0, [0; 36]));
    }
}

proptest! {
    #[test]
    fn tokens_round_trip(ring in any::<u8>(), local in any::<u32>(), raw in any::<u64>()) {
        let token = TaskToken::new(ring, local);
        prop_assert_eq!((token.ring(), token.local(), token.is_valid()), (ring, local, true));
        let foreign = TaskToken { raw };
        prop_assert_eq!(TaskToken::new(foreign.ring(), foreign.local()).raw, raw & 0xff_ffff_ffff);
    }

    #[test]
    fn dense_tensors_number_their_elements(
        shape in small_shapes(),
        dtype in select(DataType::ALL),
        slack in 0_u64..9,
    ) {
        let indices = all_indices(&shape);
        let size = (indices.len() * dtype.element_size()) as u64;
        let tensor = Tensor::contiguous(0x100, size + slack, &shape, dtype).unwrap();
        prop_assert_eq!(tensor.element_count(), Ok(indices.len() as u64));
        prop_assert_eq!((tensor.nbytes(), tensor.extent()), (Ok(size), tensor.element_count()));
        prop_assert_eq!(tensor.extent_elem_cache, indices.len() as u64);
        for (offset, indices) in indices.iter().enumerate() {
            prop_assert_eq!(tensor.flat_offset(indices), Ok(offset as u64));
            let address = 0x100 + (offset * dtype.element_size()) as u64;
            prop_assert_eq!(tensor.element_address(indices), Ok(address));
        }
        prop_assert_eq!(tensor.payload_copy(), Ok(tensor));
        if size > 0 {
            prop_assert!(Tensor::contiguous(0x100, size - 1, &shape, dtype).is_err());
        }
    }

    #[test]
    fn any_shape_is_built_or_refused(
        shape in vec(any::<u32>(), 0..7),
        size in any::<u64>(),
        dtype in select(DataType::ALL),
    ) {
        if let Ok(tensor) = Tensor::contiguous(0, size, &shape, dtype) {
            prop_assert_eq!(tensor.shape().unwrap(), &shape[..]);
            prop_assert!(tensor.nbytes().unwrap() <= size);
            prop_assert!(tensor.strides().unwrap().iter().all(|&stride| stride > 0));
        }
        if let Ok(info) = TensorCreateInfo::new(&shape, dtype)
            && let Ok(padded) = info.padded_nbytes()
        {
            prop_assert!(padded % 1024 == 0 && padded >= info.nbytes().unwrap());
            prop_assert!(padded - info.nbytes().unwrap() < 1024);
        }
    }

    #[test]
    fn outputs_are_built_as_asked(
        shape in small_shapes(),
        dtype in select(DataType::ALL),
        value in any::<Option<u64>>(),
        token in any::<u64>(),
    ) {
        let plain = TensorCreateInfo::new(&shape, dtype).unwrap();
        let info = value.map_or(plain, |bits| plain.with_initial_value(bits));
        prop_assert_eq!(info.initial_value(), value);
        let owner = TaskToken { raw: token };
        let size = info.padded_nbytes().unwrap();
        let tensor = info.output_tensor(0x400, size, owner).unwrap();
        prop_assert_eq!((tensor.owner_task_id, tensor.buffer_size), (owner, size));
        prop_assert_eq!(tensor.nbytes(), info.nbytes());
        prop_assert_eq!(tensor.payload_copy(), Ok(tensor));
        if let (Some(bits), Some(pattern)) = (value, info.fill_pattern().unwrap()) {
            let element = &bits.to_le_bytes()[..dtype.element_size()];
            prop_assert!(pattern.chunks(dtype.element_size()).all(|chunk| chunk == element));
        }
    }

    #[test]
    fn foreign_tensors_do_not_panic(
        image in bytes::<128>(),
        damaged in damaged_tensors(),
        indices in vec(0_u32..10, 0..7),
    ) {
        use_tensor(&bytemuck::cast(image), &indices);
        use_tensor(&damaged, &indices);
    }

    #[test]
    fn foreign_create_infos_do_not_panic(image in bytes::<64>(), addr in any::<u64>(), size in any::<u64>()) {
        let info: TensorCreateInfo = bytemuck::cast(image);
        let _ = (info.initial_value(), info.fill_pattern(), info.padded_nbytes(), format!("{info:?}"));
        if let Ok(tensor) = info.output_tensor(addr, size, TaskToken::INVALID) {
            prop_assert_eq!(tensor.nbytes(), info.nbytes());
            use_tensor(&tensor, &[]);
        }
    }

    #[test]
    fn arguments_round_trip(
        tensors in vec((select(TensorArgType::ALL), any::<u64>()), 0..20),
        scalars in vec(any::<u64>(), 0..40),
    ) {
        let mut arg = Arg::new();
        for (index, &(tag, ptr)) in tensors.iter().enumerate() {
            let full = (index >= 16).then_some(ArgError::TooManyTensors);
            prop_assert_eq!(arg.add_tensor(tag, TensorRef { ptr }).err(), full);
        }
        for (index, &bits) in scalars.iter().enumerate() {
            let full = (index >= 32).then_some(ArgError::TooManyScalars);
            prop_assert_eq!(arg.add_scalar(bits).err(), full);
        }
        let read: Vec<_> = arg.tagged_tensors().unwrap().map(Result::unwrap).collect();
        let expected: Vec<_> = tensors.iter().take(16).map(|&(tag, ptr)| (tag, TensorRef { ptr })).collect();
        prop_assert_eq!(read, expected);
        prop_assert_eq!(arg.used_scalars().unwrap(), &scalars[..scalars.len().min(32)]);
    }

    #[test]
    fn foreign_arguments_do_not_panic(image in bytes::<512>(), counts in (-1_i32..18, -1_i32..34)) {
        let noise: Arg = bytemuck::cast(image);
        let plausible = Arg { tensor_count: counts.0, scalar_count: counts.1, ..noise };
        for mut arg in [noise, plausible] {
            let _ = (arg.builder_error(), arg.block_num(), arg.dump_mask(), arg.explicit_deps(), format!("{arg:?}"));
            if let Ok(tensors) = arg.tagged_tensors() {
                prop_assert_eq!(tensors.count(), arg.tensor_count().unwrap());
            }
            let _ = (arg.add_tensor(TensorArgType::Input, TensorRef { ptr: 0 }), arg.add_scalar(0));
        }
    }

    #[test]
    fn other_foreign_structures_do_not_panic(
        outputs in bytes::<144>(),
        slab in bytes::<1600>(),
        record in bytes::<16>(),
        mode in any::<u8>(),
        ids in any::<[i32; 3]>(),
    ) {
        let mut outputs: TaskOutputTensors = bytemuck::cast(outputs);
        let _ = (format!("{outputs:?}"), outputs.push(std::ptr::null()));
        let slab: DeferredCompletionSlab = bytemuck::cast(slab);
        if let Ok(entries) = slab.used_entries() {
            for entry in entries {
                let _ = (entry.engine(), entry.completion_type(), entry.reached_by(1));
            }
        }
        let record: SdmaEventRecord = bytemuck::cast(record);
        prop_assert_eq!(record.channel_update().is_some(), record.channel_info != 0);
        let mut header = RuntimeHeader { pending_scope_mode: mode, ..RuntimeHeader::new(std::ptr::null()) };
        prop_assert_eq!(header.take_pending_scope_mode().is_ok(), mode < 2);
        let kernels: MixedKernels = bytemuck::cast(ids);
        prop_assert_eq!(kernels.normalized().shape(), kernels.shape());
        prop_assert_eq!(kernels.active().count(), kernels.normalized().active().count());
    }

    #[test]
    fn payloads_hold_the_arguments(
        tensors in vec(any::<u64>(), 0..18),
        scalars in vec(any::<u64>(), 0..34),
        address in any::<u64>(),
    ) {
        let mut payload = DispatchPayload::zeroed();
        payload.link_contexts(address);
        let expected = [&tensors[..], &scalars[..]].concat();
        let fits = tensors.len() <= 16 && scalars.len() <= 32;
        prop_assert_eq!(payload.set_args(&tensors, &scalars).is_ok(), fits);
        if fits {
            prop_assert_eq!(&payload.args[..expected.len()], &expected[..]);
        }
        prop_assert_eq!(payload.args[49].wrapping_sub(payload.args[48]), 48);
    }

    #[test]
    fn raw_numbers_become_enums_or_errors(raw in any::<i32>(), small in -1_i32..12) {
        for raw in [raw, small] {
            let byte = u8::try_from(raw).unwrap_or(u8::MAX);
            prop_assert_eq!(ScopeMode::try_from(byte).map_or(byte, u8::from), byte);
            prop_assert_eq!(SubtaskSlot::try_from(byte).map_or(byte, u8::from), byte);
            prop_assert_eq!(ResourceShape::try_from(byte).map_or(byte, u8::from), byte);
            prop_assert_eq!(AsyncEngine::try_from(raw.unsigned_abs()).is_ok(), raw.unsigned_abs() < 4);
            prop_assert_eq!(CompletionType::try_from(raw).is_ok(), (0..2).contains(&raw));
            prop_assert_eq!(TrbErrorCode::from_code(raw).map_or(raw, TrbErrorCode::code), raw);
        }
        prop_assert!(run_code(raw, small) <= 0);
        prop_assert_eq!(run_code(raw, small) == 0, raw == 0 && small == 0);
    }
}
