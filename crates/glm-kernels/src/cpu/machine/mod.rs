//! What the machine has, and how fast it is at its best: the measure that kernels are held against.

mod allocator;
mod bandwidth;
mod features;
mod peak;

pub use allocator::keep_freed_memory;
pub use bandwidth::read_bandwidth;
pub use features::features;
pub use peak::{bf16_peak, f32_peak, int8_peak};

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_measured_is_more_than_nothing() {
        let time = Duration::from_millis(5);
        assert!(f32_peak(time) > 1e6);
        assert!(read_bandwidth(1 << 20, 2) > 1e6);
        assert_eq!(bf16_peak(time).is_some(), features().contains(&("AVX512_BF16", true)));
        assert!(bf16_peak(time).is_none_or(|peak| peak > 1e6));
        assert_eq!(int8_peak(time).is_some(), features().contains(&("AVX512_VNNI", true)));
        assert!(int8_peak(time).is_none_or(|peak| peak > 1e6));
    }

    #[test]
    fn features_have_names_of_their_own() {
        let mut names: Vec<_> = features().into_iter().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
