//! Which rows may hold keys and values.

use glm_infer::Load;

/// What must be done so that the rows in progress fit.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// All that run fit.
    Fits,
    /// A row must give up its keys and values.
    Pause(usize),
    /// A paused row may go on.
    Resume(usize),
}

/// Bytes that the rows will hold when all that they have to read is read.
pub fn needed(loads: &[Load], bytes: impl Fn(usize) -> usize) -> usize {
    loads.iter().filter(|load| !load.paused).map(|load| bytes(load.cached + load.pending)).sum()
}

/// The next step towards rows that fit into `budget`: the last one that came is paused first and the first one goes on first.
/// One row always runs. `bytes(tokens)` are those of a row.
pub fn next_step(loads: &[Load], budget: usize, bytes: impl Fn(usize) -> usize) -> Step {
    let running = loads.iter().filter(|load| !load.paused).count();
    let needed = needed(loads, &bytes);
    if needed > budget && running > 1 {
        return loads.iter().rev().find(|load| !load.paused).map_or(Step::Fits, |load| Step::Pause(load.index));
    }
    let Some(first) = loads.iter().find(|load| load.paused) else { return Step::Fits };
    // Every row may take one more block before this one would have to be paused again.
    let more = bytes(first.pending + 1) + (running + 1) * bytes(1);
    if running == 0 || needed + more <= budget { Step::Resume(first.index) } else { Step::Fits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(index: usize, paused: bool, pending: usize, cached: usize) -> Load {
        Load { index, paused, pending, cached }
    }

    #[test]
    fn the_last_row_gives_way_and_the_first_comes_back() {
        let bytes = |tokens: usize| tokens.next_multiple_of(4);
        let rows = [load(5, false, 1, 20), load(3, false, 1, 7), load(9, false, 10, 0)];
        assert_eq!(needed(&rows, bytes), 24 + 8 + 12);
        assert_eq!(next_step(&rows, 44, bytes), Step::Fits);
        assert_eq!(next_step(&rows, 43, bytes), Step::Pause(9));
        let paused = [load(5, false, 1, 20), load(3, true, 8, 0), load(9, true, 10, 0)];
        assert_eq!(next_step(&paused, 23, bytes), Step::Fits, "the only one runs, whatever it needs");
        assert_eq!(next_step(&paused, 43, bytes), Step::Fits, "no room for a block of each beside it");
        assert_eq!(next_step(&paused, 44, bytes), Step::Resume(3));
        assert_eq!(next_step(&paused[1..], 1, bytes), Step::Resume(3), "one always runs");
        assert_eq!(next_step(&[], 0, bytes), Step::Fits);
    }
}
