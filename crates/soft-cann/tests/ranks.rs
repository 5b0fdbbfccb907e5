//! Ranks of one process, each with a device and a thread. Those of several processes are in `libraries.rs`.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::Mutex;
use std::time::Duration;

use common::{Life, code};
use soft_cann::{Chip, Rule};

#[test]
fn ranks_of_one_process_meet() {
    const RANKS: u32 = 3;
    let first = Life::start(Chip::A2a3);
    let root = first.hal.hccl_root_info().unwrap();
    let devices: Mutex<Vec<i32>> = Mutex::default();
    std::thread::scope(|scope| {
        for rank in 0..RANKS {
            let (root, devices) = (&root, &devices);
            scope.spawn(move || {
                let life = Life::start(Chip::A2a3);
                devices.lock().unwrap().push(life.device.id());
                // Returns when all have come.
                let comm = life.hal.hccl_init(RANKS, root, rank).unwrap();
                for peer in devices.lock().unwrap().iter().filter(|peer| **peer != life.device.id()) {
                    life.hal.enable_peer_access(*peer).unwrap();
                }
                // The barrier holds back the stream, not the host: the first one comes late.
                if rank == 0 {
                    life.device.inject(Rule::late(Duration::from_millis(50)).nth(1));
                    std::thread::sleep(Duration::from_millis(50));
                }
                for _ in 0..20 {
                    life.hal.hccl_barrier(&comm, life.stream()).unwrap();
                }
                life.hal.stream_synchronize(life.stream()).unwrap();
                life.hal.hccl_destroy(comm).unwrap();
                life.end();
            });
        }
    });
    first.end();
}

#[test]
fn a_rank_that_never_comes_holds_the_stream() {
    let lives = [Life::start(Chip::A2a3), Life::start(Chip::A2a3)];
    let root = lives[1].hal.hccl_root_info().unwrap();
    let comms: Vec<_> = std::thread::scope(|scope| {
        let ranks: Vec<_> = (0_u32..)
            .zip(&lives)
            .map(|(rank, life)| {
                let root = &root;
                scope.spawn(move || {
                    life.hal.set_device(life.device.id()).unwrap();
                    life.hal.hccl_init(2, root, rank).unwrap()
                })
            })
            .collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    });
    let life = &lives[1];
    life.hal.hccl_barrier(&comms[1], life.stream()).unwrap();
    let waited = life.hal.stream_synchronize_within(life.stream(), Duration::from_millis(5));
    assert_eq!(code(waited), 507_046);
    life.hal.reset_device_force(life.device.id()).unwrap();
    assert!(life.device.wait_idle(Duration::from_secs(30)));
    assert!(life.device.leaks().is_empty(), "{}", life.device.leaks());
}

#[test]
fn hccl_may_leave_the_thread_elsewhere_and_peers_may_never_come() {
    let (life, other) = (Life::start(Chip::A2a3), Life::start(Chip::A2a3));
    let switch = other.device.inject(Rule::hccl_switch().nth(1));
    let root = other.hal.hccl_root_info().unwrap();
    let comm = other.hal.hccl_init(1, &root, 0).unwrap();
    assert_eq!(switch.fired(), 1);
    assert_eq!(code(other.hal.malloc(64)), 107_002);
    other.hal.set_device(other.device.id()).unwrap();
    other.hal.hccl_barrier(&comm, other.stream()).unwrap();
    other.hal.stream_synchronize(other.stream()).unwrap();
    assert_eq!(other.device.leaks().communicators, 1);
    other.hal.hccl_destroy(comm).unwrap();

    let never = other.device.inject(Rule::peer_never());
    other.hal.enable_peer_access(life.device.id()).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert!(!other.hal.peer_access(other.device.id(), life.device.id()).unwrap());
    assert_eq!(never.fired(), 1);
    other.hal.reset_device(other.device.id()).unwrap();
    other.end();
    life.hal.set_device(life.device.id()).unwrap();
    life.hal.reset_device(life.device.id()).unwrap();
    life.end();
}
