//! The same question, answered by trying every order of every subset: slow, and plainly right.

use super::Call;

/// Whether some order explains the history.
pub(super) fn is_linearizable(calls: &[Call]) -> bool {
    extend(calls, &mut vec![false; calls.len()], 0)
}

fn extend(calls: &[Call], taken: &mut Vec<bool>, value: u64) -> bool {
    let left = |taken: &[bool]| -> Vec<usize> { (0..calls.len()).filter(|index| !taken[*index]).collect() };
    if left(taken).iter().all(|index| calls[*index].end.is_none()) {
        return true;
    }
    for index in left(taken) {
        let comes_after =
            left(taken).iter().any(|other| calls[*other].end.is_some_and(|end| end < calls[index].begin));
        let Some(after) = calls[index].action.apply(value).filter(|_| !comes_after) else { continue };
        taken[index] = true;
        if extend(calls, taken, after) {
            return true;
        }
        taken[index] = false;
    }
    false
}
