//! Lengths in tokens.

use serde::Serialize;

use crate::preprocess::Lengths;

/// Lengths of prompts or of answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LengthReport {
    /// Percentiles and the greatest length.
    pub lengths: Lengths,
    /// The limit that was asked for.
    pub limit: usize,
    /// Samples that the limit cuts.
    pub cut: usize,
    /// Samples.
    pub samples: usize,
    /// Samples by length; every length belongs to one bucket, and the last bucket is not empty.
    pub buckets: Vec<Bucket>,
}

impl LengthReport {
    /// Share of the samples that is cut, 0 to 100.
    pub fn cut_percent(&self) -> f64 {
        100.0 * self.cut as f64 / self.samples.max(1) as f64
    }
}

/// Samples of `from` to `to` tokens, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Fewest tokens.
    pub from: usize,
    /// Most tokens.
    pub to: usize,
    /// Samples.
    pub count: usize,
}

#[derive(Debug, Default)]
pub(super) struct Histogram {
    lengths: Vec<usize>,
    cut: usize,
}

impl Histogram {
    pub(super) fn add(&mut self, length: usize, is_cut: bool) {
        self.lengths.push(length);
        self.cut += usize::from(is_cut);
    }

    pub(super) fn finish(self, limit: usize) -> LengthReport {
        let mut buckets: Vec<Bucket> = Vec::new();
        for &length in &self.lengths {
            // 0 to 7, 8 to 15, and from there twice as wide each time.
            let index = (length >> 3).checked_ilog2().map_or(0, |log| log as usize + 1);
            while buckets.len() <= index {
                let from = buckets.last().map_or(0, |last| last.to + 1);
                buckets.push(Bucket { from, to: (from * 2).max(8) - 1, count: 0 });
            }
            buckets[index].count += 1;
        }
        let samples = self.lengths.len();
        LengthReport { lengths: Lengths::of(self.lengths), limit, cut: self.cut, samples, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_in_the_bucket_that_names_it() {
        let mut histogram = Histogram::default();
        let lengths = [0, 7, 8, 15, 16, 31, 32, 1000];
        lengths.iter().for_each(|&length| histogram.add(length, length > 31));
        let report = histogram.finish(31);
        for bucket in &report.buckets {
            let inside = lengths.iter().filter(|&&length| (bucket.from..=bucket.to).contains(&length)).count();
            assert_eq!(bucket.count, inside, "{bucket:?}");
        }
        let ends: Vec<_> = report.buckets.iter().map(|bucket| (bucket.from, bucket.to)).collect();
        assert_eq!(ends[..4], [(0, 7), (8, 15), (16, 31), (32, 63)]);
        assert_eq!((report.cut, report.samples, report.lengths.max), (2, 8, 1000));
        assert!((report.cut_percent() - 25.0).abs() < 1e-9);
    }
}
