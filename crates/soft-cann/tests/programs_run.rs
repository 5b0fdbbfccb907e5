//! Device programs on the stand-in: loaded as on a chip, and run side by side.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{Life, aicpu, code, dispatcher};
use hal_sys::AddrKind;
use soft_cann::{Chip, Rule, ViolationKind};

#[test]
fn blocks_of_an_aicpu_function_run_together() {
    let life = Life::start(Chip::A2a3);
    let (binary, functions) = life.aicpu(&[c"gather"]);
    let block = life.words(&[0, 6, 0, 0]);
    life.hal.launch_cpu(&functions[0], 6, &block.to_ne_bytes(), life.stream()).unwrap();
    life.hal.stream_synchronize(life.stream()).unwrap();
    assert_eq!(life.read::<1>(block), [6]);
    life.hal.free(block).unwrap();
    life.hal.unload_cpu_binary(binary).unwrap();
    life.end();
}

#[test]
fn arguments_are_copied_by_the_launch() {
    let life = Life::start(Chip::A2a3);
    let (binary, functions) = life.aicpu(&[c"wait", c"write"]);
    let block = life.words(&[0; 4]);
    let other = life.hal.stream_create().unwrap();
    let mut args: Vec<u8> = [block, 7].iter().flat_map(|word| word.to_ne_bytes()).collect();
    life.hal.launch_cpu(&functions[0], 1, &args, life.stream()).unwrap();
    life.hal.launch_cpu(&functions[1], 1, &args, life.stream()).unwrap();
    args.fill(0xFF);
    let early = life.hal.stream_synchronize_within(life.stream(), Duration::from_millis(5));
    assert_eq!(code(early), 507_046);
    // A copy to the device does not wait for the stream.
    life.hal.copy_to_device(block + 16, &1_u64.to_ne_bytes()).unwrap();
    life.hal.stream_synchronize(life.stream()).unwrap();
    assert_eq!(life.read::<4>(block), [0, 0, 1, 7]);
    life.hal.stream_destroy(other).unwrap();
    life.hal.free(block).unwrap();
    life.hal.unload_cpu_binary(binary).unwrap();
    life.end();
}

#[test]
fn a_program_is_loaded_once_per_device_and_apart_from_other_devices() {
    let lives = [Life::start(Chip::A2a3), Life::start(Chip::A2a3)];
    for life in &lives {
        life.hal.set_device(life.device.id()).unwrap();
        let block = life.words(&[0; 4]);
        for expected in [1, 2] {
            // The second bootstrap brings a new file, but the device goes on with what it has.
            let (binary, functions) = life.aicpu(&[c"count"]);
            life.hal.launch_cpu(&functions[0], 1, &block.to_ne_bytes(), life.stream()).unwrap();
            life.hal.stream_synchronize(life.stream()).unwrap();
            assert_eq!(life.read::<4>(block)[3], expected);
            life.hal.unload_cpu_binary(binary).unwrap();
        }
        life.hal.free(block).unwrap();
        life.hal.reset_device(life.device.id()).unwrap();
    }
    for life in lives {
        life.hal.set_device(life.device.id()).unwrap();
        life.hal.reset_device(life.device.id()).unwrap();
        life.end();
    }
}

/// 16 bytes of counters, 128 notes of 16 bytes, 128 register addresses.
const MEETING: usize = 16 + 128 * 16 + 128 * 8;

#[test]
fn all_cores_of_a_launch_run_together_and_know_where() {
    for (chip, blocks) in [(Chip::A2a3, 24_u32), (Chip::A5, 36)] {
        let life = Life::start(chip);
        let mut bytes = vec![0; MEETING];
        bytes[8..16].copy_from_slice(&u64::from(3 * blocks).to_ne_bytes());
        let meeting = life.bytes(&bytes);
        let kernels = life.kernels();
        life.hal.launch_kernel(&kernels, 0, blocks, &meeting.to_ne_bytes(), life.stream()).unwrap();
        life.hal.stream_synchronize(life.stream()).unwrap();
        life.hal.copy_from_device(&mut bytes, meeting).unwrap();
        let cores = notes(&bytes, 3 * blocks);
        let device = u32::try_from(life.device.id()).unwrap();
        let expected: BTreeSet<_> =
            (0..blocks).flat_map(|block| expected_notes(&life, chip, device, block)).collect();
        assert_eq!(cores, expected, "{chip:?}");
        life.hal.free(meeting).unwrap();
        life.hal.unregister_kernels(kernels).unwrap();
        life.end();
    }
}

/// Kind, block, sub-block, core id, registers.
type Note = (u32, u32, u32, u32, u64);

fn notes(bytes: &[u8], count: u32) -> BTreeSet<Note> {
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    let note = |i: usize| {
        let at = 16 + 16 * i;
        let registers = 16 + 128 * 16 + 8 * i;
        let registers = u64::from_ne_bytes(bytes[registers..registers + 8].try_into().unwrap());
        (word(at), word(at + 4), word(at + 8), word(at + 12), registers)
    };
    (0..count as usize).map(note).collect()
}

/// What the table of a host says about the three cores of a block, as spec/hal.md, section 2, has it.
fn expected_notes(life: &Life, chip: Chip, device: u32, block: u32) -> [Note; 3] {
    let (base, aic, aiv) = match chip {
        Chip::A5 => {
            let (die, local) = (block / 18 * 54, block % 18);
            (life.hal.map_core(device, block).unwrap().0, die + local, die + 18 + 2 * local)
        }
        _ => {
            let (base, length) = life.hal.map_registers(AddrKind::AicCtrl, device).unwrap();
            assert_eq!(length, 25 * (8 << 20));
            (base + u64::from(block) * 0x80_0000, block, 25 + 2 * block)
        }
    };
    [(0, block, 0, aic, base), (1, block, 0, aiv, base + 0x10_0000), (1, block, 1, aiv + 1, base + 0x20_0000)]
}

#[test]
fn an_aicpu_and_aicores_meet_across_two_streams() {
    let life = Life::start(Chip::A2a3);
    let (binary, functions) = life.aicpu(&[c"gather"]);
    let kernels = life.kernels();
    // The AICPU function counts at the place where the kernels do: nobody goes on before all are there.
    let mut bytes = vec![0; MEETING];
    bytes[8..16].copy_from_slice(&(3_u64 * 4 + 6).to_ne_bytes());
    let meeting = life.bytes(&bytes);
    let other = life.hal.stream_create().unwrap();
    life.hal.launch_cpu(&functions[0], 6, &meeting.to_ne_bytes(), life.stream()).unwrap();
    life.hal.launch_kernel(&kernels, 0, 4, &meeting.to_ne_bytes(), &other).unwrap();
    life.hal.stream_synchronize(life.stream()).unwrap();
    life.hal.stream_synchronize(&other).unwrap();
    life.hal.stream_destroy(other).unwrap();
    life.hal.free(meeting).unwrap();
    life.hal.unregister_kernels(kernels).unwrap();
    life.hal.unload_cpu_binary(binary).unwrap();
    life.end();
}

#[test]
fn what_a_device_cannot_load_is_an_aicpu_exception() {
    let life = Life::start(Chip::A2a3);
    assert_eq!(code(life.bootstrap(b"no object", aicpu())), 507_018);
    assert!(life.device.violations().iter().any(|violation| violation.kind == ViolationKind::BadProgram));

    let life = Life::start(Chip::A2a3);
    life.bootstrap(dispatcher(), aicpu()).unwrap();
    let (_, functions) = life.json("absent.so", &[c"gather"]);
    life.hal.launch_cpu(&functions[0], 1, &[0; 8], life.stream()).unwrap();
    assert_eq!(code(life.hal.stream_synchronize(life.stream())), 507_018);

    let life = Life::start(Chip::A2a3);
    let corrupt = life.device.inject(Rule::corrupt_object());
    let (_, functions) = life.aicpu(&[c"gather"]);
    life.hal.launch_cpu(&functions[0], 1, &[0; 8], life.stream()).unwrap();
    assert_eq!(code(life.hal.stream_synchronize(life.stream())), 507_018);
    assert_eq!(corrupt.fired(), 1);
}

#[test]
fn another_dispatcher_comes_too_late() {
    let life = Life::start(Chip::A2a3);
    life.bootstrap(dispatcher(), aicpu()).unwrap();
    // With another content; whether it is one nobody looks.
    life.bootstrap(aicpu(), aicpu()).unwrap();
    let kinds: Vec<_> = life.device.violations().iter().map(|violation| violation.kind).collect();
    assert_eq!(kinds, [ViolationKind::OtherDispatcher]);
}

#[test]
fn a_function_that_fails_fails_its_stream_for_good() {
    let life = Life::start(Chip::A2a3);
    let (_binary, functions) = life.aicpu(&[c"fail", c"gather"]);
    let block = life.words(&[0, 1, 0, 0]);
    life.hal.launch_cpu(&functions[0], 2, &block.to_ne_bytes(), life.stream()).unwrap();
    life.hal.launch_cpu(&functions[1], 1, &block.to_ne_bytes(), life.stream()).unwrap();
    assert_eq!(code(life.hal.stream_synchronize(life.stream())), 507_018);
    // What follows in the stream has run all the same.
    assert_eq!(life.read::<1>(block), [1]);
    assert_eq!(life.device.violations(), []);
    assert_eq!(code(life.hal.stream_synchronize(life.stream())), 507_018);
    assert_eq!(life.device.violations()[0].kind, ViolationKind::WouldWedge);
}

#[test]
fn a_program_on_an_aicpu_calls_functions_of_the_device() {
    let life = Life::start(Chip::A5);
    let (binary, functions) = life.aicpu(&[c"allocate"]);
    let block = life.words(&[0; 4]);
    life.hal.launch_cpu(&functions[0], 1, &block.to_ne_bytes(), life.stream()).unwrap();
    life.hal.stream_synchronize(life.stream()).unwrap();
    assert_eq!(life.read::<4>(block)[3], 11);
    assert_eq!((life.device.calls("halMemAlloc"), life.device.calls("halMemFree")), (1, 1));
    life.hal.free(block).unwrap();
    life.hal.unload_cpu_binary(binary).unwrap();
    life.end();
}
