//! `glmtune export`: what was trained, in the form of other programs. Every export is reopened and compared before it is
//! said to be done.

use super::not_base::refuse_adapter;
use super::{adapter, base, signals};
use crate::args::types::{ExportForm, FileFormat};
use crate::args::usage::{UsageError, of_setting};
use crate::config::adapter::AdapterConfig;
use crate::config::tools::ExportSettings;
use crate::hub;
use anyhow::{Context, bail};
use glm_model::adapter::{LoraAdapter, PrefixEncoder, write_lora};
use glm_model::export::{
    ExportReport, FolderOptions, FolderSource, GgufOptions, LoraDelta, Merged, TensorSource, begin_folder, check_gguf,
    export_bundle, export_folder, export_gguf, export_prefix, export_quantized,
};
use glm_model::weights::{FileFormat as WeightFormat, fingerprint};
use glm_train::Adapter;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::path::Path;

/// Runs it.
///
/// # Errors
/// Names the file, tensor or flag, and what to do; nothing is left half-written.
pub fn run(settings: &ExportSettings) -> anyhow::Result<()> {
    if settings.adapter.is_none() && matches!(settings.to, ExportForm::Thudm | ExportForm::Peft | ExportForm::Bundle) {
        return refuse("--to thudm, peft and bundle write an adapter: give one as --adapter");
    }
    let folder = hub::resolve(&settings.base.path, &settings.base.hub).context("--model_name_or_path")?;
    refuse_adapter(&folder, Some("--adapter"))?;
    signals::remove_unfinished_when_stopped()?;
    let source = FolderSource::open(&folder)?;
    let config = source.config();
    if settings.to == ExportForm::Gguf {
        check_gguf(config).map_err(of_setting).context("--to gguf")?;
    }
    let opened = match &settings.adapter {
        Some(files) => {
            let any = AdapterConfig::FromFile { init_from: files.clone(), prefix_dropout: 0.0 };
            adapter::open(Some(&any), config)?
        }
        None => None,
    };
    if let Some(opened) = &opened {
        let now = [("base_fingerprint", fingerprint(source.weights())), ("variant", config.variant.name().to_owned())];
        base::warn_of_another_base(&opened.trained_on, &now);
    }
    if let Some(parent) = settings.out.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).with_context(|| format!("--out {}", settings.out.display()))?;
    }
    let report = match opened.as_ref().map(|opened| (&opened.adapter, &opened.trained_on)) {
        Some((Adapter::Prefix { encoder, .. }, trained_on)) => prefix(settings, &source, &folder, encoder, trained_on)?,
        Some((Adapter::Lora(lora), trained_on)) => lora_export(settings, &source, &folder, lora, trained_on)?,
        Some((Adapter::Full, _)) => refuse("--adapter: it is a whole model; give it as --model_name_or_path")?,
        None => model(settings, &source, &folder)?,
    };
    for remark in &report.remarks {
        eprintln!("note: {remark}");
    }
    println!(
        "{}: {} tensors, {:.1} MB, reopened and compared",
        report.path.display(),
        report.tensors,
        report.bytes as f64 / 1e6
    );
    Ok(())
}

/// What the flags ask for and what they name do not go together.
fn refuse<T>(reason: &str) -> anyhow::Result<T> {
    Err(UsageError(reason.into()).into())
}

fn prefix(
    settings: &ExportSettings,
    source: &FolderSource,
    folder: &Path,
    encoder: &PrefixEncoder,
    trained_on: &BTreeMap<String, String>,
) -> anyhow::Result<ExportReport> {
    let config = source.config();
    match settings.to {
        ExportForm::Thudm => Ok(export_prefix(config, encoder, trained_on, folder, &settings.out)?),
        ExportForm::Bundle => {
            let mut metadata = trained_on.clone();
            if !metadata.contains_key("base_fingerprint") {
                // The Python scripts' checkpoints do not say it; whoever exports says it by naming the base.
                metadata.insert("base_fingerprint".into(), fingerprint(source.weights()));
            }
            Ok(export_bundle(config, encoder, &metadata, folder, &settings.out)?)
        }
        ExportForm::Peft => refuse(
            "--to peft writes LoRA; this is a P-Tuning prefix, whose layout PEFT's PREFIX_TUNING gets wrong for ChatGLM. \
             Use --to thudm or --to bundle",
        ),
        ExportForm::Merged | ExportForm::Int4 | ExportForm::Int8 | ExportForm::Gguf => refuse(
            "a prefix cannot be merged into the weights: it is extra keys and values in front of the text, and no change of \
             the matrices does the same. Ship the base and the prefix: --to bundle writes it as one file, --to thudm as \
             THUDM's scripts load it. To export the base alone, leave out --adapter",
        ),
    }
}

fn lora_export(
    settings: &ExportSettings,
    source: &FolderSource,
    folder: &Path,
    lora: &LoraAdapter,
    trained_on: &BTreeMap<String, String>,
) -> anyhow::Result<ExportReport> {
    match settings.to {
        ExportForm::Peft => peft(settings, source, lora, trained_on),
        ExportForm::Thudm | ExportForm::Bundle => refuse(
            "--to: this is LoRA, which --to peft writes as an adapter, and --to merged, int4, int8 or gguf as a whole model; \
             thudm and bundle are for prefixes",
        ),
        _ => {
            let delta = LoraDelta::new(lora, source.config());
            model(settings, &Merged::new(source, &delta)?, folder)
        }
    }
}

fn peft(
    settings: &ExportSettings,
    source: &FolderSource,
    lora: &LoraAdapter,
    trained_on: &BTreeMap<String, String>,
) -> anyhow::Result<ExportReport> {
    let out = &settings.out;
    let place = begin_folder(out).context("--out")?;
    let name = settings.base.path.display().to_string();
    write_lora(place.path(), lora, source.config(), &name, trained_on)?;
    let again = adapter::reopen(place.path(), source.config())?;
    let same = adapter::values(&again)? == adapter::values(&Adapter::Lora(lora.clone()))?;
    if !same {
        bail!("{}: what was written reads back differently; nothing is kept", out.display());
    }
    place.commit()?;
    let values: usize = lora.parameters().iter().map(|(_, var)| var.elem_count()).sum();
    Ok(ExportReport {
        path: out.clone(),
        tensors: lora.parameters().len(),
        bytes: 4 * values as u64,
        copied: Vec::new(),
        remarks: Vec::new(),
    })
}

/// A whole model.
fn model(settings: &ExportSettings, source: &dyn TensorSource, folder: &Path) -> anyhow::Result<ExportReport> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(
        "exporting {bar:28.cyan/blue} {bytes}/{total_bytes} written and compared, ETA {eta}",
    ) {
        bar.set_style(style.progress_chars("━╸─"));
    }
    let mut progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let out = &settings.out;
    let report = match settings.to {
        ExportForm::Merged => {
            let format = match settings.format {
                FileFormat::Bin => WeightFormat::Torch,
                FileFormat::Safetensors => WeightFormat::Safetensors,
            };
            let options = FolderOptions { dtype: settings.dtype, format, shard_size: settings.shard_size };
            export_folder(source, folder, out, options, &mut progress)
        }
        ExportForm::Int4 => export_quantized(source, 4, folder, out, &mut progress),
        ExportForm::Int8 => export_quantized(source, 8, folder, out, &mut progress),
        _ => {
            let options = GgufOptions { kind: settings.gguf_type, name: None };
            export_gguf(source, folder, out, &options, &mut progress)
        }
    };
    bar.finish_and_clear();
    Ok(report?)
}
