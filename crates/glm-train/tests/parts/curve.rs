use std::fs;

use glm_train::journal::{Curve, JournalError, Metrics, save_curve};

/// A noisy falling loss without any random source.
fn curve(points: u64) -> Curve {
    let noise = |i: u64| ((i * 7919) % 101) as f64 / 101.0 - 0.5;
    Curve {
        train: (1..=points).map(|i| (i * 10, 3.5 + 4.0 * (-(i as f64) / 40.0).exp() + 0.5 * noise(i))).collect(),
        eval: (1..=points / 50).map(|i| (i * 500, 3.6 + 4.0 * (-(i as f64) * 1.25).exp())).collect(),
    }
}

#[test]
fn the_picture_has_axes_title_and_all_series() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("training_loss.svg");
    save_curve(&path, &curve(300), "P-Tuning v2, int4 & 训练").unwrap();
    let svg = fs::read_to_string(&path).unwrap();
    for text in
        ["P-Tuning v2, int4 &amp; 训练", "optimizer step", ">\nloss\n<", "loss, smoothed", "validation loss", "3000"]
    {
        assert!(svg.contains(text), "{text} is missing");
    }
    assert!(svg.trim_end().ends_with("</svg>"));
}

#[test]
fn every_number_of_points_can_be_drawn() {
    for points in [0, 1, 2, 3, 1000] {
        let svg = curve(points).svg("loss").unwrap();
        assert_eq!(svg.contains("no loss was logged"), points == 0, "{points} points");
        assert!(!svg.contains("NaN"), "{points} points");
    }
    let flat = Curve { train: vec![(1, 0.0), (2, 0.0), (3, 0.0)], eval: vec![(0, 0.0)] };
    assert!(flat.svg("flat").is_ok());
}

#[test]
fn the_history_gives_the_points() {
    let mut history = Vec::new();
    for (step, key, value) in [(10, "loss", 2.0), (10, "eval_loss", 2.5), (20, "loss", 1.0), (20, "train_loss", 1.5)] {
        let mut entry = Metrics::new();
        entry.set_int("step", step);
        entry.set_float(key, value).unwrap();
        history.push(entry);
    }
    let curve = Curve::from_history(&history);
    assert_eq!(curve, Curve { train: vec![(10, 2.0), (20, 1.0)], eval: vec![(10, 2.5)] });
}

#[test]
fn smoothing_keeps_a_constant_and_calms_noise() {
    let flat = Curve { train: (0..100).map(|i| (i, 2.0)).collect(), eval: vec![] };
    assert!(flat.smoothed().iter().all(|p| (p.1 - 2.0).abs() < 1e-12));
    let noisy = curve(300);
    let roughness = |points: &[(u64, f64)]| points.windows(2).map(|w| (w[1].1 - w[0].1).abs()).sum::<f64>();
    assert!(roughness(&noisy.smoothed()) < 0.3 * roughness(&noisy.train));
}

#[test]
fn a_loss_that_is_not_finite_is_refused() {
    let curve = Curve { train: vec![(1, 1.0)], eval: vec![(1, f64::NAN)] };
    assert!(matches!(curve.svg("loss"), Err(JournalError::NonFinite { key, .. }) if key == "eval_loss"));
}
