//! Blobs and callable images: what is written is read back, and no foreign bytes cause a panic or a view that lies
//! outside of the image.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use task_interface::{
    ArgDirection, ChipCallable, ContinuousTensor, CoreCallable, DataType, TaskArgs, TensorArgType,
};

fn tensors() -> impl Strategy<Value = ContinuousTensor> {
    (any::<u64>(), vec(any::<u32>(), 0..=5), select(DataType::ALL), any::<bool>()).prop_map(
        |(data, shape, dtype, child)| {
            let tensor = ContinuousTensor::new(data, &shape, dtype).unwrap();
            if child { tensor.in_child_memory() } else { tensor }
        },
    )
}

fn task_args() -> impl Strategy<Value = TaskArgs> {
    let tagged = (tensors(), select(TensorArgType::ALL));
    (vec(tagged, 0..20), vec(any::<u64>(), 0..20)).prop_map(|(tensors, scalars)| {
        let mut args = TaskArgs::new();
        for (tensor, tag) in tensors {
            args.add_tensor(tensor, tag).unwrap();
        }
        for scalar in scalars {
            args.add_scalar(scalar).unwrap();
        }
        args
    })
}

fn signatures(max: usize) -> impl Strategy<Value = Vec<ArgDirection>> {
    vec(select(ArgDirection::ALL), 0..=max)
}

fn kernels() -> impl Strategy<Value = CoreCallable> {
    (signatures(16), vec(any::<u8>(), 0..200))
        .prop_map(|(signature, binary)| CoreCallable::encode(&signature, &binary).unwrap())
}

#[derive(Clone, Debug)]
struct Parts {
    signature: Vec<ArgDirection>,
    func_name: String,
    config_name: String,
    binary: Vec<u8>,
    children: BTreeMap<u32, CoreCallable>,
}

impl Parts {
    fn build(&self) -> ChipCallable {
        let mut builder = ChipCallable::builder(&self.func_name)
            .config_name(&self.config_name)
            .signature(&self.signature)
            .binary(&self.binary);
        for (&func_id, kernel) in &self.children {
            builder = builder.child(func_id, kernel);
        }
        builder.build().unwrap()
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    let names = ("[a-z_äß]{0,31}", "[a-z_]{0,63}");
    let children = btree_map(0u32..1024, kernels(), 0..6);
    (signatures(128), names, vec(any::<u8>(), 0..300), children).prop_map(
        |(signature, (func_name, config_name), binary, children)| Parts {
            signature,
            func_name,
            config_name,
            binary,
            children,
        },
    )
}

/// Looks at everything a decoded image hands out and checks that it lies inside of `chip.as_bytes()`.
fn check_views(chip: &ChipCallable) {
    let image = chip.as_bytes().as_ptr_range();
    let inside = |part: &[u8]| {
        let part = part.as_ptr_range();
        assert!(image.start <= part.start && part.end <= image.end);
    };
    inside(chip.binary());
    assert!(chip.signature().len() <= 128 && chip.func_name().len() < 64 && chip.config_name().len() < 64);
    for child in chip.children() {
        inside(child.callable.as_bytes());
        inside(child.callable.binary());
        assert!(child.func_id < 1024 && child.callable.signature().len() <= 16);
        assert!(child.binary_image_offset() + child.callable.binary().len() <= chip.as_bytes().len());
    }
}

/// Decodes foreign bytes. When they are accepted, the image must be self-consistent and every address storable.
fn decode_foreign(bytes: &[u8]) {
    let owned = ChipCallable::from_bytes(bytes.to_vec());
    assert_eq!(ChipCallable::decode(bytes), owned);
    let Ok(mut chip) = owned else { return };
    assert!(bytes.starts_with(chip.as_bytes()));
    check_views(&chip);
    for index in 0..chip.child_count() {
        chip.set_resolved_addr(index, index as u64 + 1).unwrap();
    }
    let addresses: Vec<u64> = chip.children().map(|child| child.callable.resolved_addr()).collect();
    assert_eq!(addresses, (1..=chip.child_count() as u64).collect::<Vec<_>>());
    assert!(ChipCallable::decode(chip.as_bytes()).is_ok());
}

/// Byte positions that matter: mostly header fields and the start of the storage.
fn positions(len: usize) -> impl Strategy<Value = usize> {
    const FIELDS: &[usize] = &[512, 516, 519, 584, 588, 589, 4684, 4685, 4687, 4688, 8780, 8781, 8848];
    prop_oneof![
        3 => select(FIELDS),
        1 => 520usize..584,
        1 => any::<Index>().prop_map(move |index| index.index(len)),
        2 => any::<Index>().prop_map(move |index| 8852 + index.index((len - 8852).max(1))),
    ]
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    parts().prop_flat_map(|parts| {
        let image = parts.build().into_bytes();
        let len = image.len();
        (Just(image), vec((positions(len), any::<u8>()), 0..4), any::<Option<Index>>()).prop_map(
            move |(mut image, changes, cut)| {
                for (position, value) in changes {
                    if let Some(byte) = image.get_mut(position) {
                        *byte = value;
                    }
                }
                if let Some(cut) = cut {
                    image.truncate(cut.index(len));
                }
                image
            },
        )
    })
}

proptest! {
    #[test]
    fn blob_round_trip(args in task_args(), slack in 0usize..9) {
        let blob = args.to_blob();
        prop_assert_eq!(blob.len(), args.blob_size());
        let mut buffer = vec![0xee; blob.len() + slack];
        prop_assert_eq!(args.write_blob(&mut buffer), Ok(blob.len()));
        prop_assert_eq!(&buffer[..blob.len()], &blob[..]);
        let read = TaskArgs::read_blob(&buffer).unwrap();
        prop_assert_eq!(read.tensors(), args.tensors());
        prop_assert_eq!(read.scalars(), args.scalars());
        prop_assert!(read.tags().iter().all(|&tag| tag == TensorArgType::Input));
        let block = args.to_chip_storage().unwrap();
        prop_assert_eq!(block.used_tensors(), Ok(args.tensors()));
        prop_assert_eq!(block.used_scalars(), Ok(args.scalars()));
    }

    #[test]
    fn cut_blobs_are_refused(args in task_args(), cut in any::<Index>()) {
        let blob = args.to_blob();
        prop_assert!(TaskArgs::read_blob(&blob[..cut.index(blob.len())]).is_err());
    }

    #[test]
    fn foreign_blobs_do_not_panic(tensors in any::<i32>(), small in -2i32..4, tail in vec(any::<u8>(), 0..200)) {
        for (tensors, scalars) in [(tensors, small), (small, tensors), (small, small)] {
            let mut blob = [tensors.to_le_bytes(), scalars.to_le_bytes()].concat();
            blob.extend_from_slice(&tail);
            if let Ok(args) = TaskArgs::read_blob(&blob) {
                prop_assert!(args.blob_size() <= blob.len());
                for tensor in args.tensors() {
                    let _ = (tensor.shape(), tensor.dtype(), tensor.nbytes(), tensor.is_child_memory());
                }
            }
        }
    }

    #[test]
    fn core_round_trip(signature in signatures(16), binary in vec(any::<u8>(), 0..300)) {
        let kernel = CoreCallable::encode(&signature, &binary).unwrap();
        let read = CoreCallable::decode(kernel.as_bytes()).unwrap();
        prop_assert_eq!(read.view().signature(), &signature[..]);
        prop_assert_eq!(read.view().binary(), &binary[..]);
        prop_assert_eq!(read, kernel);
    }

    #[test]
    fn foreign_core_images_do_not_panic(bytes in vec(any::<u8>(), 0..300), sig_count in -1i32..18, size in 0u32..200) {
        let _ = CoreCallable::decode(&bytes);
        let mut bytes = bytes;
        if bytes.len() >= 72 {
            bytes[..64].fill(0);
            bytes[64..68].copy_from_slice(&sig_count.to_le_bytes());
            bytes[68..72].copy_from_slice(&size.to_le_bytes());
        }
        if let Ok(kernel) = CoreCallable::decode(&bytes) {
            prop_assert_eq!(kernel.as_bytes().len(), 128 + size as usize);
            prop_assert!(bytes.starts_with(kernel.as_bytes()));
        }
    }

    #[test]
    fn chip_round_trip(parts in parts()) {
        let chip = parts.build();
        let read = ChipCallable::decode(chip.as_bytes()).unwrap();
        check_views(&read);
        prop_assert_eq!(read.signature(), &parts.signature[..]);
        prop_assert_eq!(read.func_name(), &parts.func_name);
        prop_assert_eq!(read.config_name(), &parts.config_name);
        prop_assert_eq!(read.binary(), &parts.binary[..]);
        let children: Vec<_> = read.children().map(|child| (child.func_id, child.callable)).collect();
        let expected: Vec<_> = parts.children.iter().map(|(&id, kernel)| (id, kernel.view())).collect();
        prop_assert_eq!(children, expected);
        prop_assert!(read.children().all(|child| child.offset % 64 == 0));
        prop_assert_eq!(read.content_hash(), chip.content_hash());
    }

    #[test]
    fn mutated_chip_images_do_not_panic(image in mutated()) {
        decode_foreign(&image);
    }

    #[test]
    fn random_chip_images_do_not_panic(seed in vec(any::<u8>(), 1..64), len in 0usize..20_000) {
        let image: Vec<u8> = seed.iter().copied().cycle().take(len).collect();
        decode_foreign(&image);
    }
}
