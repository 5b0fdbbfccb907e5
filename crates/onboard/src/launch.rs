use std::sync::Arc;

use collectors::{Collection, RecordPlaces};
use device_runner::{DeviceError, DeviceImage, Launch};

use crate::chip::{LaunchArgs, RegisterBank};
use crate::error::OnboardError;
use crate::inner::Inner;
use crate::records::RecordsMemory;
use crate::run::OnboardRun;
use crate::session::{LaunchParts, Session, Turn};
use crate::sync::lock;

/// What messages call it.
const STEP: &str = "launching";

/// AICore programs have one entry, with this key (`spec/device-abi.md`, section 1.5).
const TILING_KEY: u64 = 0;

/// Starts a launch: the AICPU program first, which then waits for the cores.
pub(crate) fn launch(inner: &Arc<Inner>, mut launch: Launch) -> Result<OnboardRun, DeviceError> {
    inner.attach().map_err(|error| inner.fail(STEP, error))?;
    let session = inner.session()?;
    let turn = Turn::take(&session).ok_or(DeviceError::Busy)?;
    let image = launch.program.take_image().ok_or(DeviceError::Unsupported {
        what: "a graph that only an engine can run",
        device: inner.chip.name(),
    })?;
    let block_dim = launch.topology.block_dim();
    let mut parts = lock(&session.parts);
    if launch.recorder.is_none() {
        inner.memory.free_spares();
    }
    let memory = RecordsMemory(Arc::clone(inner));
    let opened = Collection::open(memory, launch.recorder.as_ref());
    let mut collection = opened.map_err(|error| inner.fail(STEP, error.into()))?;
    let ready = Ready::make(inner, &session, &mut parts, &image, collection.places())
        .and_then(|ready| Ok(collection.start().map(|()| ready)?))
        .map_err(|error| inner.fail(STEP, error))?;
    ready.start(inner, &session, &parts, block_dim).map_err(|error| stop(inner, &session, error))?;
    let wall = ready.wall;
    drop(parts);
    Ok(OnboardRun::new(Arc::clone(inner), turn, launch.program, collection, block_dim, wall))
}

/// A launch that failed on the way: whatever of it was started has to end before anything else.
fn stop(inner: &Inner, session: &Session, error: OnboardError) -> DeviceError {
    match session.drain(&inner.hal, inner.stream_timeout()) {
        Ok(()) => inner.fail(STEP, error),
        Err((stream, source)) => {
            log::error!("what was launched does not end on the {stream} stream: {source}");
            inner.lose(error)
        }
    }
}

/// Everything that launches refer to, in device memory.
struct Ready {
    kernel_args: Vec<u8>,
    /// Device address of a copy of them.
    device_copy: u64,
    /// Device address of the run time.
    wall: u64,
}

impl Ready {
    /// All that can fail is done before the AICPU program starts, as it would wait for cores that do not come.
    fn make(
        inner: &Inner,
        session: &Session,
        parts: &mut LaunchParts,
        image: &DeviceImage,
        records: &RecordPlaces,
    ) -> Result<Self, OnboardError> {
        let (hal, chip) = (&inner.hal, inner.chip);
        let registers = once(&mut parts.registers, || upload_table(inner, RegisterBank::Control))?;
        let counts = records.pmu != 0 && chip.has_pmu_table();
        let pmu_registers = if counts {
            once(&mut parts.pmu_registers, || upload_table(inner, RegisterBank::Pmu))?
        } else {
            0
        };
        let args = LaunchArgs {
            device_args: session.device_args,
            runtime: upload_image(inner, &mut parts.image, image)?,
            registers,
            pmu_registers,
            ffts_base: once(&mut parts.ffts_base, || Ok(chip.ffts_base(hal)?))?,
            log_level: inner.options.effective_log_level(),
            log_verbosity: inner.options.log_verbosity,
            records: *records,
            wall: once(&mut parts.wall, || inner.memory.upload(&0u64.to_le_bytes()))?,
            device_id: inner.id,
        };
        let kernel_args = chip.kernel_args(&args);
        let device_copy = once(&mut parts.kernel_args, || inner.memory.alloc(kernel_args.len() as u64))?;
        inner.memory.fill(device_copy, &kernel_args)?;
        if parts.kernels.is_none() {
            parts.kernels = Some(hal.register_kernels(Arc::clone(&inner.options.programs.aicore))?);
        }
        Ok(Self { kernel_args, device_copy, wall: args.wall })
    }

    fn start(
        &self,
        inner: &Inner,
        session: &Session,
        parts: &LaunchParts,
        block_dim: u32,
    ) -> Result<(), OnboardError> {
        let (hal, program, args) = (&inner.hal, &session.program, &self.kernel_args);
        let threads = inner.chip.limits().launched_aicpu_threads;
        session.aicpu.enqueue(|stream| program.launch_init(hal, args, stream))?;
        session.aicpu.enqueue(|stream| program.launch_exec(hal, threads, args, stream))?;
        if let Some(kernels) = &parts.kernels {
            let args = self.device_copy.to_le_bytes();
            session
                .aicore
                .enqueue(|stream| hal.launch_kernel(kernels, TILING_KEY, block_dim, &args, stream))?;
        }
        Ok(())
    }
}

/// The device address of a table of registers.
fn upload_table(inner: &Inner, bank: RegisterBank) -> Result<u64, OnboardError> {
    let table = inner.chip.register_table(&inner.hal, inner.id, bank)?;
    let bytes: Vec<u8> = table.into_iter().flat_map(u64::to_le_bytes).collect();
    inner.memory.upload(&bytes)
}

/// The value of `slot`, made if there is none; a failed try leaves none.
fn once(
    slot: &mut Option<u64>,
    make: impl FnOnce() -> Result<u64, OnboardError>,
) -> Result<u64, OnboardError> {
    if let Some(value) = *slot {
        return Ok(value);
    }
    Ok(*slot.insert(make()?))
}

/// Copies an image to the device, into the place of the last one if that is large enough.
fn upload_image(
    inner: &Inner,
    slot: &mut Option<(u64, usize)>,
    image: &DeviceImage,
) -> Result<u64, OnboardError> {
    check_parts(image)?;
    let address = match *slot {
        Some((address, room)) if room >= image.bytes => address,
        _ => {
            if let Some((address, _)) = slot.take() {
                inner.memory.free(address, false)?;
            }
            let address = inner.memory.alloc(image.bytes as u64)?;
            *slot = Some((address, image.bytes));
            address
        }
    };
    for (offset, part) in &image.parts {
        inner.memory.fill(address + *offset as u64, part)?;
    }
    Ok(address)
}

fn check_parts(image: &DeviceImage) -> Result<(), OnboardError> {
    let end_of = |(offset, part): &(usize, Vec<u8>)| offset.saturating_add(part.len());
    match image.parts.iter().find(|part| end_of(part) > image.bytes) {
        Some(part) => Err(OnboardError::Image { offset: part.0, end: end_of(part), bytes: image.bytes }),
        None => Ok(()),
    }
}
