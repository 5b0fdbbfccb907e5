//! Orchestrations of `tensormap_and_ringbuffer` compiled from C++: entry points, errors, and what they are told.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;

use chip_worker::{
    Args, ChipCallable, ChipWorker, CoreType, Platform, RunnerError, RuntimeKind, VariantError, WorkerError,
};
use common::{TRB_ADD_BODY, TRB_ADD_KERNEL, config, kernel, trb_library};

fn image(entry: &str, config_name: &str, library: &[u8]) -> ChipCallable {
    let add = kernel(CoreType::Aiv, TRB_ADD_KERNEL);
    ChipCallable::builder(entry).config_name(config_name).binary(library).child(0, &add).build().unwrap()
}

fn worker(platform: Platform) -> ChipWorker {
    ChipWorker::builder().platform(platform).runtime(RuntimeKind::TensormapAndRingbuffer).build().unwrap()
}

/// Runs `library` with tensors [1] and [0] and the scalar 41; the second tensor after the run.
fn run(worker: &ChipWorker, image: &ChipCallable) -> Result<i64, WorkerError> {
    let handle = worker.register(image)?;
    let (input, mut output) = ([1i64], [0i64]);
    let args = Args::new().input(&input, &[1]).unwrap().output(&mut output, &[1]).unwrap();
    let result = worker.run(&handle, &args.scalar(41).unwrap(), &config(2, 2));
    result.map(|_| output[0])
}

fn status(error: &WorkerError) -> (i32, &str) {
    let WorkerError::Runner(RunnerError::Variant(VariantError::Status { code, text })) = error else {
        panic!("{error}")
    };
    (*code, text)
}

#[test]
fn compiled_orchestrations_run_on_both_chips_under_given_and_default_names() {
    let named =
        trb_library(&format!("extern \"C\" void add(const ChipStorageTaskArgs &args) {{ {TRB_ADD_BODY} }}"));
    let default = trb_library(&format!(
        "extern \"C\" void aicpu_orchestration_entry(const ChipStorageTaskArgs &args) {{ {TRB_ADD_BODY} }}\n\
         extern \"C\" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {{ return {{3}}; }}"
    ));
    for platform in Platform::SIMULATED {
        let worker = worker(platform);
        assert_eq!(run(&worker, &image("add", "", &named)).unwrap(), 42);
        assert_eq!(run(&worker, &image("", "", &default)).unwrap(), 42);
        assert_eq!((worker.dlopen_counts().aicpu, worker.dlopen_counts().host), (2, 0));
        assert!(worker.close().unwrap().is_zero());
    }
}

#[test]
fn what_goes_wrong_in_a_library_is_an_error_and_the_worker_goes_on() {
    let worker = worker(Platform::A2a3Sim);
    let entry = |body: &str| {
        trb_library(&format!(
            "extern \"C\" void add(const ChipStorageTaskArgs &args) {{ (void)args; {body} }}"
        ))
    };
    let good = image("add", "", &entry(TRB_ADD_BODY));
    let failing = |library: &[u8], config_name: &str| {
        let error = run(&worker, &image("add", config_name, library)).unwrap_err();
        assert_eq!(run(&worker, &good).unwrap(), 42, "after {error}");
        error
    };
    // An exception, and a failed assertion inside of the interface.
    let error = failing(&entry("throw std::runtime_error(\"no graph today\");"), "");
    assert!(status(&error).0 == -1 && status(&error).1.contains("no graph today"), "{error}");
    let error = failing(
        &entry("const uint32_t shape[6] = {1}; TensorCreateInfo info(shape, 6, DataType::INT64);"),
        "",
    );
    assert_eq!(status(&error).0, -1);
    // A code of its own, with a formatted text.
    let error = failing(&entry("rt_report_fatal(77, \"%s %d\", \"number\", 5);"), "");
    assert!(status(&error).0 == -77 && status(&error).1.contains("number 5"), "{error}");
    // Builder errors surface at the submission.
    let body = "const Tensor in = from_tensor_arg(args.tensor(0)); Arg a; a.add_scalar(1u); a.add_input(in);
                rt_submit_aiv_task(0, a);";
    let error = failing(&entry(body), "");
    assert_eq!(status(&error).0, -5);
    // More arguments expected than given, and an exception from there.
    let config = |body: &str| {
        trb_library(&format!(
            "extern \"C\" void add(const ChipStorageTaskArgs &args) {{ {TRB_ADD_BODY} }}\n\
             extern \"C\" PTO2OrchestrationConfig conf(const ChipStorageTaskArgs &) {{ {body} }}"
        ))
    };
    let error = failing(&config("return {4};"), "conf");
    assert!(status(&error).1.contains("needs 4 arguments, 3 were given"), "{error}");
    let error = failing(&config("throw 5;"), "conf");
    assert!(status(&error).1.contains("configuration function threw"), "{error}");
    // No such entry: refused where the callable is registered.
    let error = run(&worker, &image("other", "", &entry(TRB_ADD_BODY))).unwrap_err();
    assert!(matches!(&error, WorkerError::Runner(RunnerError::Variant(VariantError::Load(_)))), "{error}");
    // A kernel that throws.
    let broken = kernel(CoreType::Aiv, "throw std::runtime_error(\"broken kernel\");");
    let library = entry(TRB_ADD_BODY);
    let callable = ChipCallable::builder("add").binary(&library).child(0, &broken).build().unwrap();
    assert!(run(&worker, &callable).unwrap_err().to_string().contains("broken kernel"));
    assert_eq!(run(&worker, &good).unwrap(), 42);
    assert_eq!(worker.report().runs, 0);
}
