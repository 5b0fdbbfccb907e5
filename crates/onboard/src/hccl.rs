use std::sync::Arc;
use std::time::Duration;

use hal_sys::{Communicator, HalError, RootInfo};

use crate::error::OnboardError;
use crate::inner::Inner;
use crate::lane::Lane;

/// The communicator of HCCL with what it needs: AscendCL, and a stream for its barriers. Given back when dropped.
pub(crate) struct Hccl {
    inner: Arc<Inner>,
    communicator: Option<Communicator>,
    lane: Option<Lane>,
}

impl Hccl {
    /// Starts AscendCL and makes the stream.
    pub(crate) fn start(inner: &Arc<Inner>) -> Result<Self, OnboardError> {
        inner.attach()?;
        match inner.hal.acl_init() {
            Err(error) if !is_running(&error) => return Err(error.into()),
            // Also a start where it runs already: each is taken back.
            _ => {}
        }
        let mut hccl = Self { inner: Arc::clone(inner), communicator: None, lane: None };
        hccl.lane = Some(Lane::create(&inner.hal)?);
        Ok(hccl)
    }

    /// Joins the communicator, and waits until all ranks have.
    pub(crate) fn join(&mut self, ranks: u32, root: &RootInfo, rank: u32) -> Result<(), OnboardError> {
        self.inner.attach()?;
        let joined = self.inner.hal.hccl_init(ranks, root, rank);
        self.inner.attach_again()?;
        self.communicator = Some(joined?);
        Ok(())
    }

    /// Has the devices of all ranks meet, and waits for that.
    pub(crate) fn barrier(&self, limit: Duration) -> Result<(), OnboardError> {
        let (Some(communicator), Some(lane)) = (&self.communicator, &self.lane) else {
            return Err(OnboardError::BarrierBroken);
        };
        self.inner.attach()?;
        let enqueued = lane.enqueue(|stream| self.inner.hal.hccl_barrier(communicator, stream));
        self.inner.attach_again()?;
        enqueued?;
        Ok(lane.drain(&self.inner.hal, limit)?)
    }
}

/// AscendCL says so when it was started before.
fn is_running(error: &HalError) -> bool {
    error.code().is_some_and(|code| code.number() == 100_002)
}

impl Drop for Hccl {
    fn drop(&mut self) {
        let hal = &self.inner.hal;
        if let Some(communicator) = self.communicator.take() {
            self.inner.give_back_or_log("the communicator of HCCL", || hal.hccl_destroy(communicator));
        }
        if let Some(lane) = self.lane.take() {
            self.inner.give_back_or_log("the stream of barriers", || hal.stream_destroy(lane.into_stream()));
        }
        self.inner.give_back_or_log("AscendCL", || hal.acl_finalize());
    }
}
