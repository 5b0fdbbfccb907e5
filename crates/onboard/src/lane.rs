use std::sync::Mutex;
use std::time::Duration;

use hal_sys::{Code, Hal, HalError, Stream};

use crate::sync::lock;

/// A stream, and whether it may be waited for.
#[derive(Debug)]
pub(crate) struct Lane {
    stream: Stream,
    state: Mutex<LaneState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaneState {
    /// Nothing is on it.
    Idle,
    /// Work is on it that was not seen to end.
    Busy,
    /// It has reported this error. Waiting for it again would wedge the device; only its destruction sees the end.
    Failed(Option<Code>),
}

impl Lane {
    pub(crate) fn create(hal: &Hal) -> Result<Self, HalError> {
        Ok(Self { stream: hal.stream_create()?, state: Mutex::new(LaneState::Idle) })
    }

    /// Hands the stream to a launch; if that goes well, there is work on it.
    pub(crate) fn enqueue(
        &self,
        launch: impl FnOnce(&Stream) -> Result<(), HalError>,
    ) -> Result<(), HalError> {
        launch(&self.stream)?;
        *lock(&self.state) = LaneState::Busy;
        Ok(())
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Waits until nothing is on it, so long at the most.
    ///
    /// An error is returned once only. After that of the time limit, there still is work on it.
    pub(crate) fn drain(&self, hal: &Hal, limit: Duration) -> Result<(), HalError> {
        let mut state = lock(&self.state);
        if *state != LaneState::Busy {
            return Ok(());
        }
        let result = hal.stream_synchronize_within(&self.stream, limit);
        match &result {
            Ok(()) => *state = LaneState::Idle,
            Err(error) if is_timeout(error) => {}
            Err(error) => *state = LaneState::Failed(error.code()),
        }
        result
    }

    /// Whether nothing is on it for sure.
    pub(crate) fn is_idle(&self) -> bool {
        *lock(&self.state) == LaneState::Idle
    }

    /// Whether it has reported that a program on the AICPU ended with an error.
    pub(crate) fn has_aicpu_exception(&self) -> bool {
        *lock(&self.state) == LaneState::Failed(Some(AICPU_EXCEPTION))
    }

    /// Whether work is on it that was not seen to end.
    pub(crate) fn is_busy(&self) -> bool {
        *lock(&self.state) == LaneState::Busy
    }

    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }
}

/// What a stream reports whose AICPU function did not return 0, among other things.
const AICPU_EXCEPTION: Code = Code::acl(507_018);

/// Number of the code that says so.
const STREAM_SYNC_TIMEOUT: i32 = 507_046;

/// Whether a wait has ended because of its limit only.
pub(crate) fn is_timeout(error: &HalError) -> bool {
    error.code().is_some_and(|code| code.number() == STREAM_SYNC_TIMEOUT)
}
