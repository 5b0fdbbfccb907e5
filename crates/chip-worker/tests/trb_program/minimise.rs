//! Makes a failing program smaller.

use super::execute::execute;
use super::plan::{Plan, plan};
use super::program::{Op, Program};

/// A program that still fails at least once in so many attempts, with as few ops as can be found quickly.
pub(crate) fn minimise(program: &Program, attempts: usize) -> (Plan, String) {
    let fails = |program: &Program| {
        let plan = plan(program);
        (0..attempts).find_map(|_| execute(&plan).err()).map(|problem| (plan, problem))
    };
    let mut best = program.clone();
    let mut found = None;
    let mut chunk = count(&best.ops).div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < count(&best.ops) {
            let smaller = Program { ops: without(&best.ops, &mut 0, at, at + chunk), ..best.clone() };
            match fails(&smaller) {
                Some(result) => (best, found) = (smaller, Some(result)),
                None => at += chunk,
            }
        }
        chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
    }
    found.unwrap_or_else(|| (plan(program), "did not happen again".to_owned()))
}

fn count(ops: &[Op]) -> usize {
    ops.iter().map(|op| if let Op::Scope { ops, .. } = op { 1 + count(ops) } else { 1 }).sum()
}

/// The ops but for those numbered `from..to` in the order of the text; what is inside a scope goes with it
/// only if it is in the range.
fn without(ops: &[Op], next: &mut usize, from: usize, to: usize) -> Vec<Op> {
    let mut kept = Vec::new();
    for op in ops {
        let keep = !(from..to).contains(next);
        *next += 1;
        match op {
            Op::Scope { manual, ops } => {
                let ops = without(ops, next, from, to);
                if keep {
                    kept.push(Op::Scope { manual: *manual, ops });
                } else {
                    kept.extend(ops);
                }
            }
            other if keep => kept.push(other.clone()),
            _ => {}
        }
    }
    kept
}
