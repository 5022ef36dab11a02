//! Decoding on cases that can be worked out by hand.

use glm_infer::GenerationConfig;
use glm_infer::decode::{
    DecodeError, Stage, argmax, check, distribution, next_token, repetition_penalty, sample, softmax, top_k, top_p,
};

const OUT: f32 = f32::NEG_INFINITY;

fn config() -> GenerationConfig {
    GenerationConfig { temperature: 1.0, top_k: 0, top_p: 1.0, ..GenerationConfig::default() }
}

/// Logits whose softmax is `probabilities`.
fn logits(probabilities: &[f32]) -> Vec<f32> {
    probabilities.iter().map(|p| p.ln()).collect()
}

fn assert_distribution(found: &[(u32, f32)], expected: &[(u32, f32)]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.0 == expected.0 && (found.1 - expected.1).abs() < 1e-6, "{found:?}, expected {expected:?}");
    }
}

#[test]
fn repetition_penalty_counts_a_token_once() {
    let mut row = [2.0, -2.0, 3.0, 0.0];
    repetition_penalty(&mut row, &[0, 1, 0, 3, 1], 2.0).expect("ids are inside");
    assert_eq!(row, [1.0, -4.0, 3.0, 0.0]);
    assert_eq!(repetition_penalty(&mut row, &[4], 2.0), Err(DecodeError::OutsideVocabulary { id: 4, vocabulary: 4 }));
}

#[test]
fn top_k_keeps_ties() {
    let mut row = [1.0, 3.0, 2.0, 2.0, 0.5];
    top_k(&mut row, 2);
    assert_eq!(row, [OUT, 3.0, 2.0, 2.0, OUT]);
    let mut row = [0.0, -0.0, -1.0];
    top_k(&mut row, 1);
    assert_eq!(row, [0.0, -0.0, OUT]);
    for k in [0, 3, 9] {
        let mut row = [1.0, 2.0, 3.0];
        top_k(&mut row, k);
        assert_eq!(row, [1.0, 2.0, 3.0]);
    }
}

#[test]
fn top_p_drops_the_tail_up_to_and_including_one_minus_p() {
    let row = logits(&[0.1, 0.4, 0.2, 0.3]);
    let kept = |p| {
        let mut row = row.clone();
        top_p(&mut row, p);
        row.iter().map(|&logit| logit > OUT).collect::<Vec<_>>()
    };
    assert_eq!(kept(0.95), [true, true, true, true]);
    assert_eq!(kept(0.85), [false, true, true, true]);
    assert_eq!(kept(0.65), [false, true, false, true]);
    assert_eq!(kept(0.35), [false, true, false, false]);
    assert_eq!(kept(0.0), [false, true, false, false]);
    // Two equal halves: the first is dropped at exactly 1 - p, the second never.
    let mut row = [1.0, 1.0];
    top_p(&mut row, 0.5);
    assert_eq!(row, [OUT, 1.0]);
}

#[test]
fn the_steps_run_in_the_official_order() {
    // Penalty 2 turns the logit 2 ln 8 of token 3 into ln 8. Temperature 0.5 squares the ratios: 1, 4, 16, 64. Top-k keeps
    // 4, 16, 64 of 84. Top-p 0.9 drops 4/84, which is at most 0.1; 20/84 is above.
    let row = [0.0, 2.0f32.ln(), 4.0f32.ln(), 2.0 * 8.0f32.ln()];
    let config = GenerationConfig {
        repetition_penalty: 2.0,
        temperature: 0.5,
        top_k: 3,
        top_p: 0.9,
        ..GenerationConfig::default()
    };
    let found = distribution(&row, &[3, 3], 0, &config).expect("a distribution");
    assert_distribution(&found, &[(2, 0.2), (3, 0.8)]);
    // Top-k 2 leaves 16 of 80, which top-p 0.77 drops, being at most 0.23. Had top-p come first, token 2 would have stayed:
    // the cumulative share up to it is 21 of 85 there.
    let found =
        distribution(&row, &[3], 0, &GenerationConfig { top_k: 2, top_p: 0.77, ..config }).expect("a distribution");
    assert_distribution(&found, &[(3, 1.0)]);
}

#[test]
fn softmax_is_stable_and_knows_ruled_out_tokens() {
    let found = softmax(&[1000.0, OUT, 1001.0]);
    assert_distribution(&(0..).zip(found).collect::<Vec<_>>(), &[(0, 0.268_941_42), (1, 0.0), (2, 0.731_058_6)]);
    assert_eq!(softmax(&[OUT, OUT]), [0.0, 0.0]);
    assert!(softmax(&[]).is_empty());
}

#[test]
fn the_first_of_equal_logits_is_the_best() {
    assert_eq!(argmax(&[1.0, 5.0, 5.0]), Some(1));
    assert_eq!(argmax(&[f32::NAN, -1.0]), Some(1));
    assert_eq!(argmax(&[OUT]), Some(0));
    assert_eq!(argmax(&[]), None);
}

#[test]
fn a_draw_falls_into_its_share() {
    let probabilities = [(7, 0.0), (8, 0.25), (9, 0.0), (10, 0.75), (11, 0.0)];
    let drawn = |bits: u64| sample(&probabilities, &mut || bits);
    assert_eq!(drawn(0), Some(8));
    assert_eq!(drawn((1 << 62) - 1), Some(8));
    assert_eq!(drawn(1 << 62), Some(10));
    assert_eq!(drawn(u64::MAX), Some(10));
    assert_eq!(sample(&[(1, 0.0)], &mut || 0), None);
    assert_eq!(sample(&[], &mut || 0), None);
}

#[test]
fn greedy_takes_the_penalty_but_not_the_filters() {
    let config = GenerationConfig { do_sample: false, repetition_penalty: 4.0, temperature: f32::NAN, ..config() };
    let mut never = || panic!("greedy decoding draws nothing");
    assert_eq!(next_token(&[1.0, 3.0, 2.0], &[], &config, 1, &mut never), Ok(1));
    assert_eq!(next_token(&[1.0, 3.0, 2.0], &[1], &config, 1, &mut never), Ok(2));
}

#[test]
fn logits_that_are_not_finite_are_refused_by_place() {
    for (value, do_sample) in [(f32::NAN, true), (f32::INFINITY, false), (OUT, true)] {
        let config = GenerationConfig { do_sample, ..config() };
        let error = next_token(&[0.0, value, value], &[], &config, 4, &mut || 0).expect_err("not finite");
        let message = error.to_string();
        assert!(message.starts_with("at token 4 of the answer: 2 of 3 logits are not finite in the network's output"));
        assert!(message.ends_with(&format!("the first is {value} at token 1")), "{message}");
    }
    let huge = [f32::MAX, 1.0];
    let stage = |config: &GenerationConfig| match distribution(&huge, &[0], 0, config) {
        Err(DecodeError::NotFinite { stage, token: 0, .. }) => stage,
        other => panic!("expected a refusal, found {other:?}"),
    };
    assert_eq!(stage(&GenerationConfig { temperature: 0.5, ..config() }), Stage::Temperature);
    assert_eq!(stage(&GenerationConfig { repetition_penalty: 0.5, ..config() }), Stage::RepetitionPenalty);
    assert_eq!(distribution(&[], &[], 0, &config()), Err(DecodeError::NoLogits));
}

#[test]
fn settings_without_a_distribution_are_refused_by_name() {
    let named = |config: GenerationConfig| match (check(&config), distribution(&[0.0], &[], 0, &config)) {
        (Err(DecodeError::Setting { name, .. }), Err(DecodeError::Setting { name: again, .. })) if name == again => {
            name
        }
        other => panic!("expected a refusal, found {other:?}"),
    };
    for value in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(named(GenerationConfig { temperature: value, ..config() }), "temperature");
        assert_eq!(named(GenerationConfig { repetition_penalty: value, ..config() }), "repetition_penalty");
    }
    for value in [-0.1, 1.1, f32::NAN] {
        assert_eq!(named(GenerationConfig { top_p: value, ..config() }), "top_p");
    }
    assert_eq!(check(&GenerationConfig::default()), Ok(()));
}
