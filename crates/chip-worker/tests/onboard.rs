//! Workers on hardware, where there is none.
#![cfg(feature = "onboard")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report of a test")]

use chip_worker::{ChipWorker, Platform, Programs, RuntimeKind, WorkerError};

const ONBOARD: [Platform; 2] = [Platform::A2a3, Platform::A5];

#[test]
fn a_worker_on_hardware_asks_for_its_programs() {
    for platform in ONBOARD {
        assert!(platform.is_available());
        for runtime in RuntimeKind::ALL {
            let error = ChipWorker::builder().platform(platform).runtime(runtime).build().unwrap_err();
            assert!(matches!(error, WorkerError::NoPrograms { .. }), "{error}");
            assert!(error.to_string().contains(&format!("platform {platform} needs")), "{error}");
            assert!(error.to_string().contains("ChipWorkerBuilder::programs"), "{error}");
        }
    }
}

#[test]
fn a_machine_without_cann_is_told_what_it_lacks() {
    for platform in ONBOARD {
        let builder = ChipWorker::builder().platform(platform).programs(Programs::new([1], [2], [3]));
        let registers = if platform == Platform::A2a3 {
            hal_sys::Group::RegistersA2a3
        } else {
            hal_sys::Group::RegistersA5
        };
        let loader = hal_sys::Loader::new().require(hal_sys::Group::Base).require(registers);
        match (builder.build().unwrap_err(), loader.load()) {
            (WorkerError::NoCann { platform: named, source }, Err(_)) => {
                assert_eq!(named, platform);
                let text = source.to_string();
                for part in ["libruntime.so", "set_env.sh", "libascend_hal.so"] {
                    assert!(text.contains(part), "{part}: {text}");
                }
            }
            // There is CANN here, but such bytes are no programs.
            (WorkerError::Runner(_), Ok(_)) => {}
            (error, loaded) => panic!("{error}, while loading CANN gave {loaded:?}"),
        }
    }
}
