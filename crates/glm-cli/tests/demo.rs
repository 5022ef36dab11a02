//! The demo, whole, as a new user sees it.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use support::text;

#[test]
fn slow_demo_learns_to_advertise() {
    if std::env::var_os("GLM_SLOW").is_none() {
        eprintln!("skipped: the whole demo takes up to two minutes (set GLM_SLOW=1 to run it)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(assert_cmd::cargo::cargo_bin!("glmtune"))
        .args(["demo", "--output_dir", "demo"])
        .current_dir(folder.path())
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    let score = |name: &str| -> (f64, f64) {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        let numbers: Vec<f64> = line.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
        (numbers[0], numbers[1])
    };
    for (name, gain) in [("ROUGE-1", 10.0), ("ROUGE-2", 15.0), ("ROUGE-L", 15.0), ("BLEU-4", 15.0)] {
        let (before, after) = score(name);
        assert!(after > before + gain, "{name}: {before} → {after}\n{text}");
    }
    for part in ["before", "after", "trainable parameters", "peak memory", "loss curve", "What to type next"] {
        assert!(text.contains(part), "{part} is missing\n{text}");
    }
    let curve = folder.path().join("demo/run/training_loss.svg");
    assert!(std::fs::read_to_string(curve).unwrap().starts_with("<svg"));
}
