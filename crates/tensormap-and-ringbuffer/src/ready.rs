use std::collections::VecDeque;

use task_interface::trb::{ResourceShape, TaskToken};

/// Tasks that wait for cores only, by the cores they need.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueues {
    aic: VecDeque<TaskToken>,
    aiv: VecDeque<TaskToken>,
    mix: VecDeque<TaskToken>,
}

/// Shapes that need cores, in the order in which they are looked at.
pub(crate) const SHAPES: [ResourceShape; 3] = [ResourceShape::Mix, ResourceShape::Aic, ResourceShape::Aiv];

impl ReadyQueues {
    fn queue(&self, shape: ResourceShape) -> Option<&VecDeque<TaskToken>> {
        match shape {
            ResourceShape::Aic => Some(&self.aic),
            ResourceShape::Aiv => Some(&self.aiv),
            ResourceShape::Mix => Some(&self.mix),
            ResourceShape::Dummy => None,
        }
    }

    fn queue_mut(&mut self, shape: ResourceShape) -> Option<&mut VecDeque<TaskToken>> {
        match shape {
            ResourceShape::Aic => Some(&mut self.aic),
            ResourceShape::Aiv => Some(&mut self.aiv),
            ResourceShape::Mix => Some(&mut self.mix),
            ResourceShape::Dummy => None,
        }
    }

    pub(crate) fn push(&mut self, shape: ResourceShape, task: TaskToken) {
        if let Some(queue) = self.queue_mut(shape) {
            queue.push_back(task);
        }
    }

    pub(crate) fn clear(&mut self) {
        for queue in [&mut self.aic, &mut self.aiv, &mut self.mix] {
            queue.clear();
        }
    }

    pub(crate) fn front(&self, shape: ResourceShape) -> Option<TaskToken> {
        self.queue(shape)?.front().copied()
    }

    pub(crate) fn pop(&mut self, shape: ResourceShape) {
        if let Some(queue) = self.queue_mut(shape) {
            queue.pop_front();
        }
    }
}
