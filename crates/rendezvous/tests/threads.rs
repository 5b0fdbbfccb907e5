//! Ranks that are threads of one process.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{read, write};
use rendezvous::testing::Place;
use rendezvous::{Job, Options, RendezvousError, Session, enter};

fn options(name: &str) -> Options {
    Options::default().limit(Duration::from_secs(60)).job(Job::named(name))
}

/// Runs `body` as every rank of a job.
fn job(place: &Place, name: &str, ranks: u32, body: impl Fn(Session) + Sync) {
    std::thread::scope(|scope| {
        for rank in 0..ranks {
            let body = &body;
            let seat = move || enter(place.path(), rank, ranks, options(name)).unwrap();
            scope.spawn(move || body(seat().complete().unwrap()));
        }
    });
}

#[test]
fn ranks_see_each_others_windows_and_leave_nothing() {
    let place = Place::new();
    for ranks in [1, 2, 5, 64] {
        job(&place, "windows", ranks, |session| {
            let windows = session.windows(100).unwrap();
            assert_eq!((windows.members().len(), windows.own()), (ranks as usize, session.rank() as usize));
            assert_eq!(windows.address(ranks as usize), 0);
            // SAFETY: the addresses are those of 100-byte windows that live here.
            let word = |index: u32| unsafe { read(windows.address(index as usize)) };
            assert_eq!(word(session.rank()), 0, "windows are zeroed");
            // SAFETY: as above.
            unsafe { write(windows.address(windows.own()), 1000 + u64::from(session.rank())) };
            session.barrier().unwrap();
            for peer in 0..ranks {
                assert_eq!(word(peer), 1000 + u64::from(peer));
            }
            session.barrier().unwrap();
        });
        place.assert_empty();
    }
}

#[test]
fn windows_are_fenced() {
    let place = Place::new();
    job(&place, "fences", 2, |session| {
        let (base, domain) =
            (session.windows(1 << 16).unwrap(), session.domain(1, &[0, 1], 1 << 16).unwrap());
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let is_closed = |address: u64| {
            maps.lines().any(|line| {
                let (range, access) = line.split_once(' ').unwrap();
                let (start, end) = range.split_once('-').unwrap();
                let bound = |text| u64::from_str_radix(text, 16).unwrap();
                (bound(start)..bound(end)).contains(&address) && access.starts_with("---")
            })
        };
        for windows in [&base, &domain] {
            let (first, last) = (windows.address(0), windows.address(1));
            assert!(is_closed(first - 1) && is_closed(last + (1 << 16)), "{maps}");
            assert!(!is_closed(first) && !is_closed(last + (1 << 16) - 1), "{maps}");
        }
        session.barrier().unwrap();
    });
}

#[test]
fn nobody_passes_a_barrier_before_all_have_come() {
    let place = Place::new();
    let arrivals = AtomicU64::new(0);
    job(&place, "barrier", 4, |session| {
        for round in 1..=500 {
            arrivals.fetch_add(1, Ordering::SeqCst);
            session.barrier().unwrap();
            assert!(arrivals.load(Ordering::SeqCst) >= 4 * round);
            session.barrier().unwrap();
        }
    });
}

#[test]
fn ranks_that_give_up_and_come_back_are_not_a_barrier_ahead() {
    let place = Place::new();
    let (arrivals, together) = (AtomicU64::new(0), std::sync::Barrier::new(4));
    std::thread::scope(|scope| {
        for rank in 0..4 {
            let (path, arrivals, together) = (place.path(), &arrivals, &together);
            scope.spawn(move || {
                // The shorter the limit, the more often ranks give up while others arrive.
                let limit = Duration::from_micros(20 << (3 * rank));
                let seat = enter(path, rank, 4, options("impatient").limit(limit)).unwrap();
                together.wait();
                let session = seat.complete().unwrap();
                let start = Instant::now();
                let barrier = || {
                    while let Err(error) = session.barrier() {
                        assert!(start.elapsed() < Duration::from_secs(120), "{error}");
                    }
                };
                for round in 1..=100 {
                    arrivals.fetch_add(1, Ordering::SeqCst);
                    barrier();
                    assert!(arrivals.load(Ordering::SeqCst) >= 4 * round, "round {round}");
                    barrier();
                    assert!(arrivals.load(Ordering::SeqCst) < 4 * (round + 1), "round {round}");
                }
                // Nobody leaves while others are still to come.
                together.wait();
            });
        }
    });
}

#[test]
fn domains_overlap_and_their_memory_comes_back_zeroed() {
    let place = Place::new();
    job(&place, "domains", 4, |session| {
        let base = session.windows(8).unwrap();
        for round in 0..20u64 {
            let groups: [(u64, &[u32]); 3] = [(7, &[2, 0]), (8, &[1, 2, 3]), (u64::MAX, &[3, 0, 1])];
            let mine = groups.iter().filter(|(_, members)| members.contains(&session.rank()));
            let domains: Vec<_> =
                mine.map(|(id, members)| session.domain(*id, members, 200_000).unwrap()).collect();
            for windows in &domains {
                assert_eq!(windows.members()[windows.own()], session.rank());
                let own = windows.address(windows.own()) + 199_992;
                // SAFETY: the last word of a window of 200 000 bytes, which no other rank writes.
                unsafe {
                    assert_eq!(read(own), 0, "round {round}");
                    write(own, u64::from(session.rank()) + 1);
                }
            }
            session.barrier().unwrap();
            for windows in &domains {
                for (index, member) in windows.members().iter().enumerate() {
                    // SAFETY: as above, and all ranks have written.
                    let word = unsafe { read(windows.address(index) + 199_992) };
                    assert_eq!(word, u64::from(*member) + 1);
                }
            }
            session.barrier().unwrap();
        }
        drop(base);
    });
}

#[test]
fn members_exchange_bytes() {
    let place = Place::new();
    job(&place, "exchange", 4, |session| {
        let own = u8::try_from(session.rank()).unwrap();
        let members = if own == 0 { vec![0] } else { vec![3, 1, 2] };
        for round in 0..50u8 {
            let all = session.exchange("numbers", &members, &[own, round]).unwrap();
            let expected: Vec<Vec<u8>> =
                members.iter().map(|&member| vec![u8::try_from(member).unwrap(), round]).collect();
            assert_eq!(all, expected);
            assert_eq!(session.exchange("nothing", &[0, 1, 2, 3], &[]).unwrap(), vec![Vec::<u8>::new(); 4]);
        }
        assert!(session.exchange("not a member", &[3 - u32::from(own)], &[1]).is_err());
        session.barrier().unwrap();
    });
    place.assert_empty();
}

#[test]
fn requests_that_do_not_fit_are_refused() {
    let place = Place::new();
    for (rank, ranks) in [(0, 0), (2, 2), (0, 65)] {
        let error = enter(place.path(), rank, ranks, options("refused")).unwrap_err();
        assert!(matches!(error, RendezvousError::NoSuchRank { .. }), "{error}");
    }
    job(&place, "refused", 2, |session| {
        for members in [&[][..], &[0, 2], &[0, 1, 1], &[1 - session.rank()]] {
            let error = session.domain(1, members, 8).unwrap_err();
            assert!(matches!(error, RendezvousError::Group { .. }), "{error}");
        }
        let kept = session.domain(1, &[0, 1], 8).unwrap();
        let again = session.domain(1, &[0, 1], 8).unwrap_err();
        assert!(matches!(again, RendezvousError::Exists { id: 1 }), "{again}");
        let huge = session.domain(2, &[0, 1], u64::MAX - 5).unwrap_err();
        assert!(matches!(huge, RendezvousError::OutOfMemory { .. }), "{huge}");
        session.barrier().unwrap();
        drop(kept);
        // As many as there may be, twice: what is given back can be had again.
        for _ in 0..2 {
            let all: Vec<_> = (0..64).map(|id| session.domain(id, &[0, 1], 1).unwrap()).collect();
            session.barrier().unwrap();
            let error = session.domain(64, &[0, 1], 1).unwrap_err();
            assert!(matches!(error, RendezvousError::TooMany { capacity: 64 }), "{error}");
            session.barrier().unwrap();
            drop(all);
            session.barrier().unwrap();
        }
    });
}

#[test]
fn ranks_that_ask_for_different_windows_are_told() {
    let place = Place::new();
    let refused = AtomicU64::new(0);
    job(&place, "mismatch", 2, |session| {
        let members = if session.rank() == 0 { [0, 1] } else { [1, 0] };
        let error = session.domain(5, &members, 64).unwrap_err();
        match error {
            RendezvousError::Mismatch { .. } => drop(refused.fetch_add(1, Ordering::SeqCst)),
            // The first one waits for the other, which leaves.
            RendezvousError::Left { gone, .. } => assert!(gone.contains(1 - session.rank())),
            other => panic!("{other}"),
        }
    });
    assert_eq!(refused.load(Ordering::SeqCst), 1);
}

#[test]
fn ranks_that_do_not_come_are_named_and_the_others_can_try_again() {
    let place = Place::new();
    let short = options("late").limit(Duration::from_millis(200));
    let seat = enter(place.path(), 1, 3, short).unwrap();
    let error = seat.complete().unwrap_err();
    let RendezvousError::Timeout { missing, .. } = error else { panic!("{error}") };
    assert_eq!(missing.iter().collect::<Vec<_>>(), [0, 2]);
    place.assert_empty();

    // Both have come before one of them waits: with so short a limit, starting a thread may take too long.
    let [first, second] = [0, 1].map(|rank| enter(place.path(), rank, 2, short).unwrap());
    std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let arrive = |session: &Session| {
            let patient = Instant::now();
            while let Err(error) = session.barrier() {
                assert!(patient.elapsed() < Duration::from_secs(30), "{error}");
            }
        };
        scope.spawn(move || {
            let session = first.complete().unwrap();
            let error = session.barrier().unwrap_err();
            assert!(error.to_string().contains("rank 1 did not come within 200"), "{error}");
            let error = session.windows(8).unwrap_err();
            assert!(matches!(error, RendezvousError::Timeout { .. }), "{error}");
            drop(sender);
            arrive(&session);
        });
        scope.spawn(move || {
            let session = second.complete().unwrap();
            let _ = receiver.recv();
            // The windows that the other one has given up are not there for this one either.
            arrive(&session);
        });
    });
}

#[test]
fn who_leaves_is_noticed_at_once() {
    let place = Place::new();
    job(&place, "left", 3, |session| {
        session.barrier().unwrap();
        if session.rank() == 1 {
            return;
        }
        let start = Instant::now();
        let error = session.barrier().unwrap_err();
        assert!(matches!(&error, RendezvousError::Left { gone, .. } if gone.contains(1)), "{error}");
        assert!(start.elapsed() < Duration::from_secs(30));
    });
}

#[test]
fn jobs_at_one_path_stay_apart() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let place = &place;
            scope.spawn(move || {
                for round in 0..20 {
                    job(place, name, 3, |session| {
                        let windows = session.windows(16).unwrap();
                        let tag = u64::from(name.as_bytes()[0]) << 8 | round;
                        // SAFETY: this rank's own window of 16 bytes.
                        unsafe { write(windows.address(windows.own()), tag) };
                        session.barrier().unwrap();
                        for index in 0..3 {
                            // SAFETY: windows of 16 bytes, and all ranks have written.
                            assert_eq!(unsafe { read(windows.address(index)) }, tag);
                        }
                        session.barrier().unwrap();
                    });
                }
            });
        }
    });
    place.assert_empty();
}

#[test]
fn a_second_rank_of_the_same_number_begins_another_job() {
    let place = Place::new();
    let seats: Vec<_> =
        [0, 0, 1, 1].map(|rank| enter(place.path(), rank, 2, options("twice")).unwrap()).into();
    std::thread::scope(|scope| {
        for seat in seats {
            scope.spawn(move || {
                let session = seat.complete().unwrap();
                session.barrier().unwrap();
            });
        }
    });
}
