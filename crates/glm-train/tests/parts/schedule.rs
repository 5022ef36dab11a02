use glm_train::schedule::{LengthError, RunLength, Schedule, total_steps};
use glm_train::{SchedulerType, TrainConfig};

#[test]
fn rates_equal_the_trainers() {
    let mut runs = 0;
    for name in ["ptuning-noproj", "ptuning-proj"] {
        for (run_name, run) in glm_testkit::json(&format!("glm2-tiny/{name}.json"))["runs"].as_object().unwrap() {
            let settings = &run["settings"];
            let config = TrainConfig {
                learning_rate: settings["lr"].as_f64().unwrap(),
                lr_scheduler_type: serde_json::from_value(settings["scheduler"].clone()).unwrap(),
                warmup_ratio: settings["warmup_ratio"].as_f64().unwrap(),
                ..TrainConfig::default()
            };
            let schedule = Schedule::new(&config, settings["max_steps"].as_u64().unwrap());
            // Another machine's cosine may differ in its last bit.
            let close = |found: f64, expected: f64| (found - expected).abs() <= 1e-15 * config.learning_rate;
            for (done, step) in run["steps"].as_array().unwrap().iter().enumerate() {
                for (t, key) in [(done, "lr_used"), (done + 1, "logged_learning_rate")] {
                    let (found, expected) = (schedule.rate(t as u64), step[key].as_f64().unwrap());
                    assert!(close(found, expected), "{name} {run_name} {key} {t}: {found} against {expected}");
                }
            }
            runs += 1;
        }
    }
    assert!(runs > 0, "the fixtures hold no run");
}

fn config(kind: SchedulerType, warmup_steps: usize, warmup_ratio: f64) -> TrainConfig {
    TrainConfig { learning_rate: 8.0, lr_scheduler_type: kind, warmup_steps, warmup_ratio, ..TrainConfig::default() }
}

fn rates(config: &TrainConfig, total: u64) -> Vec<f64> {
    (0..=total).map(|t| Schedule::new(config, total).rate(t)).collect()
}

#[test]
fn warm_up_rises_from_0_and_the_rest_falls_to_0() {
    let linear = rates(&config(SchedulerType::Linear, 2, 0.0), 6);
    assert_eq!(linear, [0.0, 4.0, 8.0, 6.0, 4.0, 2.0, 0.0]);
    let cosine = rates(&config(SchedulerType::Cosine, 2, 0.0), 6);
    assert_eq!((cosine[1], cosine[2], cosine[6]), (4.0, 8.0, 0.0));
    assert!((cosine[4] - 4.0).abs() < 1e-12);
}

#[test]
fn constant_ignores_the_warm_up_and_its_sister_does_not() {
    assert_eq!(rates(&config(SchedulerType::Constant, 2, 0.0), 4), [8.0; 5]);
    assert_eq!(rates(&config(SchedulerType::ConstantWithWarmup, 2, 0.0), 4), [0.0, 4.0, 8.0, 8.0, 8.0]);
}

#[test]
fn the_ratio_rounds_up_and_the_number_wins() {
    let warmup = |steps, ratio| Schedule::new(&config(SchedulerType::Linear, steps, ratio), 101).warmup_steps();
    assert_eq!(warmup(0, 0.03), 4);
    assert_eq!(warmup(7, 0.03), 7);
    assert_eq!(warmup(0, 0.0), 0);
}

#[test]
fn a_warm_up_longer_than_the_run_never_divides_by_0() {
    for kind in [SchedulerType::Linear, SchedulerType::Cosine, SchedulerType::ConstantWithWarmup] {
        let rates = rates(&config(kind, 50, 0.0), 5);
        assert!(rates.iter().all(|r| r.is_finite() && *r <= 8.0 * 5.0 / 50.0), "{kind:?} {rates:?}");
    }
}

fn length(rows: usize, batch: usize, accumulation: usize, max_steps: Option<usize>, epochs: f64) -> RunLength {
    RunLength::new(rows, &run(batch, accumulation, max_steps, epochs)).unwrap()
}

fn run(batch: usize, accumulation: usize, max_steps: Option<usize>, epochs: f64) -> TrainConfig {
    TrainConfig {
        per_device_train_batch_size: batch,
        gradient_accumulation_steps: accumulation,
        max_steps,
        num_train_epochs: epochs,
        ..TrainConfig::default()
    }
}

/// Micro batches after which a step follows, until the run is over.
fn stepping(length: &RunLength) -> Vec<u64> {
    (1..).filter(|n| length.steps_after(*n)).take(length.total_steps as usize).collect()
}

#[test]
fn an_incomplete_group_goes_on_in_the_next_epoch() {
    // 10 rows in micro batches of 2: 5 an epoch, 2 a step, so the third step takes one from each epoch.
    let length = length(10, 2, 2, None, 2.0);
    assert_eq!((length.micro_batches_per_epoch, length.steps_per_epoch, length.total_steps), (5, 2, 4));
    assert_eq!(stepping(&length), [2, 4, 6, 8]);
    assert_eq!(length.samples_seen, 20.0);
}

#[test]
fn an_epoch_shorter_than_a_group_ends_one() {
    let length = length(3, 1, 8, None, 3.0);
    assert_eq!((length.steps_per_epoch, length.total_steps), (1, 3));
    assert_eq!(stepping(&length), [3, 6, 8]);
}

#[test]
fn an_incomplete_last_batch_counts() {
    let length = length(25, 8, 1, None, 1.0);
    assert_eq!((length.micro_batches_per_epoch, length.total_steps), (4, 4));
}

#[test]
fn max_steps_wins_and_0_means_none() {
    let by_steps = length(114_599, 1, 16, Some(3000), 3.0);
    assert_eq!((by_steps.total_steps, by_steps.num_train_epochs), (3000, 1));
    assert_eq!(by_steps.samples_seen, 48_000.0);
    // 48000 of 114599 micro batches.
    assert_eq!((by_steps.epoch_after(48_000) * 100.0).round(), 42.0);
    assert_eq!(length(24, 2, 2, Some(0), 2.5), length(24, 2, 2, None, 2.5));
}

#[test]
fn fractions_of_epochs_round_up() {
    let length = length(24, 2, 2, None, 0.4);
    assert_eq!((length.total_steps, length.num_train_epochs), (3, 1));
    assert_eq!(total_steps(24, &run(2, 2, None, 2.5)), Ok(15));
}

#[test]
fn the_epoch_is_whole_at_its_end() {
    let length = length(10, 2, 2, None, 2.0);
    assert_eq!([0, 1, 5, 6, 10].map(|n| length.epoch_after(n)), [0.0, 0.2, 1.0, 1.2, 2.0]);
}

#[test]
fn impossible_runs_are_refused_by_flag() {
    assert_eq!(RunLength::new(0, &run(1, 1, None, 1.0)), Err(LengthError::NoRows));
    let flag = "per_device_train_batch_size";
    assert_eq!(RunLength::new(5, &run(0, 1, None, 1.0)), Err(LengthError::Zero { flag }));
    let flag = "gradient_accumulation_steps";
    assert_eq!(RunLength::new(5, &run(1, 0, None, 1.0)), Err(LengthError::Zero { flag }));
    assert!(matches!(RunLength::new(5, &run(1, 1, None, f64::NAN)), Err(LengthError::Epochs { .. })));
    assert_eq!(RunLength::new(5, &run(1, 1, None, -1.0)), Err(LengthError::Epochs { found: -1.0 }));
    assert!(RunLength::new(5, &run(1, 1, Some(2), f64::NAN)).is_ok());
}
