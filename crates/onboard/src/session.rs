use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hal_sys::{CoreKind, Hal, HalError, KernelBinary};

use crate::aicpu::AicpuProgram;
use crate::bootstrap;
use crate::error::OnboardError;
use crate::holdings::Holdings;
use crate::inner::Inner;
use crate::lane::Lane;
use crate::sync::lock;

/// A device that is open: its streams, and its AICPU program ready to be launched.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) aicpu: Lane,
    pub(crate) aicore: Lane,
    pub(crate) program: AicpuProgram,
    /// Device address of the device arguments.
    pub(crate) device_args: u64,
    /// What the first launch makes.
    pub(crate) parts: Mutex<LaunchParts>,
    max_block_dim: Mutex<Option<u32>>,
    running: AtomicBool,
}

/// What launches need and later ones find again. Addresses are device addresses.
#[derive(Debug, Default)]
pub(crate) struct LaunchParts {
    pub(crate) registers: Option<u64>,
    pub(crate) pmu_registers: Option<u64>,
    pub(crate) ffts_base: Option<u64>,
    pub(crate) wall: Option<u64>,
    /// The copy of `KernelArgs` that AICore programs read.
    pub(crate) kernel_args: Option<u64>,
    /// The image and the bytes it has room for.
    pub(crate) image: Option<(u64, usize)>,
    pub(crate) kernels: Option<KernelBinary>,
}

/// Bytes of the device arguments, which nobody reads in a run (`spec/device-abi.md`, section 1.3).
const DEVICE_ARGS: [u8; 112] = [0; 112];

impl Session {
    /// Opens a device to which the calling thread is attached. Of a failed try, `left` gets what was taken.
    pub(crate) fn open(inner: &Inner, left: &mut Holdings) -> Result<Self, OnboardError> {
        let (hal, device, fingerprint) = (&inner.hal, inner.id, inner.fingerprint);
        let aicpu = Lane::create(hal)?;
        let aicore = match Lane::create(hal) {
            Ok(aicore) => aicore,
            Err(error) => {
                left.lanes.push(aicpu);
                return Err(error.into());
            }
        };
        let programs = &inner.options.programs;
        let opened = bootstrap::deliver(hal, &inner.memory, &aicpu, programs, fingerprint, device)
            .and_then(|()| AicpuProgram::load(hal, fingerprint, device));
        let program = match opened {
            Ok(program) => program,
            Err(error) => {
                left.lanes.extend([aicpu, aicore]);
                return Err(error);
            }
        };
        match inner.memory.upload(&DEVICE_ARGS) {
            Ok(device_args) => Ok(Self {
                aicpu,
                aicore,
                program,
                device_args,
                parts: Mutex::default(),
                max_block_dim: Mutex::default(),
                running: AtomicBool::new(false),
            }),
            Err(error) => {
                left.lanes.extend([aicpu, aicore]);
                left.program = Some(program);
                Err(error)
            }
        }
    }

    /// Clusters that a launch may have: as many as the AICore stream has cores for.
    pub(crate) fn max_block_dim(&self, hal: &Hal, chip_max: u32) -> Result<u32, HalError> {
        let mut known = lock(&self.max_block_dim);
        if let Some(known) = *known {
            return Ok(known.min(chip_max));
        }
        let limit = |kind| hal.stream_core_limit(self.aicore.stream(), kind);
        let max = match limit(CoreKind::Cube).and_then(|cube| Ok((cube, limit(CoreKind::Vector)?))) {
            Ok((cube, vector)) if cube > 0 && vector > 1 => cube.min(vector / 2),
            Ok(_) => chip_max,
            Err(error) if error.code().is_some_and(|code| code.suspect()) => return Err(error),
            Err(error) => {
                // Not every version tells.
                log::warn!(
                    "launches may have all {chip_max} clusters of the chip, as far as is known: {error}"
                );
                chip_max
            }
        };
        *known = Some(max);
        Ok(max.min(chip_max))
    }

    /// Waits until nothing is on either stream, so long at the most for each; the first error counts.
    pub(crate) fn drain(&self, hal: &Hal, limit: Duration) -> Result<(), (&'static str, HalError)> {
        let results = self.lanes().map(|(name, lane)| lane.drain(hal, limit).map_err(|error| (name, error)));
        let [aicpu, aicore] = results;
        if let (Err(_), Err((name, error))) = (&aicpu, &aicore) {
            log::warn!("the {name} part of the run failed as well: {error}");
        }
        aicpu.and(aicore)
    }

    /// Whether work is on a stream that was not seen to end.
    pub(crate) fn is_busy(&self) -> bool {
        self.lanes().into_iter().any(|(_, lane)| lane.is_busy())
    }

    /// Whether its last launch has ended on both streams, and nothing but the AICPU program has failed.
    pub(crate) fn has_ended_by_itself(&self) -> bool {
        self.aicpu.has_aicpu_exception() && self.aicore.is_idle()
    }

    /// Puts new streams in the place of those that have served; `left` gets what cannot be used any more.
    pub(crate) fn renew_lanes(mut self, hal: &Hal, left: &mut Holdings) -> Result<Self, HalError> {
        let renewed = Lane::create(hal).and_then(|aicpu| {
            left.lanes.push(std::mem::replace(&mut self.aicpu, aicpu));
            left.lanes.push(std::mem::replace(&mut self.aicore, Lane::create(hal)?));
            left.give_back(hal)
        });
        match renewed {
            Ok(()) => Ok(self),
            Err(error) => {
                let Holdings { lanes, program, kernels } = self.into_holdings();
                left.lanes.extend(lanes);
                (left.program, left.kernels) = (program, kernels);
                Err(error)
            }
        }
    }

    /// Both streams, with what messages call them.
    pub(crate) fn lanes(&self) -> [(&'static str, &Lane); 2] {
        [("AICPU", &self.aicpu), ("AICore", &self.aicore)]
    }

    pub(crate) fn into_holdings(self) -> Holdings {
        let kernels = lock(&self.parts).kernels.take();
        Holdings { lanes: vec![self.aicpu, self.aicore], program: Some(self.program), kernels }
    }
}

/// The right to be on the device.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Session>);

impl Turn {
    /// Takes it, unless another launch has it.
    pub(crate) fn take(session: &Arc<Session>) -> Option<Self> {
        let taken = session.running.swap(true, Ordering::AcqRel);
        (!taken).then(|| Self(Arc::clone(session)))
    }

    pub(crate) fn session(&self) -> &Session {
        &self.0
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}
