//! Progress of training, on standard error: a bar with loss, speed and remaining time, and the log entries above it.

use glm_train::journal::Metrics;
use glm_train::{Observer, Plan, StepReport};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::Path;
use std::time::Duration;

/// Shows training.
pub struct TrainProgress {
    shown: bool,
    steps: ProgressBar,
    evaluation: Option<ProgressBar>,
    micro: String,
    status: String,
}

impl TrainProgress {
    /// `shown`: draw the bar when standard error is a terminal. Log entries are printed in either case.
    pub fn new(shown: bool) -> Self {
        let steps = ProgressBar::hidden();
        Self { shown, steps, evaluation: None, micro: String::new(), status: String::new() }
    }

    fn line(&self, text: &str) {
        self.steps.suspend(|| eprintln!("{text}"));
    }

    fn message(&self) {
        self.steps.set_message(format!("{}{}", self.status, self.micro));
    }
}

impl Observer for TrainProgress {
    fn started(&mut self, plan: &Plan) {
        let kept = match plan.kept_blocks {
            kept if kept >= plan.blocks => "activations kept".to_owned(),
            0 => "activations recomputed in the backward pass".to_owned(),
            kept => format!("activations of {kept} of {} blocks kept, the others recomputed", plan.blocks),
        };
        let resumed =
            if plan.resumed_at > 0 { format!(", resumed after step {}", plan.resumed_at) } else { String::new() };
        let joined = match plan.max_tokens {
            0 => String::new(),
            most => format!("; micro batches together up to {most} tokens"),
        };
        self.line(&format!(
            "training {} rows for {} steps ({:.2} epochs){resumed}; {kept}{joined}",
            plan.rows, plan.total_steps, plan.epochs
        ));
        if self.shown {
            self.steps = ProgressBar::with_draw_target(Some(plan.total_steps), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:12.cyan/blue} {pos}/{len} ETA {eta} {wide_msg}");
            if let Ok(style) = style {
                self.steps.set_style(style.progress_chars("━╸─"));
            }
            self.steps.set_position(plan.resumed_at);
            self.steps.reset_eta();
            self.steps.enable_steady_tick(Duration::from_millis(500));
        }
    }

    fn micro_batches(&mut self, done: usize, of: usize) {
        self.micro = if done < of { format!("  [{done}/{of}]") } else { String::new() };
        self.message();
    }

    fn stepped(&mut self, report: &StepReport) {
        let seconds = report.elapsed.as_secs_f64().max(1e-9);
        // What matters most first: a narrow terminal cuts the rest.
        self.status = format!(
            "loss {:.4}  {:.2} samples/s  {:.0} tokens/s  lr {:.1e}",
            report.loss,
            report.samples as f64 / seconds,
            report.tokens as f64 / seconds,
            report.learning_rate,
        );
        self.message();
        self.steps.set_position(report.step);
    }

    fn logged(&mut self, entry: &Metrics) {
        let mut numbers: Vec<(&str, f64)> = entry.numbers().filter(|(key, _)| *key != "total_flos").collect();
        let first = |key: &str| ["step", "loss", "eval_loss", "learning_rate"].iter().position(|k| *k == key);
        numbers.sort_by_key(|(key, _)| first(key).unwrap_or(usize::MAX));
        let numbers: Vec<String> = numbers.into_iter().map(|(key, value)| format!("{key} {}", short(value))).collect();
        self.line(&numbers.join("  "));
    }

    fn evaluating(&mut self, done: usize, of: usize) {
        if !self.shown {
            return;
        }
        let bar = self.evaluation.get_or_insert_with(|| {
            let style =
                ProgressStyle::with_template("evaluating {bar:20.green/blue} {pos}/{len} rows, ETA {eta_precise}");
            let bar = ProgressBar::with_draw_target(Some(of as u64), ProgressDrawTarget::stderr());
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar
        });
        bar.set_position(done as u64);
        if done >= of {
            bar.finish_and_clear();
            self.evaluation = None;
        }
    }

    fn saved(&mut self, checkpoint: &Path) {
        self.line(&format!("saved {}", checkpoint.display()));
    }
}

/// A number as short as it stays readable.
fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        format!("{value:.2e}")
    } else if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value}")
    } else {
        format!("{value:.4}")
    }
}
