//! What is written is what is read, for any values.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use run_records::deps::{Arg, ArgKind, ArgTensor, Edge, Overlap, Reason, Scope, Task, TensorVersion, View};
use run_records::dump::{DumpedTensor, Role, Stage};
use run_records::pmu::PmuRow;
use run_records::scope::{Border, Header, Record};
use run_records::summary::HostStages;
use run_records::swimlane::{OrchestratorPhase, OrchestratorWork, SchedulerPhase, SchedulerWork, TaskRecord};
use run_records::{Deps, Dtype, Dump, Micros, Pmu, Run, ScopeStats, Summary, Swimlane};
use task_interface::CoreType;

fn micros() -> impl Strategy<Value = Micros> {
    prop_oneof![0..1_000_000_i64, -1_000_000_000_000_000..1_000_000_000_000_000_i64]
        .prop_map(Micros::from_nanos)
}

fn core_type() -> impl Strategy<Value = CoreType> {
    prop_oneof![Just(CoreType::Aic), Just(CoreType::Aiv)]
}

fn dtype() -> impl Strategy<Value = Dtype> {
    (0..12_u8).prop_map(Dtype::from)
}

prop_compose! {
    fn task_record()(
        task_id: u64, func_id: u32, core_id: u32, core_type in core_type(),
        times in [micros(), micros(), micros(), micros()], fanout in option::of(vec(any::<u64>(), 0..3)),
    ) -> TaskRecord {
        let [start, end, dispatch, finish] = times;
        let fanout_count = fanout.as_ref().map(|list| u32::try_from(list.len()).unwrap());
        let record = TaskRecord::new(task_id, func_id, (core_id, core_type), start, end);
        // A difference of two times may be longer than any time that can be read.
        TaskRecord { duration: start, dispatch, finish, fanout, fanout_count, ..record }
    }
}

fn scheduler_phase() -> impl Strategy<Value = SchedulerPhase> {
    use SchedulerWork::{Complete, Dispatch, Idle, Scan, Unknown};
    let phase = prop_oneof![Just(Complete), Just(Dispatch), Just(Idle), Just(Scan), Just(Unknown)];
    (micros(), micros(), phase, any::<u32>(), any::<u64>(), option::of(any::<u32>())).prop_map(
        |(start, end, phase, loop_iter, tasks_processed, pop)| SchedulerPhase {
            start,
            end,
            phase,
            loop_iter,
            tasks_processed,
            pop_hit: pop,
            pop_miss: pop,
        },
    )
}

fn orchestrator_phase() -> impl Strategy<Value = OrchestratorPhase> {
    let phase = prop_oneof![
        Just(OrchestratorWork::OrchSubmit),
        Just(OrchestratorWork::OrchScopeEnd),
        Just(OrchestratorWork::OrchFanin),
        Just(OrchestratorWork::Unknown)
    ];
    (phase, micros(), micros(), any::<u32>(), any::<u64>()).prop_map(
        |(phase, start, end, submit_idx, task_id)| OrchestratorPhase {
            phase,
            start,
            end,
            submit_idx,
            task_id,
        },
    )
}

prop_compose! {
    fn swimlane()(
        level: u32, tasks in vec(task_record(), 0..4),
        scheduler in option::of(vec(vec(scheduler_phase(), 0..3), 0..3)),
        orchestrator in option::of(vec(vec(orchestrator_phase(), 0..3), 0..3)),
        core_to_thread in option::of(vec(any::<i32>(), 0..4)),
    ) -> Swimlane {
        Swimlane { level, tasks, scheduler, orchestrator, core_to_thread }
    }
}

prop_compose! {
    fn view()(shape in vec(any::<u32>(), 0..4), start_offset: u64, strides in vec(any::<u32>(), 0..4)) -> View {
        View { shape, start_offset, strides }
    }
}

prop_compose! {
    fn tensor()(tensor_id: u64, dtype in dtype(), view in view()) -> ArgTensor {
        ArgTensor { tensor_id, dtype, view }
    }
}

fn arg() -> impl Strategy<Value = Arg> {
    let kind = prop_oneof![
        Just(ArgKind::Input),
        Just(ArgKind::Output),
        Just(ArgKind::Inout),
        Just(ArgKind::OutputExisting),
        Just(ArgKind::Unknown)
    ];
    (any::<u32>(), kind, option::of(tensor())).prop_map(|(idx, kind, tensor)| Arg { idx, kind, tensor })
}

fn edge() -> impl Strategy<Value = Edge> {
    let overlap = prop_oneof![Just(Overlap::Covered), Just(Overlap::Other)];
    let reason = prop_oneof![
        Just(Reason::Explicit),
        tensor().prop_map(|consumer| Reason::Creator { consumer }),
        (overlap, tensor(), view()).prop_map(|(overlap, consumer, producer)| Reason::Tensormap {
            overlap,
            consumer,
            producer
        }),
    ];
    (any::<u64>(), any::<u64>(), any::<i32>(), reason).prop_map(|(pred, succ, arg, reason)| Edge {
        pred,
        succ,
        arg,
        reason,
    })
}

fn deps() -> impl Strategy<Value = Deps> {
    let scope = prop_oneof![Just(Scope::Auto), Just(Scope::Manual)];
    let task = (any::<u64>(), scope, vec(arg(), 0..3)).prop_map(|(task_id, scope, args)| Task {
        task_id,
        scope,
        args,
    });
    let version = (any::<u64>(), any::<u64>(), any::<i32>(), dtype(), any::<u64>()).prop_map(
        |(tensor_id, buffer_addr, version, dtype, buffer_numel)| TensorVersion {
            tensor_id,
            buffer_addr,
            version,
            dtype,
            buffer_numel,
        },
    );
    (vec(task, 0..3), vec(version, 0..3), vec(edge(), 0..4)).prop_map(|(tasks, tensors, edges)| Deps {
        tasks,
        tensors,
        edges,
    })
}

fn scope_stats() -> impl Strategy<Value = ScopeStats> {
    let header = (any::<(bool, u64, u64)>(), any::<[i32; 4]>(), any::<[u64; 4]>(), any::<i32>()).prop_map(
        |((fatal, dropped, total), task_window_max, heap_max, tensormap_max)| Header {
            version: run_records::scope::VERSION,
            fatal,
            dropped,
            total,
            task_window_max,
            heap_max,
            tensormap_max,
        },
    );
    let border = prop_oneof![Just(Border::Begin), Just(Border::End)];
    let numbers = any::<(i16, i16, i32, i32, u64, u64, i32)>();
    let record = (any::<String>(), border, numbers).prop_map(|(site, phase, numbers)| {
        let (depth, ring, task_window_start, task_window_end, heap_start, heap_end, tensormap) = numbers;
        Record {
            site,
            phase,
            depth,
            ring,
            task_window_start,
            task_window_end,
            heap_start,
            heap_end,
            tensormap,
        }
    });
    (header, vec(record, 0..4)).prop_map(|(header, records)| ScopeStats { header, records })
}

fn pmu() -> impl Strategy<Value = Pmu> {
    (0..5_usize).prop_flat_map(|counters| {
        let numbers = any::<(u32, u32, u64, u32, u64, u32)>();
        let row = (numbers, core_type(), vec(any::<u64>(), counters)).prop_map(
            |((thread_id, core_id, task_id, func_id, total_cycles, event_type), core_type, values)| PmuRow {
                thread_id,
                core_id,
                task_id,
                func_id,
                core_type,
                total_cycles,
                values,
                event_type,
            },
        );
        (vec("[a-z_0-9]{1,12}", counters), vec(row, 0..4)).prop_map(|(counters, rows)| Pmu { counters, rows })
    })
}

fn dump() -> impl Strategy<Value = Dump> {
    let what = (
        prop_oneof![Just(Role::Input), Just(Role::Output), Just(Role::Inout)],
        prop_oneof![Just(Stage::BeforeDispatch), Just(Stage::AfterCompletion)],
        dtype(),
    );
    let numbers = any::<(u64, u8, u32, u32, u64, u64, u64, u64)>();
    let tensor = (what, numbers, any::<[bool; 3]>(), vec(any::<u32>(), 0..4)).prop_map(
        |((role, stage, dtype), numbers, [is_contiguous, truncated, overwritten], shape)| {
            let (task_id, subtask_id, func_id, arg_index, start_offset, numel, bin_offset, bin_size) =
                numbers;
            DumpedTensor {
                task_id,
                subtask_id,
                func_id,
                role,
                stage,
                arg_index,
                dtype,
                is_contiguous,
                strides: shape.clone(),
                shape,
                start_offset,
                numel,
                bin_offset,
                bin_size,
                truncated,
                overwritten,
            }
        },
    );
    (vec(tensor, 0..4), any::<u64>()).prop_map(|(tensors, dropped)| Dump::new(tensors, dropped))
}

prop_compose! {
    fn summary()(
        times in [micros(), micros(), micros(), micros(), micros()], lost_records: u64,
        tasks_without_kernel in option::of(vec(any::<u64>(), 0..4)),
    ) -> Summary {
        let [prepare, launch, wait, copy_back, export] = times;
        let host_stages = HostStages { prepare, launch, wait, copy_back, export };
        Summary { host_stages, lost_records, tasks_without_kernel }
    }
}

prop_compose! {
    fn run()(
        swimlane in option::of(swimlane()), deps in option::of(deps()), scope_stats in option::of(scope_stats()),
        pmu in option::of(pmu()), dump in option::of(dump()),
        summary in option::of(summary()),
    ) -> Run {
        Run { swimlane, deps, scope_stats, pmu, dump, summary }
    }
}

proptest! {
    #[test]
    fn runs_come_back(run in run()) {
        let scratch = tempfile::tempdir().unwrap();
        run.write(scratch.path()).unwrap();
        prop_assert_eq!(Run::read(scratch.path()).unwrap(), run);
    }

    #[test]
    fn no_text_breaks_a_reader(text in any::<String>()) {
        let scratch = tempfile::tempdir().unwrap();
        for file in ["l2_perf_records.json", "deps.json", "pmu.csv", "scope_stats/scope_stats.jsonl", "run.json"] {
            run_records::replace(&scratch.path().join(file), text.as_bytes()).unwrap();
        }
        prop_assert!(Swimlane::read(scratch.path()).is_err());
        prop_assert!(Deps::read(scratch.path()).is_err());
        prop_assert!(Pmu::read(scratch.path()).is_err());
        prop_assert!(ScopeStats::read(scratch.path()).is_err());
        prop_assert!(Summary::read(scratch.path()).is_err());
    }
}
