//! The order in which rows are trained.

use crate::rng::Rng;

/// The order of `n` rows in `epoch` (from 0): a permutation that depends on nothing but the three arguments, so that a
/// resumed run continues it without having to replay earlier epochs. Fisher–Yates with [`Rng`].
pub fn epoch_order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = Rng::with_stream(seed, epoch);
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, rng.below(i as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::epoch_order;

    #[test]
    fn orders_are_permutations_that_differ_by_seed_and_epoch() {
        for n in [0, 1, 2, 97] {
            let mut sorted = epoch_order(n, 42, 3);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<_>>());
        }
        assert_eq!(epoch_order(97, 42, 3), epoch_order(97, 42, 3));
        assert_ne!(epoch_order(97, 42, 3), epoch_order(97, 42, 4));
        assert_ne!(epoch_order(97, 42, 3), epoch_order(97, 43, 3));
    }

    #[test]
    fn the_order_of_a_seed_never_changes() {
        // Written down once: a change here would break the resumption of every saved run.
        assert_eq!(epoch_order(8, 42, 0), [4, 1, 3, 6, 2, 7, 0, 5]);
    }
}
