//! A runner over the device, with a variant whose image is that of the small programs.

use std::sync::Arc;

use device_runner::{
    BoundRun, CallableSource, DevBuffer, DeviceImage, DeviceProgram, DeviceRunner, ImageProgram, Memory,
    Orchestration, OrchestrationSource, RunContext, RunnerError, RuntimeVariant, Target, Topology,
    VariantError,
};
use task_interface::{CallConfig, ChipCallable, ChipStorageTaskArgs, CoreCallable};

use super::{Bench, Plan, chip, image_words};

/// A runner that is closed by its drop, if not before.
pub fn runner(bench: &Bench, plan: Plan) -> Result<Arc<DeviceRunner>, RunnerError> {
    let device = Arc::new(bench.open()?);
    DeviceRunner::attach(chip(bench.lease.chip()), Box::new(Variant { plan, status: None }), device)
}

/// A runner whose variant says that the device's program has ended with this status, whenever a launch fails.
pub fn knowing(bench: &Bench, plan: Plan, status: i32) -> Arc<DeviceRunner> {
    let device = Arc::new(bench.open().unwrap());
    let variant = Box::new(Variant { plan, status: Some(status) });
    DeviceRunner::attach(chip(bench.lease.chip()), variant, device).unwrap()
}

/// A callable with a kernel, so that an image of it goes to the device.
pub fn callable() -> CallableSource {
    let kernel = CoreCallable::encode(&[], b"kernel").unwrap();
    let image = ChipCallable::builder("build").binary(b"graph").child(3, &kernel).build().unwrap();
    CallableSource::from_image(&image).unwrap()
}

/// Two runs of a callable on a runner, up to its end; the first error.
pub fn life(bench: &Bench, plan: Plan) -> Result<(), RunnerError> {
    let runner = runner(bench, plan)?;
    let lived = live(&runner, plan);
    // What could not be given back is tried again, once.
    let closed = runner.finalize().or_else(|first| runner.finalize().and(Err(first)));
    let report = runner.report();
    assert!(report.is_zero(), "{report}");
    lived.and(closed)
}

fn live(runner: &Arc<DeviceRunner>, plan: Plan) -> Result<(), RunnerError> {
    let id = runner.register(None, &callable())?;
    let config = CallConfig { block_dim: i32::try_from(plan.block_dim).unwrap(), ..CallConfig::default() };
    for _ in 0..2 {
        let outcome = runner.run(id, &ChipStorageTaskArgs::new(), &config)?;
        assert_eq!(outcome.device_wall.as_nanos(), 12345);
    }
    Ok(())
}

#[derive(Debug)]
struct Variant {
    plan: Plan,
    status: Option<i32>,
}

impl RuntimeVariant for Variant {
    fn name(&self) -> &'static str {
        "test"
    }

    fn fingerprint(&self, object: &[u8]) -> u64 {
        object.len() as u64
    }

    fn open(&self, _: &OrchestrationSource, for_image: bool) -> Result<Box<dyn Orchestration>, VariantError> {
        assert!(for_image);
        Ok(Box::new(Graph { plan: self.plan, status: self.status }))
    }
}

#[derive(Debug)]
struct Graph {
    plan: Plan,
    status: Option<i32>,
}

impl Orchestration for Graph {
    fn loaded_on_host(&self) -> bool {
        false
    }

    fn loads_on_device(&self) -> bool {
        true
    }

    fn bind(
        &self,
        context: &RunContext<'_>,
        _args: &ChipStorageTaskArgs,
    ) -> Result<Box<dyn BoundRun>, VariantError> {
        let Target::Image(target) = context.target else { panic!("the device runs images") };
        let kernel = context.kernels.kernels()[0].handle;
        assert_eq!(target.kernel_entry(kernel), kernel.0 + 128);
        let report = context.memory.alloc(128)?;
        let plan = Plan { block_dim: context.topology.block_dim(), ..self.plan };
        Ok(Box::new(Bound { memory: Arc::clone(context.memory), report, plan, status: self.status }))
    }
}

#[derive(Debug)]
struct Bound {
    memory: Arc<Memory>,
    report: DevBuffer,
    plan: Plan,
    status: Option<i32>,
}

impl BoundRun for Bound {
    fn take_program(&mut self) -> Box<dyn DeviceProgram> {
        let words = image_words(self.report.ptr(), self.plan);
        Box::new(ImageProgram::new(DeviceImage { bytes: 4096, parts: vec![(0, words)] }))
    }

    fn diagnose(&self) -> Option<VariantError> {
        self.status.map(|code| VariantError::Status { code, text: "on purpose".to_owned() })
    }

    fn finish(self: Box<Self>, _program: Box<dyn DeviceProgram>) -> Result<u64, VariantError> {
        let mut cores = [0; 8];
        self.memory.copy_from_device(&mut cores, device_runner::DevPtr::new(self.report.ptr().addr() + 8))?;
        let cores = u64::from_le_bytes(cores);
        assert_eq!(cores, u64::from(Topology::new(self.plan.block_dim).cores()));
        self.report.release()?;
        Ok(cores)
    }
}
