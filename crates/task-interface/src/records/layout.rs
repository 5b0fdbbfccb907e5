/// The queues of full buffers at the start of a header: for each AICPU thread one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of the arch crates")]
pub struct ReadyQueues {
    /// Queues.
    pub threads: u32,
    /// Entries of each; one of them always stays empty.
    pub capacity: u32,
    /// Offset of the host's indices.
    pub heads: usize,
    /// Offset of the device's indices.
    pub tails: usize,
    /// Bytes of the whole header.
    pub header_bytes: usize,
}

/// A buffer of records. Offsets and sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of the arch crates")]
pub struct BufferLayout {
    /// Size of the whole.
    pub bytes: usize,
    /// Offset of the first record.
    pub records: usize,
    /// Size of one.
    pub record_bytes: usize,
    /// Room for that many.
    pub capacity: usize,
    /// Offset of the 32-bit number of records.
    pub count: usize,
}

/// One kind of units: the state of each, and its buffers. Offsets are from the start of the state, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of the arch crates")]
pub struct UnitLayout {
    /// What entries of full buffers call the kind.
    pub kind: u32,
    /// Size of a state.
    pub bytes: usize,
    /// Offset of the slots with free buffers.
    pub free_slots: usize,
    /// How many there are.
    pub slots: u32,
    /// Offset of the device's index into them.
    pub free_head: usize,
    /// Offset of the host's index into them.
    pub free_tail: usize,
    /// Offset of the address of the buffer that the device fills.
    pub current: usize,
    /// Offset of that buffer's number.
    pub sequence: usize,
    /// Offset of the count of records that were tried, where there is one.
    pub total: Option<usize>,
    /// Offset of the count of records that were lost.
    pub dropped: usize,
    /// Offset of the count of records that could not be made, where there is one.
    pub mismatched: Option<usize>,
    /// Its buffers.
    pub buffer: BufferLayout,
    /// Buffers per unit that there are at the start.
    pub buffers: u32,
    /// As many of them are in the queue then.
    pub primed: u32,
}

/// The memory of the swimlane: header, states of tasks by core, states of core times if any, header of phases, states
/// of phases by thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of the arch crates")]
pub struct SwimlaneMemory {
    /// In the header.
    pub queues: ReadyQueues,
    /// Offset of the number of cores in the header.
    pub num_cores: usize,
    /// Offset of the level in the header.
    pub level: usize,
    /// Records of tasks.
    pub tasks: UnitLayout,
    /// How times get from cores to the record of a task.
    pub core_times: CoreTimesMemory,
    /// Size of the header of phases.
    pub phase_header_bytes: usize,
    /// Records of phases.
    pub phases: UnitLayout,
}

/// How a core tells when its kernels ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the two chips")]
pub enum CoreTimesMemory {
    /// It has buffers of its own, which the AICPU takes from it one after the other.
    Rotation(UnitLayout),
    /// It has a ring of records of tasks, which the AICPU copies.
    Ring {
        /// Size of the ring.
        bytes: usize,
        /// Offset of its address in the state of the core's tasks.
        address: usize,
    },
}

/// The memory of hardware counters: header, states by core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of the arch crates")]
pub struct PmuMemory {
    /// In the header.
    pub queues: ReadyQueues,
    /// Offset of the number of cores in the header.
    pub num_cores: usize,
    /// Offset of the event type in the header.
    pub event_type: usize,
    /// Records of counters.
    pub rows: UnitLayout,
    /// Counters in a record.
    pub counters: usize,
    /// Size of the ring through which a core tells its counters, and the offset of its address in the state, where the
    /// AICPU does not read the counters itself.
    pub ring: Option<(usize, usize)>,
}

/// The memory of the tensor dump: header, states by AICPU thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of the arch crates")]
pub struct DumpMemory {
    /// In the header.
    pub queues: ReadyQueues,
    /// Records of tensors.
    pub tensors: UnitLayout,
    /// Bytes of tensors that each thread has room for.
    pub arena_bytes: u64,
    /// Offset of the number of threads in the header.
    pub num_threads: usize,
    /// Offset of the number of records that a buffer has room for.
    pub records_per_buffer: usize,
    /// Offset of the 64-bit size of an arena.
    pub arena_size: usize,
    /// Offset of the magic number.
    pub magic: usize,
    /// Offset of whether only chosen tensors count.
    pub selective: usize,
}

/// The memory of scope statistics: header, one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of the arch crates")]
pub struct ScopeMemory {
    /// In the header.
    pub queues: ReadyQueues,
    /// Records of borders of scopes.
    pub borders: UnitLayout,
    /// Offset of the number of states in the header.
    pub num_instances: usize,
    /// Offset of how many tasks each ring has room for.
    pub task_windows: usize,
    /// Offset of the 64-bit sizes of their heaps.
    pub heaps: usize,
    /// Offset of how many entries the tensor map has room for.
    pub tensormap: usize,
    /// Offset of whether an error has ended the recording.
    pub fatal: usize,
}

/// The memory of submits: header, one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of the arch crates")]
pub struct SubmitMemory {
    /// In the header.
    pub queues: ReadyQueues,
    /// Records of submits.
    pub submits: UnitLayout,
    /// Offset of the number of states in the header.
    pub num_instances: usize,
    /// Offset in the state of the count of records that continue another.
    pub overflows: usize,
}

/// The memory of all collectors of a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the arch crates build it")]
pub struct RecordMemory {
    /// When tasks ran where.
    pub swimlane: SwimlaneMemory,
    /// Tensors before and after tasks.
    pub dump: DumpMemory,
    /// Hardware counters.
    pub pmu: PmuMemory,
    /// How full rings are at the borders of scopes.
    pub scopes: ScopeMemory,
    /// Submits, on a chip that records them.
    pub submits: Option<SubmitMemory>,
}

/// The [`UnitLayout`](crate::records::UnitLayout) of a kind of units whose state has the usual fields.
#[macro_export]
macro_rules! unit_layout {
    ($state:ty, $queue:ty, kind $kind:expr, total $total:expr, mismatched $mismatched:expr,
     buffer $buffer:ty, buffers $buffers:expr, primed $primed:expr) => {
        $crate::records::UnitLayout {
            kind: $kind,
            bytes: ::core::mem::size_of::<$state>(),
            free_slots: ::core::mem::offset_of!($state, free_queue.buffer_ptrs),
            slots: <$queue>::SLOTS,
            free_head: ::core::mem::offset_of!($state, free_queue.head),
            free_tail: ::core::mem::offset_of!($state, free_queue.tail),
            current: ::core::mem::offset_of!($state, current_buf_ptr),
            sequence: ::core::mem::offset_of!($state, current_buf_seq),
            total: $total,
            dropped: ::core::mem::offset_of!($state, dropped_record_count),
            mismatched: $mismatched,
            buffer: <$buffer>::LAYOUT,
            buffers: $buffers,
            primed: $primed,
        }
    };
}
pub(super) use crate::unit_layout;

/// Where the queues of a header are.
macro_rules! ready_queues {
    ($header:ident) => {
        impl<const THREADS: usize, const ENTRIES: usize> $header<THREADS, ENTRIES> {
            /// Where its queues are.
            #[allow(clippy::cast_possible_truncation, reason = "small constants")]
            pub const QUEUES: $crate::records::ReadyQueues = $crate::records::ReadyQueues {
                threads: THREADS as u32,
                capacity: ENTRIES as u32,
                heads: ::core::mem::offset_of!(Self, queue_heads),
                tails: ::core::mem::offset_of!(Self, queue_tails),
                header_bytes: ::core::mem::size_of::<Self>(),
            };
        }
    };
}
pub(super) use ready_queues;
