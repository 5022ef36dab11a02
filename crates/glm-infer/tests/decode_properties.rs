//! Laws that hold for any logits and settings.

use glm_infer::GenerationConfig;
use glm_infer::decode::{distribution, sample, softmax, top_k, top_p};
use proptest::prelude::*;

/// Logits on a coarse grid, so that ties are common.
fn coarse_row() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec((-20i8..20).prop_map(|n| f32::from(n) / 4.0), 1..60)
}

/// Logits without ties, as the law on permutations needs.
fn distinct_row() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::btree_set(-4000i16..4000, 1..60)
        .prop_map(|set| set.into_iter().map(|n| f32::from(n) / 400.0).collect::<Vec<_>>())
        .prop_shuffle()
}

fn settings() -> impl Strategy<Value = GenerationConfig> {
    (0.1f32..3.0, 0usize..70, 0.0f32..=1.0, 0.5f32..2.0).prop_map(|(temperature, top_k, top_p, repetition_penalty)| {
        GenerationConfig { temperature, top_k, top_p, repetition_penalty, ..GenerationConfig::default() }
    })
}

fn kept(row: &[f32]) -> usize {
    row.iter().filter(|&&logit| logit > f32::NEG_INFINITY).count()
}

proptest! {
    #[test]
    fn masses_sum_to_one(row in coarse_row(), config in settings(), context in prop::collection::vec(any::<prop::sample::Index>(), 0..9)) {
        let context: Vec<u32> = context.iter().map(|index| index.index(row.len()) as u32).collect();
        let found = distribution(&row, &context, 0, &config).expect("finite logits");
        prop_assert!(!found.is_empty());
        prop_assert!(found.iter().all(|(id, p)| *p >= 0.0 && (*id as usize) < row.len()));
        prop_assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let total: f64 = found.iter().map(|(_, p)| f64::from(*p)).sum();
        prop_assert!((total - 1.0).abs() < 1e-5, "{}", total);
    }

    #[test]
    fn top_k_keeps_exactly_the_tokens_that_fewer_than_k_exceed(row in coarse_row(), k in 1usize..70) {
        let mut filtered = row.clone();
        top_k(&mut filtered, k);
        for (before, after) in row.iter().zip(&filtered) {
            let better = row.iter().filter(|other| *other > before).count();
            prop_assert_eq!(*after, if better < k { *before } else { f32::NEG_INFINITY });
        }
    }

    #[test]
    fn top_p_keeps_the_smallest_best_set_that_exceeds_p(row in coarse_row(), p in 0.0f32..1.0) {
        let mut filtered = row.clone();
        top_p(&mut filtered, p);
        prop_assert!(kept(&filtered) >= 1);
        let least = filtered.iter().copied().filter(|l| *l > f32::NEG_INFINITY).fold(f32::INFINITY, f32::min);
        prop_assert!(row.iter().zip(&filtered).all(|(before, after)| *after == *before || *before <= least));
        // Mass of all kept tokens reaches p; without the least of them it falls short.
        let probabilities = softmax(&row);
        let mass: f64 = filtered.iter().zip(&probabilities).filter(|(l, _)| **l > f32::NEG_INFINITY).map(|(_, p)| f64::from(*p)).sum();
        let last = f64::from(softmax(&row)[filtered.iter().position(|l| *l == least).expect("kept")]);
        prop_assert!(mass >= f64::from(p) - 1e-5, "{} {}", mass, p);
        prop_assert!(kept(&filtered) == 1 || mass - last <= f64::from(p) + 1e-5, "{} {} {}", mass, last, p);
    }

    #[test]
    fn the_order_of_the_vocabulary_does_not_matter((row, order) in distinct_row().prop_flat_map(|row| {
        let order: Vec<usize> = (0..row.len()).collect();
        (Just(row), Just(order).prop_shuffle())
    }), config in settings()) {
        let config = GenerationConfig { repetition_penalty: 1.0, ..config };
        let permuted: Vec<f32> = order.iter().map(|&from| row[from]).collect();
        let plain = distribution(&row, &[], 0, &config).expect("finite logits");
        let mut found: Vec<(u32, f32)> = distribution(&permuted, &[], 0, &config)
            .expect("finite logits")
            .into_iter()
            .map(|(id, p)| (order[id as usize] as u32, p))
            .collect();
        found.sort_by_key(|(id, _)| *id);
        prop_assert_eq!(plain.len(), found.len());
        for (a, b) in plain.iter().zip(&found) {
            prop_assert!(a.0 == b.0 && (a.1 - b.1).abs() < 1e-6, "{:?} {:?}", a, b);
        }
    }

    #[test]
    fn a_draw_is_always_a_possible_token(row in coarse_row(), config in settings(), bits in any::<u64>()) {
        let possible = distribution(&row, &[], 0, &config).expect("finite logits");
        let id = sample(&possible, &mut || bits).expect("something is possible");
        prop_assert!(possible.iter().any(|(other, p)| *other == id && *p > 0.0));
    }
}

#[test]
fn draws_follow_the_distribution() {
    let probabilities = [(3, 0.5), (5, 0.3), (8, 0.2)];
    let draws = 100_000u64;
    let mut counts = [0.0f64; 9];
    for n in 0..draws {
        // Evenly spaced bits: the counts must be exact to one.
        let id = sample(&probabilities, &mut || n * (u64::MAX / draws)).expect("a token");
        counts[id as usize] += 1.0;
    }
    for (id, p) in probabilities {
        let expected = f64::from(p) * draws as f64;
        assert!(
            (counts[id as usize] - expected).abs() <= 2.0,
            "token {id}: {}, expected {expected}",
            counts[id as usize]
        );
    }
}
