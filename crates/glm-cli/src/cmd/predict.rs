//! `--do_predict`, and the generated part of `--do_eval`: answers for the rows of a file, written as they come, and
//! their scores.

use super::adapter;
use super::base::Loaded;
use super::train::{limited, say};
use crate::config::RunConfig;
use glm_data::{DataConfig, EvalRow, Tokenizer, eval_rows};
use glm_infer::{Engine, EvaluateOptions, Evaluation, SpecialIds, evaluate};
use glm_model::adapter::AdapterSlots;
use glm_train::Adapter;
use glm_train::journal::{Metrics, Split, save_results, split_metrics};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Name of the predictions file.
pub const PREDICTIONS_FILE: &str = "generated_predictions.txt";

/// Rows to answer, by what they are for.
pub struct PredictRows(Vec<(Split, Vec<EvalRow>)>);

/// Reads the rows that the settings ask to answer.
///
/// # Errors
/// Names file, line and reason.
pub fn rows(settings: &RunConfig, tokenizer: &Tokenizer) -> anyhow::Result<PredictRows> {
    let files = &settings.files;
    let wanted = [
        (Split::Eval, settings.do_eval && settings.predict_with_generate, &files.validation, settings.samples.eval),
        (Split::Predict, settings.do_predict, &files.test, settings.samples.predict),
    ];
    let config = DataConfig { max_target_length: settings.val_max_target_length, ..settings.data.clone() };
    let mut all = Vec::new();
    for (split, wanted, file, limit) in wanted {
        if let (true, Some(file)) = (wanted, file) {
            let rows = limited(file, limit, config.lenient)?;
            let (samples, report) = eval_rows(&rows, tokenizer, &config)?;
            say(file, &rows, &report);
            all.push((split, samples));
        }
    }
    Ok(PredictRows(all))
}

/// Answers and scores them. `loss` are the metrics of an evaluation of the same rows, to be written together.
///
/// # Errors
/// When a logit is not finite or a file cannot be written.
pub fn run(
    settings: &RunConfig,
    base: &Loaded,
    adapter: Option<&Adapter>,
    rows: &PredictRows,
    loss: Option<Metrics>,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    for (split, rows) in &rows.0 {
        let file = settings.output_dir.join(PREDICTIONS_FILE);
        let file = (*split == Split::Predict).then_some(file.as_path());
        let evaluation = answer(settings, base, adapter, rows, file, stop)?;
        if evaluation.stopped {
            eprintln!(
                "stopped after {} of {} rows; their predictions are kept, no scores are written",
                evaluation.rows,
                rows.len()
            );
            return Ok(());
        }
        let mut metrics = metrics(*split, &evaluation, settings.train.per_device_eval_batch_size)?;
        if let (Split::Eval, Some(loss)) = (split, &loss) {
            // The loss stays beside the scores; times are those of the generation.
            let scores = metrics;
            metrics = loss.clone();
            metrics.merge(&scores);
        }
        save_results(&settings.output_dir, *split, &metrics)?;
        print(&evaluation, file);
    }
    Ok(())
}

/// Answers rows with the given generation settings.
///
/// # Errors
/// As [`run`].
pub fn answer(
    settings: &RunConfig,
    base: &Loaded,
    adapter: Option<&Adapter>,
    rows: &[EvalRow],
    predictions: Option<&Path>,
    stop: &AtomicBool,
) -> anyhow::Result<Evaluation> {
    let slots = AdapterSlots::default();
    let slot = adapter::add(&slots, adapter)?;
    // Weights that trained and are used rounded are rounded here, once.
    let settled = base.network.settled()?;
    let engine = Engine::new(settled.as_ref().unwrap_or(&base.network), &slots, SpecialIds::of(&base.tokenizer));
    let options = EvaluateOptions { batch_size: settings.train.per_device_eval_batch_size, slot, predictions };
    let bar = bar(settings.progress, rows.len());
    let evaluation = evaluate(&engine, &base.tokenizer, rows, options, &settings.generation, stop, &mut |progress| {
        let seconds = progress.elapsed.as_secs_f64().max(1e-9);
        bar.set_message(format!("{:.0} tokens/s", progress.tokens as f64 / seconds));
        bar.set_position(progress.done as u64);
    });
    bar.finish_and_clear();
    Ok(evaluation?)
}

fn bar(shown: bool, rows: usize) -> ProgressBar {
    if !shown {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(rows as u64), ProgressDrawTarget::stderr());
    if let Ok(style) =
        ProgressStyle::with_template("answering {bar:28.green/blue} {pos}/{len} rows, ETA {eta_precise}  {msg}")
    {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar
}

fn metrics(split: Split, evaluation: &Evaluation, batch_size: usize) -> anyhow::Result<Metrics> {
    let prefix = format!("{}_", split.name());
    let entries = evaluation.summary.as_ref().map(|summary| summary.entries(split.name())).unwrap_or_default();
    let scores: Vec<(&str, f64)> =
        entries.iter().map(|(name, value)| (name.strip_prefix(&prefix).unwrap_or(name), *value)).collect();
    let batches = evaluation.rows.div_ceil(batch_size.max(1)) as u64;
    Ok(split_metrics(split, &scores, evaluation.elapsed, evaluation.rows as u64, batches)?)
}

fn print(evaluation: &Evaluation, file: Option<&Path>) {
    let Some(summary) = &evaluation.summary else { return };
    println!(
        "rouge-1 {:.4}  rouge-2 {:.4}  rouge-l {:.4}  bleu-4 {:.4}  ({} rows, {:.1} tokens/s)",
        summary.rouge_1,
        summary.rouge_2,
        summary.rouge_l,
        summary.bleu_4,
        evaluation.rows,
        evaluation.tokens_per_second(),
    );
    if summary.empty > 0 {
        println!("{} pairs with an empty prediction or label count as 0", summary.empty);
    }
    if evaluation.cut > 0 {
        println!("{} answers were cut at their greatest length", evaluation.cut);
    }
    if let Some(file) = file {
        println!("predictions: {}", file.display());
    }
}
