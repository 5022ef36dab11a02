//! The packed batch that every room after this one works on: no padding, rows one after another.
//!
//! Shape legend used throughout the project: `T` = tokens of all rows together, `S` = number of segments (rows).

use crate::position::Positions;

/// Label of a position that is not trained, as in PyTorch's cross entropy.
pub const IGNORE_INDEX: i64 = -100;

/// One tokenized training row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainRow {
    /// Token ids of prompt and answer.
    pub ids: Vec<u32>,
    /// As long as `ids`; [`IGNORE_INDEX`] where the position is not a target. The shift by one happens in
    /// [`Batch::supervised`], as the official model does it.
    pub labels: Vec<i64>,
    /// Number of leading tokens that belong to the prompt.
    pub context_len: usize,
    /// Where its tokens stand.
    pub positions: Positions,
    /// Where the row came from (0-based row number in its file), for error messages.
    pub source: usize,
}

/// One row inside a packed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First token of the row in the packed arrays.
    pub start: usize,
    /// Number of tokens.
    pub len: usize,
    /// Number of leading tokens that all see one another; 0 where every token sees only those before it.
    pub context_len: usize,
    /// Adapter slot that the row uses; `None` is the bare base.
    pub slot: Option<usize>,
    /// Where the row came from (0-based row number in its file).
    pub source: usize,
}

/// Packed rows: `ids`, `positions` and `labels` are all `[T]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Token ids, `[T]`.
    pub ids: Vec<u32>,
    /// Rotary positions, `[T]`; each row starts at 0 (or at its cache length while decoding).
    pub positions: Vec<u32>,
    /// The second row of positions, `[T]`: 0 but for ChatGLM-6B.
    pub block_positions: Vec<u32>,
    /// Labels, `[T]`, before the shift by one; empty when nothing is trained.
    pub labels: Vec<i64>,
    /// The rows, in order, without gaps.
    pub segments: Vec<Segment>,
}

/// A position whose next token is a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Packed position whose logits are scored.
    pub position: u32,
    /// The token it should predict.
    pub label: u32,
}

impl Batch {
    /// Packs training rows one after another; every row uses adapter `slot`.
    pub fn pack<'a>(rows: impl IntoIterator<Item = &'a TrainRow>, slot: Option<usize>) -> Self {
        let mut batch = Self::default();
        for row in rows {
            batch.push(&row.ids, 0, row.positions, slot, row.source);
            batch.labels.extend_from_slice(&row.labels);
        }
        batch
    }

    /// The rows of several batches one after another, in one batch.
    pub fn join<'a>(batches: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut joined = Self::default();
        for batch in batches {
            let first = joined.ids.len();
            joined.ids.extend_from_slice(&batch.ids);
            joined.positions.extend_from_slice(&batch.positions);
            joined.block_positions.extend_from_slice(&batch.block_positions);
            joined.labels.extend_from_slice(&batch.labels);
            joined.segments.extend(batch.segments.iter().map(|s| Segment { start: first + s.start, ..*s }));
        }
        joined
    }

    /// Appends unlabelled tokens of a sequence whose first `first` ones came earlier (and are in a cache).
    pub fn push(&mut self, ids: &[u32], first: usize, positions: Positions, slot: Option<usize>, source: usize) {
        let start = self.ids.len();
        self.ids.extend_from_slice(ids);
        for i in first..first + ids.len() {
            let [position, block] = positions.at(i);
            self.positions.push(position);
            self.block_positions.push(block);
        }
        let context_len = positions.context_len().saturating_sub(first).min(ids.len());
        self.segments.push(Segment { start, len: ids.len(), context_len, slot, source });
    }

    /// Number of tokens `T`.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the batch holds no tokens.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The supervised positions: within each row, logits at `i` are scored against the label at `i + 1`.
    pub fn supervised(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        if self.labels.is_empty() {
            return targets;
        }
        for segment in &self.segments {
            for i in segment.start..(segment.start + segment.len).saturating_sub(1) {
                let label = self.labels[i + 1];
                if label != IGNORE_INDEX {
                    targets.push(Target { position: i as u32, label: label as u32 });
                }
            }
        }
        targets
    }

    /// Source rows of the batch, for error messages.
    pub fn sources(&self) -> Vec<usize> {
        self.segments.iter().map(|s| s.source).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_shift_inside_a_row_and_never_across_rows() {
        let row = |ids: &[u32], labels: &[i64]| TrainRow {
            ids: ids.to_vec(),
            labels: labels.to_vec(),
            context_len: 1,
            positions: Positions::Linear,
            source: 7,
        };
        let batch = Batch::pack([&row(&[5, 6, 7], &[-100, 6, 7]), &row(&[8, 9], &[8, 9])], Some(0));
        assert_eq!(batch.positions, [0, 1, 2, 0, 1]);
        assert_eq!(batch.segments[1].start, 3);
        let targets: Vec<_> = batch.supervised().iter().map(|t| (t.position, t.label)).collect();
        assert_eq!(targets, [(0, 6), (1, 7), (3, 9)]);
        let apart = [row(&[5, 6, 7], &[-100, 6, 7]), row(&[8, 9], &[8, 9])].map(|row| Batch::pack([&row], Some(0)));
        assert_eq!(Batch::join(&apart), batch);
    }
}
