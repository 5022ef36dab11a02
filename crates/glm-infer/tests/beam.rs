//! Beam search on cases that can be worked out by hand, and laws that hold for any.

use glm_infer::GenerationConfig;
use glm_infer::decode::{
    Candidate, DecodeError, Hypotheses, beam_scores, best_candidates, check, draw_candidates, log_softmax, warp_scores,
};
use proptest::prelude::*;

const OUT: f32 = f32::NEG_INFINITY;

fn config(num_beams: usize) -> GenerationConfig {
    GenerationConfig { num_beams, do_sample: false, temperature: 1.0, top_k: 0, top_p: 1.0, ..Default::default() }
}

fn near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
    }
}

#[test]
fn scores_are_penalised_log_probabilities_on_top_of_the_beams() {
    let logits = [0.25f32.ln(), 0.75f32.ln()].map(|log| log + 3.0);
    near(&log_softmax(&logits), &[0.25f32.ln(), 0.75f32.ln()]);
    let found = beam_scores(&logits, &[1, 1], -2.0, &GenerationConfig { repetition_penalty: 3.0, ..config(2) });
    near(&found.expect("finite"), &[0.25f32.ln() - 2.0, 3.0 * 0.75f32.ln() - 2.0]);
    assert_eq!(beam_scores(&[], &[], 0.0, &config(2)), Err(DecodeError::NoLogits));
    let error = beam_scores(&[0.0, f32::NAN], &[], 0.0, &config(2)).expect_err("not finite");
    assert!(matches!(error, DecodeError::NotFinite { token: 1, .. }), "{error}");
}

#[test]
fn the_best_candidates_come_from_all_beams() {
    let rows = [vec![-1.0, -3.0, -2.0], vec![-2.0, OUT, -0.5]];
    let found: Vec<_> = best_candidates(&rows, 4).iter().map(|c| (c.beam, c.token, c.score)).collect();
    assert_eq!(found, [(1, 2, -0.5), (0, 0, -1.0), (0, 2, -2.0), (1, 0, -2.0)]);
    assert_eq!(best_candidates(&rows, 100).len(), 5, "what is ruled out is no candidate");
    assert!(best_candidates(&rows, 0).is_empty());
    assert!(best_candidates(&[], 3).is_empty());
}

#[test]
fn the_length_penalty_decides_what_a_complete_answer_is_worth() {
    let run = |length_penalty, early_stopping| {
        let config = GenerationConfig { length_penalty, early_stopping, ..config(2) };
        let mut hypotheses = Hypotheses::new(&config);
        hypotheses.add("short", -2.0, 2);
        assert!(!hypotheses.is_done(-1e9, 3), "one of two");
        hypotheses.add("long", -6.0, 8);
        let undecided = hypotheses.is_done(-3.0, 6);
        hypotheses.add("bad", -20.0, 8);
        let best: Vec<_> = hypotheses.into_best();
        (best, undecided)
    };
    let (best, done) = run(1.0, false);
    assert_eq!((best, done), (vec![(-0.75, "long"), (-1.0, "short")], false));
    assert!(run(1.0, true).1, "early stopping asks for no more than enough answers");
    let (best, done) = run(0.0, false);
    assert_eq!((best, done), (vec![(-2.0, "short"), (-6.0, "long")], false));
    assert_eq!(run(-1.0, false).0[0].1, "short");
}

#[test]
fn a_better_answer_takes_the_place_of_the_worst() {
    let mut hypotheses = Hypotheses::new(&config(2));
    for (name, score) in [("a", -4.0), ("b", -4.0), ("c", -4.0), ("d", -3.0)] {
        hypotheses.add(name, score, 1);
    }
    assert!(hypotheses.is_done(-4.0, 1) && !hypotheses.is_done(-3.5, 1));
    // "c" equals the worst and stays out; "d" displaces the first of the equals.
    assert_eq!(hypotheses.into_best(), [(-3.0, "d"), (-4.0, "b")]);
    let mut equal = Hypotheses::new(&config(3));
    ["first", "second"].iter().for_each(|name| equal.add(*name, -1.0, 1));
    assert_eq!(equal.into_best()[0].1, "second");
}

#[test]
fn enough_tokens_stay_to_be_drawn() {
    let mut row = vec![5.0, 1.0, 0.0, -1.0];
    let config = GenerationConfig { top_k: 1, top_p: 0.1, temperature: 0.5, ..config(2) };
    warp_scores(&mut row, 2, &config).expect("finite");
    assert_eq!(row, [10.0, 2.0, OUT, OUT]);
    let mut row = vec![1.0, f32::MAX];
    assert!(warp_scores(&mut row, 2, &config).is_err());
}

#[test]
fn settings_without_a_search_are_refused_by_name() {
    let refusal = |config: GenerationConfig| check(&config).expect_err("refused").to_string();
    assert!(refusal(GenerationConfig { num_return_sequences: 0, ..config(0) }).starts_with("num_beams is 0"));
    for asked in [0, 3] {
        let message = refusal(GenerationConfig { num_return_sequences: asked, ..config(2) });
        assert!(message.starts_with(&format!("num_return_sequences is {asked} with num_beams 2")), "{message}");
    }
    let message = refusal(GenerationConfig { length_penalty: f64::NAN, ..config(2) });
    assert!(message.starts_with("length_penalty is NaN"), "{message}");
    let message = refusal(GenerationConfig { stop: vec!["a".into(), String::new()], ..config(2) });
    assert!(message.starts_with("stop string 2 "), "{message}");
}

fn rows() -> impl Strategy<Value = Vec<Vec<f32>>> {
    // A coarse grid makes ties common; some tokens are ruled out.
    let score = (-20i8..4).prop_map(|n| if n > 0 { OUT } else { f32::from(n) / 4.0 });
    (1usize..5, 1usize..20).prop_flat_map(move |(beams, tokens)| {
        prop::collection::vec(prop::collection::vec(score.clone(), tokens), beams)
    })
}

proptest! {
    #[test]
    fn the_best_are_those_that_sorting_finds(rows in rows(), count in 0usize..30) {
        let mut all: Vec<Candidate> = rows
            .iter()
            .enumerate()
            .flat_map(|(beam, row)| row.iter().zip(0..).map(move |(score, token)| Candidate { beam, token, score: *score }))
            .filter(|c| c.score > OUT)
            .collect();
        all.sort_by(|a, b| b.score.total_cmp(&a.score));
        all.truncate(count);
        prop_assert_eq!(best_candidates(&rows, count), all);
    }

    #[test]
    fn the_drawn_are_distinct_and_possible(rows in rows(), count in 0usize..30, seed in any::<u64>()) {
        let mut rng = glm_data::Rng::new(seed);
        let drawn = draw_candidates(&rows, count, &mut || rng.next_u64());
        let possible = rows.iter().flatten().filter(|score| **score > OUT).count();
        prop_assert_eq!(drawn.len(), count.min(possible));
        prop_assert!(drawn.iter().all(|c| rows[c.beam][c.token as usize] == c.score && c.score > OUT));
        let mut places: Vec<_> = drawn.iter().map(|c| (c.beam, c.token)).collect();
        places.sort_unstable();
        places.dedup();
        prop_assert_eq!(places.len(), drawn.len());
    }
}

#[test]
fn draws_without_replacement_follow_the_probabilities() {
    // P(first drawn is token i) = p_i; every pair of three tokens with p = 1/2, 1/3, 1/6 leaves one out.
    let rows = [vec![0.5f32.ln(), OUT], vec![(1.0f32 / 3.0).ln(), (1.0f32 / 6.0).ln()]];
    let mut rng = glm_data::Rng::new(5);
    let runs = 30_000;
    let (mut left_out, mut first) = ([0.0f64; 3], 0.0);
    for _ in 0..runs {
        let drawn = draw_candidates(&rows, 2, &mut || rng.next_u64());
        let has = |beam, token| drawn.iter().any(|c| (c.beam, c.token) == (beam, token));
        let out = [has(0, 0), has(1, 0), has(1, 1)].iter().position(|has| !has).expect("two of three are drawn");
        left_out[out] += 1.0 / f64::from(runs);
        first += f64::from(u8::from(drawn[0].beam == 0)) / f64::from(runs);
    }
    assert!((first - 0.5).abs() < 0.015, "the order is that of the draws: {first}");
    // P(out = c) = p_a p_b/(1 - p_a) + p_b p_a/(1 - p_b) for the other two.
    let p = [0.5, 1.0 / 3.0, 1.0 / 6.0];
    for (c, found) in left_out.into_iter().enumerate() {
        let (a, b) = (p[(c + 1) % 3], p[(c + 2) % 3]);
        let expected = a * b / (1.0 - a) + b * a / (1.0 - b);
        assert!((found - expected).abs() < 0.015, "token {c}: {found}, expected {expected}");
    }
}
