use std::sync::Mutex;

use task_interface::TensorArgType;
use task_interface::trb::{TaskToken, Tensor};

use crate::sync::lock;

/// A task as it was submitted: what the graph is built from.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "plain data of variants")]
pub struct Submit<'a> {
    /// The task.
    pub task: TaskToken,
    /// Whether only dependencies that it names count.
    pub manual: bool,
    /// Its tensors; nothing is known of one that it allocates.
    pub tensors: &'a [(TensorArgType, Option<Tensor>)],
    /// Dependencies that it names.
    pub explicit: &'a [TaskToken],
    /// Whom it depended on in the run, where that is known.
    pub producers: &'a [TaskToken],
}

/// The submits of a run, in their order.
#[derive(Debug, Default)]
pub struct Submits(Mutex<Store>);

#[derive(Debug, Default)]
struct Store {
    heads: Vec<Head>,
    /// Of all submits, one behind the other.
    tensors: Vec<(TensorArgType, Option<Tensor>)>,
    explicit: Vec<TaskToken>,
    producers: Vec<TaskToken>,
    lost: u64,
}

#[derive(Debug)]
struct Head {
    task: TaskToken,
    manual: bool,
    /// Ends of its parts of the lists.
    tensors: usize,
    explicit: usize,
    producers: usize,
}

impl Submits {
    /// Keeps a submit.
    pub fn submit(&self, submit: &Submit<'_>) {
        let mut store = lock(&self.0);
        store.tensors.extend_from_slice(submit.tensors);
        store.explicit.extend_from_slice(submit.explicit);
        store.producers.extend_from_slice(submit.producers);
        let (tensors, explicit) = (store.tensors.len(), store.explicit.len());
        let producers = store.producers.len();
        store.heads.push(Head { task: submit.task, manual: submit.manual, tensors, explicit, producers });
    }

    /// Says that so many submits are missing: what is there tells no graph then.
    pub fn lose(&self, submits: u64) {
        lock(&self.0).lost += submits;
    }

    /// Submits that are missing.
    pub fn lost(&self) -> u64 {
        lock(&self.0).lost
    }

    /// Gives all submits to `read`, in their order.
    pub fn read<R>(&self, read: impl FnOnce(&mut dyn Iterator<Item = Submit<'_>>) -> R) -> R {
        let store = lock(&self.0);
        let begins = store.heads.iter().map(|head| (head.tensors, head.explicit, head.producers));
        let begins = std::iter::once((0, 0, 0)).chain(begins);
        read(&mut store.heads.iter().zip(begins).map(|(head, (tensors, explicit, producers))| Submit {
            task: head.task,
            manual: head.manual,
            tensors: &store.tensors[tensors..head.tensors],
            explicit: &store.explicit[explicit..head.explicit],
            producers: &store.producers[producers..head.producers],
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submits_come_back_as_they_were_told() {
        let submits = Submits::default();
        let token = |id| TaskToken::new(0, id);
        let tensors = [(TensorArgType::Output, None), (TensorArgType::Output, None)];
        submits.submit(&Submit {
            task: token(1),
            manual: false,
            tensors: &tensors,
            explicit: &[],
            producers: &[],
        });
        submits.submit(&Submit {
            task: token(2),
            manual: true,
            tensors: &tensors[..1],
            explicit: &[token(1), token(0)],
            producers: &[token(1)],
        });
        submits.lose(3);
        let shape = |submit: Submit<'_>| {
            (
                submit.task,
                submit.manual,
                submit.tensors.len(),
                submit.explicit.to_vec(),
                submit.producers.len(),
            )
        };
        let all: Vec<_> = submits.read(|all| all.map(shape).collect());
        assert_eq!(all, [(token(1), false, 2, vec![], 0), (token(2), true, 1, vec![token(1), token(0)], 1)]);
        assert_eq!(submits.lost(), 3);
    }
}
