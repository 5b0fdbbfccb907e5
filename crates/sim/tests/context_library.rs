//! `libcpu_sim_context.so` towards threads that no simulator of ours runs: spec/public-abi.md, sections A.7 and E.6.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;
mod context;

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Barrier, LazyLock};

/// Declares the exports of the library and how they are looked up.
macro_rules! exports {
    ($($field:ident = $symbol:literal: fn($($arg:ty),*) $(-> $ret:ty)?;)*) => {
        #[derive(Clone, Copy)]
        struct Context { $($field: extern "C" fn($($arg),*) $(-> $ret)?,)* }

        impl Context {
            /// The library under test; loaded once, as a file that is mapped must not be written again.
            fn get() -> Self {
                static CONTEXT: LazyLock<Context> = LazyLock::new(Context::load);
                *CONTEXT
            }

            fn load() -> Self {
                let path = context::installed("contract");
                let library = context::load(&path, libc::RTLD_LOCAL).expose_provenance();
                Self { $($field: {
                    let address = context::symbol(std::ptr::with_exposed_provenance_mut(library), $symbol);
                    // SAFETY: the contract gives this symbol this signature.
                    unsafe { std::mem::transmute::<*mut c_void, extern "C" fn($($arg),*) $(-> $ret)?>(address) }
                },)* }
            }
        }
    };
}

exports! {
    bind = "pto_cpu_sim_bind_device": fn(i32);
    bound = "pto_cpu_sim_get_bound_device": fn() -> i32;
    acquire = "pto_cpu_sim_acquire_device": fn(i32);
    release = "pto_cpu_sim_release_device": fn(i32);
    subblock = "pto_sim_get_subblock_id": fn() -> u32;
    state = "pto_sim_get_pipe_shared_state": fn(u64, usize) -> *mut c_void;
    set_subblock = "_Z27sim_context_set_subblock_idj": fn(u32);
    set_cluster = "_Z26sim_context_set_cluster_idj": fn(u32);
    clear = "_Z28clear_cpu_sim_shared_storagev": fn();
    bind_thread = "simpler_sim_bind_thread": fn(Option<extern "C" fn() -> u32>, Option<State>);
}

type State = extern "C" fn(u64, usize) -> *mut c_void;

fn bytes(block: *mut c_void, count: usize) -> Vec<u8> {
    let read = |index| {
        // SAFETY: the test asked for a block of at least this many bytes and has not given it back.
        unsafe { block.cast::<u8>().add(index).read() }
    };
    (0..count).map(read).collect()
}

fn mark(block: *mut c_void, count: usize) {
    // SAFETY: as in `bytes`; no other thread uses the block meanwhile.
    unsafe { block.cast::<u8>().write_bytes(0xa5, count) };
}

#[test]
fn a_thread_starts_without_device_and_on_lane_0() {
    let context = Context::get();
    assert_eq!(((context.bound)(), (context.subblock)()), (-1, 0));
    (context.bind)(11);
    (context.set_subblock)(1);
    assert_eq!(((context.bound)(), (context.subblock)()), (11, 1));
    let other = std::thread::spawn(move || ((context.bound)(), (context.subblock)()));
    assert_eq!(other.join().unwrap(), (-1, 0), "another thread is another core");
    (context.bind)(12);
    assert_eq!((context.bound)(), 12);
    (context.bind)(-1);
    assert_eq!(((context.bound)(), (context.subblock)()), (-1, 1));
    (context.bind)(-7);
    assert_eq!((context.bound)(), -1);
}

#[test]
fn memory_is_zeroed_aligned_and_the_same_for_the_same_key() {
    let context = Context::get();
    (context.acquire)(21);
    (context.bind)(21);
    let block = (context.state)(5, 100);
    assert!(!block.is_null() && block.addr().is_multiple_of(16));
    assert_eq!(bytes(block, 100), [0; 100]);
    mark(block, 100);
    assert_eq!((context.state)(5, 100), block);
    assert_eq!((context.state)(5, 1 << 40), block, "the first size counts");
    assert_eq!((context.state)(5, 0), null_mut(), "also where there is a block");
    let others: Vec<_> = (0..200).map(|key| (context.state)(key << 56, 1)).collect();
    assert!(
        others.iter().all(|other| !other.is_null() && other.addr().is_multiple_of(16) && *other != block)
    );
    assert_eq!(bytes(block, 100), [0xa5; 100]);
    // Acquiring again neither counts nor clears.
    (context.acquire)(21);
    assert_eq!((context.state)(5, 100), block);
    (context.release)(21);
    assert_eq!(bytes((context.state)(5, 100), 100), [0; 100]);
    (context.release)(21);
}

#[test]
fn without_device_or_size_or_enough_memory_there_is_none() {
    let context = Context::get();
    assert_eq!((context.state)(1, 8), null_mut());
    (context.bind)(31);
    assert_eq!((context.state)(1, 0), null_mut());
    assert_eq!((context.state)(1, usize::MAX), null_mut());
    assert_eq!((context.state)(1, usize::MAX / 2), null_mut());
    assert!(!(context.state)(1, 8).is_null(), "what failed has left nothing");
    (context.release)(31);
}

#[test]
fn devices_and_clusters_are_apart() {
    let context = Context::get();
    let on = |device, cluster| {
        (context.bind)(device);
        (context.set_cluster)(cluster);
        (context.state)(9, 8)
    };
    let blocks = [on(41, 0), on(41, 1), on(42, 0), on(42, 1)];
    let distinct: std::collections::BTreeSet<_> = blocks.into_iter().collect();
    assert_eq!(distinct.len(), 4);
    blocks.iter().for_each(|block| mark(*block, 8));
    assert_eq!([on(41, 0), on(41, 1), on(42, 0), on(42, 1)], blocks);

    // Clears the device that the thread is bound to, all of its clusters, and nothing else.
    (context.bind)(41);
    (context.clear)();
    assert_eq!((bytes(on(41, 0), 8), bytes(on(41, 1), 8)), (vec![0; 8], vec![0; 8]));
    assert_eq!((on(42, 0), on(42, 1)), (blocks[2], blocks[3]));
    (context.bind)(-1);
    (context.clear)();
    assert_eq!(on(42, 1), blocks[3], "a thread without device clears nothing");
    // Releasing needs no binding.
    (context.bind)(41);
    (context.release)(42);
    assert_eq!(bytes(on(42, 1), 8), [0; 8]);
    for device in [41, 42, 42, 43, -1, i32::MIN] {
        (context.release)(device);
    }
    (context.acquire)(-1);
    (context.bind)(40);
    (context.clear)();
}

#[test]
fn threads_share_the_memory_of_their_cluster() {
    const THREADS: u32 = 8;
    let context = Context::get();
    let start = Barrier::new(THREADS as usize);
    let all: Vec<Vec<usize>> = std::thread::scope(|scope| {
        let spawn = |thread: u32| {
            let start = &start;
            scope.spawn(move || {
                (context.bind)(if thread % 4 < 2 { 51 } else { 52 });
                (context.set_cluster)(thread % 2);
                start.wait();
                (0..100).map(|key| (context.state)(key, 8).addr()).collect()
            })
        };
        let threads: Vec<_> = (0..THREADS).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (thread, seen) in all.iter().enumerate() {
        assert_eq!(seen, &all[thread % 4], "the same device and cluster");
    }
    let distinct: std::collections::BTreeSet<_> = all.iter().flatten().collect();
    assert_eq!(distinct.len(), 400);
    (context.release)(51);
    (context.release)(52);
}

extern "C" fn third_lane() -> u32 {
    3
}

extern "C" fn echo(key: u64, size: usize) -> *mut c_void {
    std::ptr::without_provenance_mut(usize::try_from(key).unwrap() + size)
}

#[test]
fn a_simulator_answers_for_its_threads_until_it_lets_them_go() {
    let context = Context::get();
    (context.bind)(61);
    (context.set_subblock)(1);
    (context.bind_thread)(Some(third_lane), Some(echo));
    assert_eq!(((context.subblock)(), (context.state)(100, 0).addr()), (3, 100));
    let other = std::thread::spawn(move || ((context.subblock)(), (context.state)(100, 8)).1.is_null());
    assert!(other.join().unwrap(), "another thread is not bound");
    (context.bind_thread)(None, None);
    assert_eq!((context.subblock)(), 1);
    assert_eq!((context.state)(100, 0), null_mut());
    assert!(!(context.state)(100, 8).is_null());
    (context.release)(61);
}

#[test]
fn it_stays_when_its_user_closes_it() {
    let path = context::installed("closed");
    let handle = context::load(&path, libc::RTLD_LOCAL);
    let before = context::symbol(handle, "pto_sim_get_subblock_id");
    // SAFETY: the handle is open and not used again.
    assert_eq!(unsafe { libc::dlclose(handle) }, 0);
    let again = context::load(&path, libc::RTLD_LOCAL | libc::RTLD_NOLOAD);
    assert_eq!(context::symbol(again, "pto_sim_get_subblock_id"), before);
}
