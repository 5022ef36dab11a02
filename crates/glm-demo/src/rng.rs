//! Choices for the corpus, drawn from the project's one source of random numbers.

/// A stream of choices.
#[derive(Debug, Clone)]
pub struct Rng(glm_data::Rng);

impl Rng {
    /// The stream `stream` of a seed; different streams are independent.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(glm_data::Rng::with_stream(seed, stream))
    }

    /// A number in `0..bound`; `bound` must be at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound as u64) as usize
    }

    /// True in `percent` of 100 calls.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, which must not be empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// An index of `weights` with probability weight / sum; the sum must be positive.
    pub fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (i, &weight) in weights.iter().enumerate() {
            if left < weight {
                return i;
            }
            left -= weight;
        }
        weights.len() - 1
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |seed, stream| Rng::new(seed, stream).below(1 << 40);
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn weights_set_the_shares() {
        let mut rng = Rng::new(1, 0);
        let mut seen = [0usize; 3];
        for _ in 0..10_000 {
            seen[rng.weighted(&[70, 0, 30])] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!((6_700..7_300).contains(&seen[0]), "{seen:?}");
    }
}
