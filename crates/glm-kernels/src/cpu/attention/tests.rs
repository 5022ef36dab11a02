use super::*;
use proptest::prelude::*;

fn wave(n: usize, phase: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.731 + phase).sin()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    #[test]
    fn packed_attention_equals_the_scalar_twin(
        groups in 1usize..3, per_group in 1usize..4, half in 1usize..9,
        lens in proptest::collection::vec(1usize..150, 1..4), prefix_rows in 0usize..6, cached in 0usize..4,
        context in 0usize..160,
    ) {
        let shape = Shape { heads: groups * per_group, groups, head_dim: half * 2 };
        let tokens: usize = lens.iter().sum();
        let qkv = wave(tokens * shape.fused(), 0.2);
        let prefix = wave(prefix_rows * shape.key_value(), 0.4);
        let cache = wave(cached * shape.key_value(), 0.6);
        let mut start = 0;
        let sequences: Vec<_> = lens.iter().enumerate().map(|(i, &len)| {
            start += len;
            let prefix = if i % 2 == 0 { 0..prefix_rows } else { 0..0 };
            // One causal sequence, then some with a context, which may end before, at or behind the last row.
            let context = if i == 1 { 0 } else { context };
            Sequence { start: start - len, len, context, prefix, cache: if i == 0 { &cache } else { &[] } }
        }).collect();
        let (mut found, mut expected) = (vec![0.0; tokens * shape.out()], vec![0.0; tokens * shape.out()]);
        forward(shape, &qkv, &prefix, &sequences, &mut found);
        scalar::forward(shape, &qkv, &prefix, &sequences, &mut expected);
        for (a, b) in found.iter().zip(&expected) {
            prop_assert!((a - b).abs() < 2e-5, "{a} {b}");
        }
    }
}

/// Central differences of `Σ c · out` in f64 sums over the scalar twin.
#[test]
fn gradients_equal_finite_differences() {
    let shape = Shape { heads: 4, groups: 2, head_dim: 4 };
    let sequences = [
        Sequence { start: 0, len: 3, context: 2, prefix: 0..2, cache: &[] },
        Sequence { start: 3, len: 2, context: 0, prefix: 0..2, cache: &[] },
        Sequence { start: 5, len: 2, context: 2, prefix: 2..2, cache: &[] },
    ];
    let (qkv, prefix) = (wave(7 * shape.fused(), 0.1), wave(2 * shape.key_value(), 0.9));
    let coefficients = wave(7 * shape.out(), 0.5);
    let (mut dqkv, mut dprefix) = (vec![0.0; qkv.len()], vec![0.0; prefix.len()]);
    backward(shape, &qkv, &prefix, &sequences, &coefficients, &mut dqkv, &mut dprefix);
    let objective = |qkv: &[f32], prefix: &[f32]| -> f64 {
        let mut out = vec![0.0; 7 * shape.out()];
        scalar::forward(shape, qkv, prefix, &sequences, &mut out);
        out.iter().zip(&coefficients).map(|(o, c)| f64::from(*o) * f64::from(*c)).sum()
    };
    let h = 1e-2f32;
    let shifted = |values: &[f32], i: usize, by: f32| {
        let mut values = values.to_vec();
        values[i] += by;
        values
    };
    for i in (0..qkv.len()).step_by(3) {
        let d = objective(&shifted(&qkv, i, h), &prefix) - objective(&shifted(&qkv, i, -h), &prefix);
        let d = d / (2.0 * f64::from(h));
        assert!((d - f64::from(dqkv[i])).abs() < 2e-4, "qkv {i}: {d} {}", dqkv[i]);
    }
    for (i, found) in dprefix.iter().enumerate() {
        let d = objective(&qkv, &shifted(&prefix, i, h)) - objective(&qkv, &shifted(&prefix, i, -h));
        let d = d / (2.0 * f64::from(h));
        assert!((d - f64::from(*found)).abs() < 2e-4, "prefix {i}: {d} {found}");
    }
}

/// One new query over long caches, of groups with few heads and with many.
#[test]
fn one_query_over_a_cache_equals_the_scalar_twin() {
    for (heads, groups) in [(4, 4), (8, 2), (16, 2)] {
        let shape = Shape { heads, groups, head_dim: 24 };
        let (qkv, prefix) = (wave(2 * shape.fused(), 0.2), wave(5 * shape.key_value(), 0.4));
        let cache = wave(301 * shape.key_value(), 0.6);
        let sequences = [
            Sequence { start: 0, len: 1, context: 0, prefix: 1..5, cache: &cache },
            Sequence { start: 1, len: 1, context: 3, prefix: 0..0, cache: &cache[..7 * shape.key_value()] },
        ];
        let (mut found, mut expected) = (vec![9.0; 2 * shape.out()], vec![0.0; 2 * shape.out()]);
        forward(shape, &qkv, &prefix, &sequences, &mut found);
        scalar::forward(shape, &qkv, &prefix, &sequences, &mut expected);
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 2e-6, "{a} {b}");
        }
    }
}

/// Sequences of several blocks, in one task and in several, with a row between them that belongs to none.
#[test]
fn gradients_of_long_sequences_equal_finite_differences() {
    for (heads, groups) in [(16, 16), (2, 1), (48, 1)] {
        let shape = Shape { heads, groups, head_dim: 2 };
        let (tokens, prefix_rows) = (152, 4);
        let sequences = [
            Sequence { start: 0, len: 138, context: 0, prefix: 0..4, cache: &[] },
            Sequence { start: 139, len: 13, context: 7, prefix: 1..3, cache: &[] },
        ];
        let (qkv, prefix) = (wave(tokens * shape.fused(), 0.1), wave(prefix_rows * shape.key_value(), 0.9));
        let coefficients = wave(tokens * shape.out(), 0.5);
        let (mut dqkv, mut dprefix) = (vec![f32::NAN; qkv.len()], vec![f32::NAN; prefix.len()]);
        backward(shape, &qkv, &prefix, &sequences, &coefficients, &mut dqkv, &mut dprefix);
        assert!(dqkv[138 * shape.fused()..139 * shape.fused()].iter().all(|d| *d == 0.0));
        let objective = |qkv: &[f32], prefix: &[f32]| -> f64 {
            let mut out = vec![0.0; tokens * shape.out()];
            scalar::forward(shape, qkv, prefix, &sequences, &mut out);
            out.iter().zip(&coefficients).map(|(o, c)| f64::from(*o) * f64::from(*c)).sum()
        };
        let both: Vec<f32> = qkv.iter().chain(&prefix).copied().collect();
        let found: Vec<f32> = dqkv.iter().chain(&dprefix).copied().collect();
        let h = 1e-2f32;
        for i in (0..both.len()).step_by(both.len() / 60) {
            let shifted = |by: f32| {
                let mut values = both.clone();
                values[i] += by;
                objective(&values[..qkv.len()], &values[qkv.len()..])
            };
            let d = (shifted(h) - shifted(-h)) / (2.0 * f64::from(h));
            let error = (d - f64::from(found[i])).abs();
            assert!(error < 3e-4 * (1.0 + d.abs()), "{heads} heads, {groups} groups, {i}: {d} {}", found[i]);
        }
    }
}
