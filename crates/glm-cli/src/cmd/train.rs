//! `glmtune train`: what the official `main.py` does. Train, evaluate, predict, each when asked for.

use super::base::{self, Loaded};
use super::checkpoint::{CheckpointWriter, verify};
use super::progress::TrainProgress;
use super::{predict, signals, threads};
use crate::args::types::Resume;
use crate::config::RunConfig;
use anyhow::{Context, bail};
use glm_data::{DataConfig, PreprocessReport, Rng, Rows, Tokenizer, TrainRow, fingerprint_file, read_rows, train_rows};
use glm_model::adapter::{PrefixConfig, PrefixEncoder};
use glm_train::journal::{Metrics, Split, save_results, split_metrics};
use glm_train::schedule::{RunLength, Schedule};
use glm_train::{Adapter, IntervalStrategy, Observer, Trainer, atomic, memory, run_dir, trainer};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Name of the file with the resolved settings.
pub const CONFIG_FILE: &str = "run_config.json";
/// Name of that of a run that does not train, so that it does not replace the training's in the same folder.
pub const EVALUATION_CONFIG_FILE: &str = "evaluation_config.json";
/// Exit code after SIGINT or SIGTERM.
pub const INTERRUPTED: i32 = 130;

/// Runs it.
///
/// # Errors
/// Names the file, line, tensor or flag, and what to do.
pub fn run(settings: RunConfig) -> anyhow::Result<()> {
    threads::set(settings.threads)?;
    // Rows are read before the base: a broken row should not cost the time of loading twelve gigabytes.
    let prepared = base::prepare(&settings.base, settings.adapter.as_ref())?;
    // Not earlier: a download is to end at the first signal.
    let stop = signals::stop_flag()?;
    let data = Data::read(&settings, &prepared.tokenizer)?;
    let base = prepared.load(settings.progress)?;
    work(&settings, &base, &data, &stop)?;
    if stop.load(Ordering::Relaxed) {
        std::process::exit(INTERRUPTED);
    }
    Ok(())
}

/// As [`run`], on a base that is loaded already.
///
/// # Errors
/// As [`run`].
pub fn run_with(settings: &RunConfig, base: &Loaded, stop: &AtomicBool) -> anyhow::Result<()> {
    work(settings, base, &Data::read(settings, &base.tokenizer)?, stop)
}

/// The rows of a run.
struct Data {
    train: Option<Samples>,
    eval: Option<Samples>,
    predict: predict::PredictRows,
}

impl Data {
    fn read(settings: &RunConfig, tokenizer: &Tokenizer) -> anyhow::Result<Self> {
        let (files, data) = (&settings.files, &settings.data);
        let train = files.train.as_deref().filter(|_| settings.do_train);
        let eval = files.validation.as_deref().filter(|_| settings.do_eval);
        let eval_data = DataConfig { max_target_length: settings.val_max_target_length, ..data.clone() };
        Ok(Self {
            train: train.map(|file| samples(file, settings.samples.train, tokenizer, data)).transpose()?,
            eval: eval.map(|file| samples(file, settings.samples.eval, tokenizer, &eval_data)).transpose()?,
            predict: predict::rows(settings, tokenizer)?,
        })
    }
}

fn work(settings: &RunConfig, base: &Loaded, data: &Data, stop: &AtomicBool) -> anyhow::Result<()> {
    let output = settings.output_dir.as_path();
    std::fs::create_dir_all(output).with_context(|| format!("--output_dir {}", output.display()))?;
    // Only for training: an evaluation may share the folder with a training that is just saving.
    let _lock = settings.do_train.then(|| lock(output)).transpose()?;
    if settings.do_train {
        atomic::remove_leftovers(output)?;
        if settings.resume.is_none()
            && let Some(folder) = run_dir::set_aside_checkpoints(output)?
        {
            eprintln!("note: the checkpoints of an earlier run were moved to {}", folder.display());
        }
    }
    let name = if settings.do_train { CONFIG_FILE } else { EVALUATION_CONFIG_FILE };
    let text = serde_json::to_string_pretty(settings).context("the settings as json")?;
    atomic::write_file(&output.join(name), format!("{text}\n").as_bytes())?;
    let encoder = prefix(settings, base)?;
    if let Some(train) = &data.train {
        let Some(encoder) = &encoder else { bail!("--pre_seq_len is missing: there is nothing to train") };
        let eval_rows = data.eval.as_ref().map_or(&[][..], |eval| &eval.samples);
        if train_adapter(settings, base, encoder, train, eval_rows, stop)? {
            return Ok(());
        }
    }
    let loss = match &data.eval {
        Some(eval) => evaluate(settings, base, encoder.as_ref(), &eval.samples, stop)?,
        None => None,
    };
    predict::run(settings, base, encoder.as_ref(), &data.predict, loss, stop)
}

/// Makes sure that one process alone trains into a folder, for as long as the file is open.
fn lock(output: &Path) -> anyhow::Result<File> {
    let path = output.join("run.lock");
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "--output_dir {}: another glmtune is training into this folder; wait for it or give another one",
                output.display()
            )
        }
        // A file system without locks: the run is no worse off than before.
        Err(TryLockError::Error(_)) => Ok(file),
    }
}

struct Samples {
    rows: Rows,
    samples: Vec<TrainRow>,
}

/// Reads and tokenizes a file of rows, and says what became of them.
fn samples(file: &Path, limit: Option<usize>, tokenizer: &Tokenizer, config: &DataConfig) -> anyhow::Result<Samples> {
    let rows = limited(file, limit, config.lenient)?;
    let (samples, report) = train_rows(&rows, tokenizer, config)?;
    say(file, &rows, &report);
    Ok(Samples { rows, samples })
}

/// The first `limit` rows of a file.
pub(super) fn limited(file: &Path, limit: Option<usize>, lenient: bool) -> anyhow::Result<Rows> {
    let mut rows = read_rows(file, lenient)?;
    if let Some(limit) = limit {
        rows.truncate(limit);
    }
    Ok(rows)
}

pub(super) fn say(file: &Path, rows: &Rows, report: &PreprocessReport) {
    if let Some(note) = &rows.note {
        eprintln!("note: {note}");
    }
    eprintln!("{}: {report}", file.display());
}

/// The prefix to use: from a checkpoint, fresh, or none.
fn prefix(settings: &RunConfig, base: &Loaded) -> anyhow::Result<Option<PrefixEncoder>> {
    let Some(adapter) = &settings.adapter else { return Ok(None) };
    let config = base.network.config();
    let (encoder, origin) = match (&base.prefix, &adapter.checkpoint, adapter.pre_seq_len) {
        (Some(loaded), Some(checkpoint), _) => (copy(loaded)?, format!("from {}", checkpoint.display())),
        (_, _, Some(length)) => {
            let sizes = PrefixConfig::new(config, length, adapter.prefix_projection.unwrap_or(false));
            let origin = if settings.resume.is_some() { "fresh unless resumed" } else { "fresh" };
            check_size(&sizes, settings.train.per_device_train_batch_size)?;
            (PrefixEncoder::new(sizes, &mut Rng::with_stream(settings.train.seed, 0))?, origin.to_owned())
        }
        _ => bail!("--pre_seq_len is missing"),
    };
    let projection = if encoder.config().prefix_projection { " with projection" } else { "" };
    eprintln!("prefix: {} × {} layers{projection}, {origin}", encoder.config().pre_seq_len, config.num_layers);
    Ok(Some(encoder))
}

/// Refuses a prefix that cannot be trained in the memory there is, instead of being ended by the system.
fn check_size(sizes: &PrefixConfig, rows: usize) -> anyhow::Result<()> {
    let Some(available) = memory::available() else { return Ok(()) };
    // Values, gradients, two moments and a copy while updating; and per row of the batch its own rows and their gradient.
    let values: u128 =
        sizes.tensors().iter().map(|(_, shape)| shape.iter().map(|n| *n as u128).product::<u128>()).sum();
    let needed = 4 * (5 * values + 3 * rows as u128 * sizes.pre_seq_len as u128 * sizes.width() as u128);
    if needed > u128::from(available) {
        bail!(
            "--pre_seq_len {}: training that prefix needs about {:.1} GB, {:.1} GB are free; 128 is usual",
            sizes.pre_seq_len,
            needed as f64 / 1e9,
            available as f64 / 1e9
        );
    }
    Ok(())
}

/// Trains; `true` when it was interrupted.
fn train_adapter(
    settings: &RunConfig,
    base: &Loaded,
    encoder: &PrefixEncoder,
    train: &Samples,
    eval_rows: &[TrainRow],
    stop: &AtomicBool,
) -> anyhow::Result<bool> {
    let output = settings.output_dir.as_path();
    let resume = match &settings.resume {
        None => None,
        Some(Resume::Path(path)) => Some(path.clone()),
        Some(Resume::Auto) => {
            let found =
                run_dir::latest_checkpoint(output, &[trainer::STATE_FILE, trainer::TENSORS_FILE, "pytorch_model.bin"])?;
            if found.is_none() {
                eprintln!("no complete checkpoint in {}: starting from the beginning", output.display());
            }
            found.map(|checkpoint| checkpoint.path)
        }
    };
    advise(settings, train)?;
    let trainable: usize = encoder.parameters().iter().map(|(_, var)| var.elem_count()).sum();
    let all = base.network.parameter_count() + trainable;
    eprintln!("trainable: {trainable} of {all} parameters ({:.4} %)", 100.0 * trainable as f64 / all as f64);
    let began_with = copy(encoder)?;
    let writer = CheckpointWriter::new(settings, base, encoder, fingerprint_file(&train.rows.file)?);
    let save = |folder: &Path| writer.write(folder);
    let adapter = Adapter::Prefix { encoder: encoder.clone(), dropout: settings.prefix_dropout };
    let mut progress = TrainProgress::new(settings.progress);
    let outcome = Trainer {
        network: &base.network,
        adapter: &adapter,
        config: &settings.train,
        rows: &train.samples,
        eval_rows,
        output_dir: output,
        tensorboard: settings.tensorboard.as_deref(),
        save_adapter: &save,
    }
    .run(resume.as_deref(), stop, &mut progress)?;
    drop(progress);
    if outcome.step == 0 {
        eprintln!("stopped before the first step: nothing to save");
        return Ok(true);
    }
    let schedule = Schedule::new(&settings.train, RunLength::new(train.samples.len(), &settings.train)?.total_steps);
    // In a warm-up the first rate is 0, and then nothing can have moved.
    let must_move = (0..outcome.step).any(|step| schedule.rate(step) > 0.0);
    eprintln!("{}", verify(&outcome.checkpoint, &base.network, &began_with, must_move)?);
    let seconds = outcome.runtime.as_secs_f64();
    let checkpoint = outcome.checkpoint.display();
    if outcome.interrupted {
        eprintln!(
            "stopped after step {}; saved {checkpoint}. To go on: the same command with --resume_from_checkpoint auto",
            outcome.step
        );
    } else {
        eprintln!(
            "trained {} steps in {seconds:.1} s, mean loss {:.4}; checkpoint {checkpoint}",
            outcome.step, outcome.train_loss
        );
    }
    Ok(outcome.interrupted)
}

fn copy(encoder: &PrefixEncoder) -> anyhow::Result<PrefixEncoder> {
    let mut values = Vec::new();
    for (_, var) in encoder.parameters() {
        values.push(var.as_tensor().flatten_all()?.to_vec1::<f32>()?);
    }
    let mut values = values.into_iter();
    Ok(PrefixEncoder::from_values(*encoder.config(), |_, _| values.next().unwrap_or_default())?)
}

/// Says before hours are spent what usually goes wrong with such settings.
fn advise(settings: &RunConfig, train: &Samples) -> anyhow::Result<()> {
    let config = &settings.train;
    let length = RunLength::new(train.samples.len(), config)?;
    let steps_saved = config.save_strategy == IntervalStrategy::Steps;
    if steps_saved && config.max_steps.is_none() && config.save_steps as u64 > length.total_steps {
        eprintln!(
            "warning: --save_steps {} is more than the {} steps of this run; only the final checkpoint will be saved",
            config.save_steps, length.total_steps
        );
    }
    let accumulation = config.gradient_accumulation_steps as u64;
    if length.micro_batches_per_epoch < accumulation {
        eprintln!(
            "warning: an epoch has {} micro batches, fewer than --gradient_accumulation_steps {accumulation}: as officially, \
             each step ends with the epoch and is still divided by {accumulation}, so losses and gradients look smaller",
            length.micro_batches_per_epoch
        );
    }
    if train.samples.len() < 1000 && config.learning_rate > 5e-3 && length.num_train_epochs > 10 {
        eprintln!(
            "warning: {} rows seen {} times at learning rate {:e}: the model will answer other questions with this data too; \
             fewer steps or a smaller rate keep more of what it knew",
            train.samples.len(),
            length.num_train_epochs,
            config.learning_rate
        );
    }
    Ok(())
}

fn evaluate(
    settings: &RunConfig,
    base: &Loaded,
    encoder: Option<&PrefixEncoder>,
    rows: &[TrainRow],
    stop: &AtomicBool,
) -> anyhow::Result<Option<Metrics>> {
    let adapter = encoder.map(|encoder| Adapter::Prefix { encoder: encoder.clone(), dropout: 0.0 });
    let mut progress = TrainProgress::new(settings.progress);
    let (began, size) = (Instant::now(), settings.train.per_device_eval_batch_size);
    let adapter = adapter.as_ref();
    let loss = trainer::evaluate(&base.network, adapter, rows, size, stop, |done, of| progress.evaluating(done, of))?;
    let Some(loss) = loss else {
        eprintln!("stopped during the evaluation: its loss is not written");
        return Ok(None);
    };
    let mut scores = vec![("loss", loss)];
    // Past this the perplexity is no finite number.
    if loss < 700.0 {
        scores.push(("perplexity", loss.exp()));
    }
    let batches = rows.len().div_ceil(size) as u64;
    let metrics = split_metrics(Split::Eval, &scores, began.elapsed(), rows.len() as u64, batches)?;
    save_results(&settings.output_dir, Split::Eval, &metrics)?;
    println!("eval_loss {loss:.4}  perplexity {:.3}  ({} rows)", loss.exp(), rows.len());
    Ok(Some(metrics))
}
