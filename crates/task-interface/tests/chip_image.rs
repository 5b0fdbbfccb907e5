//! Chip callable images: exact bytes, and one damaged image per check. Offsets are those of
//! `spec/public-abi.md`, section B.3, written as numbers so that a wrong structure cannot hide.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use task_interface::{ArgDirection, CallableError, ChipCallable, CoreCallable, EnumError, fnv1a64};

const STORAGE: usize = 8852;

/// A library of 70 bytes and two kernels of 5 and 3 bytes: children at storage offsets 128 and 320.
fn sample() -> ChipCallable {
    let first = CoreCallable::encode(&[ArgDirection::In], b"first").unwrap();
    let second = CoreCallable::encode(&[ArgDirection::Out, ArgDirection::Scalar], b"2nd").unwrap();
    ChipCallable::builder("entry")
        .config_name("cfg")
        .signature(&[ArgDirection::In, ArgDirection::Inout])
        .binary(&[0xab; 70])
        .child(7, &first)
        .child(1023, &second)
        .build()
        .unwrap()
}

fn put_i32(image: &mut [u8], offset: usize, value: i32) {
    image[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

fn damaged(change: impl FnOnce(&mut Vec<u8>)) -> CallableError {
    let mut image = sample().into_bytes();
    change(&mut image);
    assert_eq!(
        ChipCallable::decode(&image).unwrap_err(),
        ChipCallable::from_bytes(image.clone()).unwrap_err()
    );
    ChipCallable::decode(&image).unwrap_err()
}

#[test]
fn image_is_byte_exact() {
    let mut expected = vec![0u8; STORAGE + 320 + 128 + 3];
    put_i32(&mut expected, 0, 1);
    put_i32(&mut expected, 4, 3);
    put_i32(&mut expected, 512, 2);
    put_i32(&mut expected, 516, 70);
    expected[520..525].copy_from_slice(b"entry");
    put_i32(&mut expected, 584, 5);
    put_i32(&mut expected, 588, 7);
    put_i32(&mut expected, 592, 1023);
    put_i32(&mut expected, 4684, 128);
    put_i32(&mut expected, 4688, 320);
    put_i32(&mut expected, 8780, 2);
    expected[8784..8787].copy_from_slice(b"cfg");
    put_i32(&mut expected, 8848, 3);
    expected[STORAGE..STORAGE + 70].fill(0xab);
    let first = STORAGE + 128;
    put_i32(&mut expected, first, 1);
    put_i32(&mut expected, first + 64, 1);
    put_i32(&mut expected, first + 68, 5);
    expected[first + 128..first + 133].copy_from_slice(b"first");
    let second = STORAGE + 320;
    put_i32(&mut expected, second, 2);
    put_i32(&mut expected, second + 64, 2);
    put_i32(&mut expected, second + 68, 3);
    expected[second + 128..].copy_from_slice(b"2nd");
    assert_eq!(sample().as_bytes(), expected);
    assert_eq!(sample().content_hash(), fnv1a64(&expected));
}

#[test]
fn decoded_image_gives_everything_back() {
    let chip = ChipCallable::decode(sample().as_bytes()).unwrap();
    assert_eq!(chip, sample());
    assert_eq!((chip.func_name(), chip.config_name()), ("entry", "cfg"));
    assert_eq!(chip.signature(), [ArgDirection::In, ArgDirection::Inout]);
    assert_eq!(chip.binary(), [0xab; 70]);
    assert_eq!(chip.child_count(), 2);
    let children: Vec<_> = chip.children().collect();
    assert_eq!((children[0].func_id, children[0].offset), (7, 128));
    assert_eq!((children[1].func_id, children[1].offset), (1023, 320));
    assert_eq!(children[1].image_offset(), STORAGE + 320);
    assert_eq!(children[1].binary_image_offset(), STORAGE + 448);
    assert_eq!(children[0].callable.binary(), b"first");
    assert_eq!(children[1].callable.signature(), [ArgDirection::Out, ArgDirection::Scalar]);
    assert!(format!("{chip:?}").contains("binary_size: 70"));
}

#[test]
fn misaligned_and_longer_buffers_are_fine() {
    for shift in 1..8 {
        let mut buffer = vec![0xee; shift];
        buffer.extend_from_slice(sample().as_bytes());
        buffer.extend_from_slice(&[0xee; 61]);
        let chip = ChipCallable::decode(&buffer[shift..]).unwrap();
        assert_eq!(chip.as_bytes(), sample().as_bytes());
        assert_eq!(chip.content_hash(), sample().content_hash());
    }
}

#[test]
fn resolved_addresses_change_their_eight_bytes_only() {
    let mut chip = sample();
    chip.set_resolved_addr(1, 0x1122_3344_5566_7788).unwrap();
    let addresses: Vec<_> = chip.children().map(|child| child.callable.resolved_addr()).collect();
    assert_eq!(addresses, [0, 0x1122_3344_5566_7788]);
    let mut expected = sample().into_bytes();
    let at = STORAGE + 320 + 72;
    expected[at..at + 8].copy_from_slice(&[0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
    assert_eq!(chip.as_bytes(), expected);
    let error = chip.set_resolved_addr(2, 0).unwrap_err();
    assert_eq!(error, CallableError::ChildIndex { index: 2, count: 2 });
}

#[test]
fn empty_callable_is_just_a_header() {
    let chip = ChipCallable::builder("").build().unwrap();
    assert_eq!(chip.as_bytes(), vec![0; STORAGE]);
    assert_eq!(ChipCallable::decode(chip.as_bytes()).unwrap().children().len(), 0);
}

#[test]
fn every_cut_is_noticed() {
    let image = sample().into_bytes();
    for available in (0..image.len()).rev().step_by(37).chain([0, STORAGE - 1, STORAGE, STORAGE + 69]) {
        let error = ChipCallable::decode(&image[..available]).unwrap_err();
        let innermost = match error {
            CallableError::Child { source, .. } => *source,
            other => other,
        };
        assert!(matches!(innermost, CallableError::ImageTooShort { .. }), "{available}: {innermost}");
    }
    let error = ChipCallable::decode(&image[..100]).unwrap_err();
    assert_eq!(error, CallableError::ImageTooShort { what: "ChipCallable", needed: STORAGE, available: 100 });
}

#[test]
fn counts_out_of_range() {
    for count in [-1, 129, i32::MAX] {
        let error = damaged(|image| put_i32(image, 512, count));
        assert_eq!(error, CallableError::SigCount { what: "ChipCallable", count, max: 128 });
    }
    for count in [-1, 1025, i32::MIN, i32::MAX] {
        let error = damaged(|image| put_i32(image, 8780, count));
        assert_eq!(error, CallableError::ChildCount { count });
    }
}

#[test]
fn signature_entries_out_of_range() {
    let error = damaged(|image| put_i32(image, 4, 4));
    let source = EnumError::ArgDirection(4);
    assert_eq!(error, CallableError::Direction { what: "ChipCallable", index: 1, source });
    let error = damaged(|image| put_i32(image, STORAGE + 320 + 4, -1));
    let source =
        CallableError::Direction { what: "CoreCallable", index: 1, source: EnumError::ArgDirection(-1) };
    assert_eq!(error, CallableError::Child { index: 1, source: Box::new(source) });
}

#[test]
fn sizes_beyond_the_image() {
    let error = damaged(|image| put_i32(image, 516, -1));
    let needed = STORAGE + 0xffff_ffff;
    let available = sample().as_bytes().len();
    assert_eq!(error, CallableError::ImageTooShort { what: "ChipCallable", needed, available });
    let error = damaged(|image| put_i32(image, STORAGE + 320 + 68, -1));
    let source =
        CallableError::ImageTooShort { what: "CoreCallable", needed: 128 + 0xffff_ffff, available: 131 };
    assert_eq!(error, CallableError::Child { index: 1, source: Box::new(source) });
    let error = damaged(|image| put_i32(image, STORAGE + 128 + 68, 65));
    assert_eq!(error, CallableError::ChildOverlap { index: 1, offset: 320, previous_end: 321 });
}

#[test]
fn offsets_inside_other_content_or_beyond_the_image() {
    let error = damaged(|image| put_i32(image, 4684, 64));
    assert_eq!(error, CallableError::ChildOverlap { index: 0, offset: 64, previous_end: 70 });
    let error = damaged(|image| put_i32(image, 4688, 128));
    assert_eq!(error, CallableError::ChildOverlap { index: 1, offset: 128, previous_end: 261 });
    for offset in [-1, 448, 380] {
        let error = damaged(|image| put_i32(image, 4688, offset));
        assert!(matches!(error, CallableError::Child { index: 1, .. }), "{offset}: {error}");
    }
}

#[test]
fn kernel_ids() {
    for func_id in [-1, 1024, i32::MIN] {
        let error = damaged(|image| put_i32(image, 588, func_id));
        assert_eq!(error, CallableError::FuncId { index: 0, func_id: func_id.into() });
    }
    let mut image = sample().into_bytes();
    put_i32(&mut image, 588, 1023);
    let ids: Vec<_> = ChipCallable::decode(&image).unwrap().children().map(|child| child.func_id).collect();
    assert_eq!(ids, [1023, 1023]);
}

#[test]
fn names() {
    let error = damaged(|image| put_i32(image, 584, 6));
    assert_eq!(error, CallableError::NameLength { field: "func_name", declared: 6, nul_at: Some(5) });
    let error = damaged(|image| image[8784..8848].fill(b'x'));
    assert_eq!(error, CallableError::NameLength { field: "config_name", declared: 3, nul_at: None });
    let error = damaged(|image| image[520] = 0xff);
    assert!(matches!(error, CallableError::NameNotUtf8 { field: "func_name", .. }));
}

#[test]
fn header_alone_tells_the_image_size() {
    let image = sample().into_bytes();
    let header: task_interface::ChipCallableHeader = bytemuck::pod_read_unaligned(&image[..STORAGE]);
    let read_child = |offset: usize| Ok(bytemuck::pod_read_unaligned(&image[offset..offset + 80]));
    assert_eq!(header.image_size(read_child), Ok(image.len()));
    assert_eq!(header.children().unwrap().collect::<Vec<_>>(), [(7, 128), (1023, 320)]);
    assert!(format!("{header:?}").contains("child_count: 2"));
}

#[test]
fn messages_keep_their_sources() {
    let error = damaged(|image| put_i32(image, STORAGE + 128, 9));
    let child = std::error::Error::source(&error).expect("child error has a source");
    let entry = child.source().expect("direction error has a source");
    assert_eq!(entry.to_string(), EnumError::ArgDirection(9).to_string());
}
