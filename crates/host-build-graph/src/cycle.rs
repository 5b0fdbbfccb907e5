use crate::graph::Links;

/// A cycle of the graph, each task a predecessor of the next and the last one of the first; `None` if there
/// is none.
pub(crate) fn find(links: &Links) -> Option<Vec<u32>> {
    let mut fanin = links.fanin.clone();
    let mut ready: Vec<u32> =
        (0..).zip(&fanin).filter(|&(_, &count)| count == 0).map(|(task, _)| task).collect();
    let mut done = 0;
    while let Some(task) = ready.pop() {
        done += 1;
        for &next in links.successors(task) {
            fanin[next as usize] -= 1;
            if fanin[next as usize] == 0 {
                ready.push(next);
            }
        }
    }
    if done == links.len() { None } else { Some(walk_back(links, &fanin)) }
}

/// Every task left has a predecessor that is left too, so walking back must come around.
fn walk_back(links: &Links, left: &[u32]) -> Vec<u32> {
    let mut predecessor = vec![0u32; links.len()];
    let is_left = |task: u32| left[task as usize] > 0;
    let tasks = u32::try_from(links.len()).unwrap_or(u32::MAX);
    for task in (0..tasks).filter(|&task| is_left(task)) {
        for &next in links.successors(task) {
            predecessor[next as usize] = task;
        }
    }
    let mut position = vec![usize::MAX; links.len()];
    let mut path = Vec::new();
    let mut task = (0..tasks).find(|&task| is_left(task)).unwrap_or(0);
    while position[task as usize] == usize::MAX {
        position[task as usize] = path.len();
        path.push(task);
        task = predecessor[task as usize];
    }
    let mut cycle = path.split_off(position[task as usize]);
    cycle.reverse();
    // From its smallest task on, so that the same cycle always reads the same.
    let smallest = (0..cycle.len()).min_by_key(|&index| cycle[index]).unwrap_or(0);
    cycle.rotate_left(smallest);
    cycle
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use task_interface::CoreType;

    use crate::error::GraphError;
    use crate::graph::Graph;

    fn cycle_of(tasks: u32, edges: &[(u32, u32)]) -> Option<Vec<u64>> {
        let mut graph = Graph::default();
        for _ in 0..tasks {
            graph.add_task(&[], 0, CoreType::Aiv).unwrap();
        }
        edges.iter().for_each(|&(from, to)| graph.add_edge(from, to));
        match graph.link() {
            Ok(_) => None,
            Err(GraphError::Cycle { cycle }) => Some(cycle.into_iter().map(|task| task.0).collect()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn cycles_are_named_and_backward_edges_alone_are_fine() {
        assert_eq!(cycle_of(3, &[(0, 1), (1, 2)]), None);
        assert_eq!(cycle_of(3, &[(2, 1), (1, 0)]), None);
        assert_eq!(cycle_of(2, &[(1, 1)]), Some(vec![1]));
        assert_eq!(cycle_of(6, &[(0, 1), (1, 3), (3, 4), (4, 1), (4, 5)]), Some(vec![1, 3, 4]));
    }

    proptest! {
        #[test]
        fn a_reported_cycle_exists_and_none_is_missed(
            edges in proptest::collection::vec((0u32..12, 0u32..12), 0..24)
        ) {
            let reaches = |from: u32, to: u32| {
                let (mut seen, mut todo) = (vec![false; 12], vec![from]);
                while let Some(task) = todo.pop() {
                    for &(_, next) in edges.iter().filter(|&&(a, _)| a == task) {
                        if !std::mem::replace(&mut seen[next as usize], true) {
                            todo.push(next);
                        }
                    }
                }
                seen[to as usize]
            };
            let cyclic = (0..12).any(|task| reaches(task, task));
            match cycle_of(12, &edges) {
                None => prop_assert!(!cyclic),
                Some(cycle) => {
                    for (index, &task) in cycle.iter().enumerate() {
                        let next = cycle[(index + 1) % cycle.len()];
                        prop_assert!(edges.iter().any(|&(a, b)| (u64::from(a), u64::from(b)) == (task, next)));
                    }
                }
            }
        }
    }
}
