//! Chips as ranks of a job, over the stand-in for CANN: in threads of this process, and in processes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::{Bench, SHORT};
use device_runner::{CommRank, CommWindows, DevPtr, Device as _, DeviceError, GlobalMemory as _};
use onboard::OnboardDevice;
use rendezvous::testing::{Place, RankProcess, role, say, stop};
use soft_cann::{Chip, Rule};

const BYTES: u64 = 4096;

fn number_at(device: &OnboardDevice, address: DevPtr) -> u64 {
    let mut bytes = [0; 8];
    device.copy_from_device(&mut bytes, address).unwrap();
    u64::from_le_bytes(bytes)
}

/// Windows of `members`, which a number of each of them goes through.
fn numbers(
    device: &OnboardDevice,
    rank: &dyn CommRank,
    own: u32,
    id: Option<u64>,
    members: &[u32],
) -> Result<Box<dyn CommWindows>, DeviceError> {
    let windows = rank.windows(id, members, BYTES)?;
    let place = members.iter().position(|&member| member == own).unwrap();
    assert_eq!(number_at(device, windows.window(place)), 0, "windows are zeroed");
    device.copy_to_device(windows.window(place), &u64::to_le_bytes(100 + u64::from(own)))?;
    rank.barrier()?;
    for (index, &member) in members.iter().enumerate() {
        assert_eq!(number_at(device, windows.window(index)), 100 + u64::from(member));
    }
    Ok(windows)
}

/// All that a rank does.
fn live(bench: &Bench, rank: u32, ranks: u32, path: &Path) -> Result<(), DeviceError> {
    let device = bench.open()?;
    let lived = (|| {
        let link = device.join(rank, ranks, path)?;
        link.barrier()?;
        let everyone: Vec<u32> = (0..ranks).collect();
        let backwards: Vec<u32> = (0..ranks).rev().collect();
        let base = numbers(&device, link.as_ref(), rank, None, &everyone)?;
        let domain = numbers(&device, link.as_ref(), rank, Some(7), &backwards)?;
        let (own, bytes) = (base.window(rank as usize), usize::try_from(BYTES).unwrap());
        assert!(device.copy_from_device(&mut vec![0; bytes + 1], own).is_err());
        assert_eq!((base.bytes(), base.has_both_directions()), (BYTES, false));
        assert_eq!(base.window(ranks as usize), DevPtr::NULL);
        drop(domain);
        // Under the same id again.
        drop(numbers(&device, link.as_ref(), rank, Some(7), &backwards)?);
        drop(base);
        assert!(device.copy_from_device(&mut [0], own).is_err(), "the window is gone");
        Ok(())
    })();
    device.bind_thread()?;
    device.reset()?;
    lived
}

/// Runs all ranks as threads; what each of them ended with.
fn threads(place: &Place, benches: &[Bench]) -> Vec<Result<(), DeviceError>> {
    let ranks = u32::try_from(benches.len()).unwrap();
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..ranks)
            .zip(benches)
            .map(|(rank, bench)| scope.spawn(move || live(bench, rank, ranks, place.path())))
            .collect();
        started.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

/// There are only so many devices: who needs several takes all of them before another test takes one.
fn benches(ranks: usize) -> Vec<Bench> {
    static TAKING: Mutex<()> = Mutex::new(());
    let _taking = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let bench = |_| {
        let mut bench = Bench::new(Chip::A2a3);
        bench.options.comm_limit = Some(Duration::from_secs(60));
        bench
    };
    (0..ranks).map(bench).collect()
}

#[test]
fn windows_of_threads_are_reached_and_nothing_is_left() {
    for ranks in [1, 2, 4] {
        let (place, benches) = (Place::new(), benches(ranks));
        threads(&place, &benches).into_iter().for_each(|lived| lived.unwrap());
        place.assert_empty();
        for bench in &benches {
            bench.assert_clean();
            let calls = |name| bench.lease.calls(name);
            let (exports, imports) = (calls("aclrtIpcMemGetExportKey"), calls("aclrtIpcMemImportByKey"));
            assert_eq!((exports, imports), (3, 3 * (ranks as u64 - 1)));
            assert_eq!(calls("aclrtIpcMemClose"), exports + imports, "exports and imports are closed");
            assert_eq!(calls("aclrtMalloc") - calls("aclrtFree"), 0);
            assert_eq!(calls("HcclCommInitRootInfo"), calls("HcclCommDestroy"));
            assert_eq!(calls("rtSetDevice"), calls("rtDeviceReset"));
        }
    }
}

#[test]
fn a_window_without_a_size_has_that_of_the_contract() {
    let (place, benches) = (Place::new(), benches(1));
    let device = benches[0].open().unwrap();
    let link = device.join(0, 1, place.path()).unwrap();
    let windows = link.windows(None, &[0], 0).unwrap();
    assert_eq!(windows.bytes(), 200 << 20);
    drop((windows, link));
    device.reset().unwrap();
    benches[0].assert_clean();
}

#[test]
fn the_other_chip_says_that_it_cannot() {
    let (place, bench) = (Place::new(), Bench::new(Chip::A5));
    let device = bench.open().unwrap();
    let error = device.join(0, 2, place.path()).unwrap_err();
    assert!(matches!(error, DeviceError::Unsupported { device: "a5", .. }), "{error}");
    device.reset().unwrap();
    bench.assert_clean();
}

#[test]
fn hccl_may_take_the_thread_elsewhere() {
    let (place, benches) = (Place::new(), benches(2));
    let switched = benches[1].lease.inject(Rule::hccl_switch().every(1));
    threads(&place, &benches).into_iter().for_each(|lived| lived.unwrap());
    assert!(switched.fired() >= 4);
    benches.iter().for_each(Bench::assert_clean);
}

/// Each call that only one rank makes, or that others do not wait for inside of CANN.
const CALLS: [&str; 8] = [
    "aclInit",
    "aclrtMalloc",
    "aclrtMemset",
    "aclrtIpcMemGetExportKey",
    "aclrtDevicePeerAccessStatus",
    "aclrtIpcMemSetImportPid",
    "aclrtIpcMemImportByKey",
    "HcclGetRootInfo",
];

#[test]
fn a_call_that_fails_on_one_rank_is_told_to_all() {
    for name in CALLS {
        let (place, benches) = (Place::new(), benches(3));
        // Only the root asks for the root info.
        let failing = if name == "HcclGetRootInfo" { 0 } else { 1 };
        let failed = benches[failing].lease.inject(Rule::fail(name).nth(1));
        let start = Instant::now();
        for (rank, lived) in threads(&place, &benches).into_iter().enumerate() {
            let error = text(&lived.unwrap_err());
            let expected =
                if rank == failing { name.to_owned() } else { format!("rank {failing} could not") };
            assert!(error.contains(&expected), "{name}, rank {rank}: {error}");
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{name}");
        assert_eq!(failed.fired(), 1);
        place.assert_empty();
        benches.iter().for_each(Bench::assert_clean);
    }
}

/// An error with all its causes.
fn text(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", text(source)),
        None => error.to_string(),
    }
}

#[test]
fn devices_that_never_reach_each_other_are_named() {
    let (place, mut benches) = (Place::new(), benches(2));
    benches.iter_mut().for_each(|bench| bench.options.comm_limit = Some(SHORT * 10));
    let never = benches[0].lease.inject(Rule::peer_never());
    let lived = threads(&place, &benches);
    let error = text(lived[0].as_ref().unwrap_err());
    let (from, to) = (benches[0].id(), benches[1].id());
    assert!(error.contains(&format!("device {from} cannot reach the memory of device {to}")), "{error}");
    assert!(lived[1].is_err() && never.fired() > 0);
    benches.iter().for_each(Bench::assert_clean);
}

#[test]
fn a_barrier_that_fails_on_the_device_is_the_last_one() {
    let (place, benches) = (Place::new(), benches(1));
    let device = benches[0].open().unwrap();
    let link = device.join(0, 1, place.path()).unwrap();
    benches[0].lease.inject(Rule::fail("HcclBarrier").nth(1));
    assert!(text(&link.barrier().unwrap_err()).contains("HcclBarrier"));
    let error = text(&link.barrier().unwrap_err());
    assert!(error.contains("join again"), "{error}");
    drop(link);
    device.reset().unwrap();
    benches[0].assert_clean();
}

#[test]
fn ranks_that_do_not_come_are_named() {
    let (place, mut benches) = (Place::new(), benches(1));
    benches[0].options.comm_limit = Some(Duration::from_millis(50));
    let device = benches[0].open().unwrap();
    let error = text(&device.join(1, 3, place.path()).unwrap_err());
    assert!(error.contains("ranks 0, 2 did not come within 50"), "{error}");
    device.reset().unwrap();
    place.assert_empty();
    benches[0].assert_clean();
}

/// Not a test of its own: what a process that was started as a rank does.
#[test]
fn rank_process() {
    let Some(role) = role() else { return };
    let words: Vec<&str> = role.split(' ').collect();
    let [path, rank, ranks, stops] = words[..] else { panic!("{role}") };
    let (rank, ranks) = (rank.parse().unwrap(), ranks.parse().unwrap());
    let bench = benches(1).remove(0);
    if stops == "stops" {
        let device = bench.open().unwrap();
        let link = device.join(rank, ranks, Path::new(path)).unwrap();
        link.barrier().unwrap();
        let everyone: Vec<u32> = (0..ranks).collect();
        let _windows = link.windows(None, &everyone, BYTES).unwrap();
        stop("windows");
    }
    match live(&bench, rank, ranks, Path::new(path)) {
        Ok(()) => say("done"),
        Err(error) => say(&format!("error {error}")),
    }
    bench.assert_clean();
    say("clean");
}

fn start(place: &Place, rank: u32, ranks: u32, how: &str) -> RankProcess {
    let path = place.path().display();
    RankProcess::start(&format!("{path} {rank} {ranks} {how}"), |command| {
        command.env("SIMPLER_COMM_JOB", place.path());
    })
}

#[test]
fn windows_of_processes_are_reached() {
    let place = Place::new();
    let ranks: Vec<_> = (0..3).map(|rank| start(&place, rank, 3, "-")).collect();
    for mut rank in ranks {
        assert_eq!((rank.says().as_str(), rank.says().as_str()), ("done", "clean"));
    }
    place.assert_empty();
}

#[test]
fn a_process_that_ends_is_noticed() {
    let (place, begun) = (Place::new(), Instant::now());
    let mut doomed = start(&place, 1, 3, "stops");
    let others = [0, 2].map(|rank| start(&place, rank, 3, "-"));
    assert_eq!(doomed.says(), "at windows");
    doomed.kill();
    for mut other in others {
        let said = other.says();
        assert!(said.starts_with("error") && said.contains("rank 1 ended unexpectedly"), "{said}");
        assert_eq!(other.says(), "clean");
    }
    assert!(begun.elapsed() < Duration::from_secs(50), "long before their limit");
    place.assert_empty();
}
