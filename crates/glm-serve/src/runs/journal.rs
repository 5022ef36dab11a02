//! How far a run is and how its losses went, from `trainer_log.jsonl` or, where there is none, `trainer_state.json`.

use super::read;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// Bytes of the end of a log that are read for all of a run, and for a line of the list.
const WHOLE_LOG: u64 = 32 << 20;
const LOG_END: u64 = 64 << 10;

/// Points of a curve that are shown; more would be too fine for any screen.
const MOST_POINTS: usize = 2000;

/// A point of the training's curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TrainPoint {
    /// Optimizer steps done.
    pub step: u64,
    /// Mean loss since the point before.
    pub loss: f64,
    /// Rate of the next step.
    pub learning_rate: Option<f64>,
}

/// A point of the validation's curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EvalPoint {
    /// Optimizer steps done.
    pub step: u64,
    /// Mean loss on the validation rows.
    pub loss: f64,
}

/// What a run's journals say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Journal {
    /// Optimizer steps done.
    pub step: u64,
    /// Steps to do.
    pub max_steps: u64,
    /// Epochs passed.
    pub epoch: Option<f64>,
    /// Seconds that the rest takes, as the run estimated at its last entry.
    pub remaining: Option<u64>,
    /// Steps in a second, of this process of the run.
    pub steps_per_second: Option<f64>,
    /// Rows in a second of the whole training, once it is complete.
    pub samples_per_second: Option<f64>,
    /// Training loss.
    pub train: Vec<TrainPoint>,
    /// Validation loss.
    pub eval: Vec<EvalPoint>,
    /// Whether the training came to its end.
    pub complete: bool,
}

impl Journal {
    /// Reads a run's journals; `whole`: with their curves, else only what a list shows.
    pub fn read(run: &Path, whole: bool) -> Self {
        let state = read::json(&run.join("trainer_state.json")).map(|state| Self::of_state(&state));
        let log = read::tail(&run.join("trainer_log.jsonl"), if whole { WHOLE_LOG } else { LOG_END });
        let mut journal = match log.map(|log| Self::of_log(&log)) {
            // The state is written at every save, the log at every entry. It tells of more than the log only where both end
            // with the same entry: else it is one of an earlier save, or of an earlier run in this folder.
            Some(log) if log.max_steps > 0 => {
                let same = state.filter(|state| state.max_steps == log.max_steps && state.ends_as(&log));
                let complete = same.as_ref().is_some_and(|state| state.complete) || log.step >= log.max_steps;
                let samples_per_second = same.as_ref().and_then(|state| state.samples_per_second);
                let step = same.map_or(log.step, |state| state.step);
                Self { step, complete, samples_per_second, ..log }
            }
            _ => state.unwrap_or_default(),
        };
        thin(&mut journal.train);
        thin(&mut journal.eval);
        journal
    }

    /// From `trainer_state.json`.
    pub fn of_state(state: &Value) -> Self {
        let mut journal = Self {
            step: whole(state, "global_step").unwrap_or(0),
            max_steps: whole(state, "max_steps").unwrap_or(0),
            epoch: number(state, "epoch"),
            ..Self::default()
        };
        let entries = state.get("log_history").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for entry in entries {
            let Some(step) = whole(entry, "step") else { continue };
            journal.add(step, number(entry, "loss"), number(entry, "eval_loss"), number(entry, "learning_rate"));
            journal.samples_per_second = number(entry, "train_samples_per_second").or(journal.samples_per_second);
        }
        let ended = entries.iter().rev().any(|entry| entry.get("train_runtime").is_some());
        journal.complete = ended && journal.step >= journal.max_steps;
        journal
    }

    /// From the lines of `trainer_log.jsonl`; what is no line of it is passed over.
    fn of_log(log: &[u8]) -> Self {
        let mut journal = Self::default();
        // Where this process of the run began, as far as its lines tell: its clock begins at nought.
        let (mut first, mut last) = (None, None);
        for line in log.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let Some(line) = read::parse(line) else { continue };
            let (Some(step), Some(total)) = (whole(&line, "current_steps"), whole(&line, "total_steps")) else {
                continue;
            };
            (journal.step, journal.max_steps) = (step, total);
            journal.epoch = number(&line, "epoch").or(journal.epoch);
            journal.add(step, number(&line, "loss"), number(&line, "eval_loss"), number(&line, "learning_rate"));
            journal.remaining = clock(&line, "remaining_time");
            if let Some(seconds) = clock(&line, "elapsed_time") {
                if last.is_some_and(|(_, before)| seconds < before) {
                    first = None;
                }
                first = first.or(Some((step, seconds)));
                last = Some((step, seconds));
            }
        }
        if let (Some((from, began)), Some((to, ended))) = (first, last)
            && to > from
            && ended > began
        {
            journal.steps_per_second = Some((to - from) as f64 / (ended - began) as f64);
        }
        journal
    }

    /// Whether the last entry is the same; the state rounds losses to four decimals.
    fn ends_as(&self, log: &Self) -> bool {
        match (self.train.last(), log.train.last()) {
            (Some(a), Some(b)) => a.step == b.step && (a.loss - b.loss).abs() < 1e-4,
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    fn add(&mut self, step: u64, loss: Option<f64>, eval_loss: Option<f64>, learning_rate: Option<f64>) {
        if let Some(loss) = loss {
            self.train.push(TrainPoint { step, loss, learning_rate });
        }
        if let Some(loss) = eval_loss {
            self.eval.push(EvalPoint { step, loss });
        }
    }
}

/// Leaves out points of a curve that is too long, evenly, never the first and the last one.
fn thin<T: Copy>(points: &mut Vec<T>) {
    let len = points.len();
    if len > MOST_POINTS {
        *points = (0..MOST_POINTS).map(|i| points[i * (len - 1) / (MOST_POINTS - 1)]).collect();
    }
}

/// A finite number of an object.
pub fn number(object: &Value, key: &str) -> Option<f64> {
    object.get(key)?.as_f64().filter(|x| x.is_finite())
}

fn whole(object: &Value, key: &str) -> Option<u64> {
    object.get(key)?.as_u64()
}

/// Seconds of a time as Python prints it: `1:02:03`, `2 days, 0:00:01`.
fn clock(object: &Value, key: &str) -> Option<u64> {
    let text = object.get(key)?.as_str()?;
    let (days, clock) = match text.split_once(" day") {
        Some((days, rest)) => (days.parse().ok()?, rest.split_once(", ")?.1),
        None => (0_u64, text),
    };
    let mut parts = clock.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let minutes = days.checked_mul(24)?.checked_add(hours)?.checked_mul(60)?.checked_add(minutes)?;
    minutes.checked_mul(60)?.checked_add(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    fn line(step: u64, total: u64, loss: &str, elapsed: &str) -> String {
        format!(
            "{{\"current_steps\": {step}, \"total_steps\": {total}, \"loss\": {loss}, \"eval_loss\": null, \"learning_rate\": \
             0.01, \"epoch\": 0.5, \"percentage\": 1, \"elapsed_time\": \"{elapsed}\", \"remaining_time\": \"1 day, 0:01:00\"}}\n"
        )
    }

    #[test]
    fn what_is_no_line_is_passed_over() {
        let log = [
            line(10, 50, "4.5", "0:00:10").into_bytes(),
            b"\xff\xfe\nnull\n[]\n{\"current_steps\": -1}\n{\"current_steps\": \"20\"}\n\n".to_vec(),
            line(20, 50, "NaN", "0:00:20").into_bytes(),
            line(30, 50, "3.5", "0:00:30").into_bytes(),
            br#"{"current_steps": 40, "total_st"#.to_vec(),
        ]
        .concat();
        let journal = Journal::of_log(&log);
        let point = |step, loss| TrainPoint { step, loss, learning_rate: Some(0.01) };
        assert_eq!(journal.train, [point(10, 4.5), point(30, 3.5)]);
        assert_eq!((journal.step, journal.max_steps, journal.remaining), (30, 50, Some(86_460)));
        assert_eq!(journal.steps_per_second, Some(1.0));
        assert_eq!(Journal::of_log(b""), Journal::default());
    }

    #[test]
    fn the_speed_is_that_since_the_run_was_continued() {
        let log = [line(10, 90, "4", "1:00:00"), line(20, 90, "4", "0:00:05"), line(40, 90, "4", "0:00:15")].concat();
        assert_eq!(Journal::of_log(log.as_bytes()).steps_per_second, Some(2.0));
    }

    #[test]
    fn the_newest_journal_counts() {
        let run = tempfile::tempdir().unwrap();
        let state = |step: u64, max: u64, last: u64| {
            let state = json!({"global_step": step, "max_steps": max, "epoch": 1.0, "log_history": [
                {"step": 5, "loss": 2.0}, {"step": 5, "eval_loss": 1.5}, {"step": last, "loss": 1.2346},
                {"step": step, "train_runtime": 1.0, "train_samples_per_second": 8.0}]});
            fs::write(run.path().join("trainer_state.json"), state.to_string()).unwrap();
        };
        // Only a state, as the official script leaves it.
        state(245, 245, 240);
        let journal = Journal::read(run.path(), true);
        assert_eq!((journal.step, journal.complete, journal.samples_per_second), (245, true, Some(8.0)));
        assert_eq!(journal.eval, [EvalPoint { step: 5, loss: 1.5 }]);
        // The same training has begun in the folder again, and has not saved yet.
        fs::write(run.path().join("trainer_log.jsonl"), line(10, 245, "3", "0:00:01")).unwrap();
        let journal = Journal::read(run.path(), true);
        assert_eq!((journal.step, journal.max_steps, journal.complete), (10, 245, false));
        assert_eq!((journal.samples_per_second, journal.train.len()), (None, 1));
        // It ended after its last entry.
        fs::write(run.path().join("trainer_log.jsonl"), line(240, 245, "1.23456", "0:00:09")).unwrap();
        let journal = Journal::read(run.path(), false);
        assert_eq!((journal.step, journal.complete, journal.samples_per_second), (245, true, Some(8.0)));
        // A state that is torn says nothing.
        fs::write(run.path().join("trainer_state.json"), "{\"global_step\": 245, \"max").unwrap();
        assert!(!Journal::read(run.path(), true).complete);
    }

    #[test]
    fn long_curves_are_thinned() {
        let mut points: Vec<usize> = (0..12_345).collect();
        thin(&mut points);
        assert_eq!((points.len(), points[0], points[MOST_POINTS - 1]), (MOST_POINTS, 0, 12_344));
        assert!(points.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn times_of_python_are_read() {
        let seconds = |text: &str| clock(&json!({ "t": text }), "t");
        assert_eq!(seconds("0:00:00"), Some(0));
        assert_eq!(seconds("1 day, 1:02:03"), Some(86_400 + 3723));
        assert_eq!(seconds("12 days, 0:00:01"), Some(12 * 86_400 + 1));
        for wrong in ["", "1", "a:b:c", "1:2", "-1 day, 0:00:00", "99999999999999999999 days, 0:00:00", "1 day"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
