//! Single elements of tensors, for orchestrations that read and write them (`spec/public-abi.md`, section D.5).

use std::sync::Arc;

use task_interface::TensorArgType;
use task_interface::trb::{Tensor, TrbErrorCode};

use super::{Orchestrator, derive};
use crate::gm;

impl Orchestrator<'_> {
    /// Reads one element once all writers have ended.
    pub(crate) fn get_tensor_data(&mut self, tensor: &Tensor, indices: &[u32]) -> u64 {
        match self.await_element(tensor, indices, false) {
            // SAFETY: the orchestration vouches for the tensor, whose writers have ended.
            Some((address, bytes)) => unsafe { gm::read_element(address, bytes) },
            None => 0,
        }
    }

    /// Writes one element once all writers, and all their readers, have ended.
    pub(crate) fn set_tensor_data(&mut self, tensor: &Tensor, indices: &[u32], value: u64) {
        if let Some((address, bytes)) = self.await_element(tensor, indices, true) {
            // SAFETY: the orchestration vouches for the tensor, which nobody uses now.
            unsafe { gm::write_element(address, bytes, value) };
        }
    }

    fn await_element(&mut self, tensor: &Tensor, indices: &[u32], readers_too: bool) -> Option<(u64, usize)> {
        if tensor.buffer_addr == 0 {
            log::error!("tensor data was asked for at address 0");
            return None;
        }
        let (bytes, address) = match (tensor.dtype(), tensor.element_address(indices)) {
            (Ok(dtype), Ok(address)) => (dtype.element_size(), address),
            (Err(error), _) | (_, Err(error)) => {
                self.fail(TrbErrorCode::InvalidArgs, format!("tensor data: {error}"));
                return None;
            }
        };
        loop {
            let seen = self.call_chip(|chip| chip.progress());
            if self.is_settled(tensor, readers_too) {
                return Some((address, bytes));
            }
            let progressed = self.wait_beyond(seen);
            if self.is_fatal() {
                return None;
            }
            if !progressed && !self.is_settled(tensor, readers_too) {
                let message = "tensor data is waited for, but nothing that runs can write it";
                self.fail(TrbErrorCode::TensorWaitTimeout, message);
                return None;
            }
        }
    }

    fn is_settled(&mut self, tensor: &Tensor, readers_too: bool) -> bool {
        self.producers.clear();
        self.covered.clear();
        let shared = Arc::clone(&self.shared);
        let state = self.clock.lock(&shared);
        derive(&state, TensorArgType::Input, tensor, &mut self.producers, &mut self.covered);
        let writers = || self.producers.iter().filter_map(|&producer| state.task(producer));
        let settled = writers().all(|task| task.completed && (!readers_too || task.consumers_left == 0));
        if settled {
            let ends = writers().map(|task| task.ended_at);
            let ended = ends.chain([state.past.writers_of(tensor.buffer_addr)]).max();
            self.clock.advance_to(ended.unwrap_or_default());
        }
        settled
    }
}
