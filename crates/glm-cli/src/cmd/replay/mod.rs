//! `glmtune replay`: whether training, evaluation and the server see the same token ids in the same rows, and answer alike.

mod answers;
mod prompts;
mod report;

use super::train::{CONFIG_FILE, limited};
use super::{adapter, base, output, threads};
use crate::config::ReplaySettings;
use crate::config::adapter::AdapterConfig;
use answers::Both;
use anyhow::{Context, bail};
use glm_data::DataConfig;
use glm_model::adapter::{self as adapters, AdapterSlots};
use glm_serve::{Model, Models};
use prompts::Prompts;
use report::{Difference, Report};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Name of the adapter in the server that is played.
const NAME: &str = "adapter";

/// Goes through the rows and prints what it finds.
///
/// # Errors
/// Names the first difference; or the file or flag that cannot be used.
pub fn run(settings: &ReplaySettings) -> anyhow::Result<()> {
    threads::set(settings.threads)?;
    let files = settings.adapter.as_ref();
    let config = files.map(|files| AdapterConfig::FromFile { init_from: files.clone(), prefix_dropout: 0.0 });
    let prepared = base::prepare(&settings.base, config.as_ref())?;
    let rows = limited(&settings.file, Some(settings.samples), settings.data.lenient)?;
    let loaded = prepared.load(!settings.json)?;
    // As an evaluation has it, in slots of its own; the server loads the files again.
    let slots = AdapterSlots::default();
    let slot = adapter::add(&slots, loaded.adapter.as_ref())?;
    let models = Models::new(Arc::new(Model::new(loaded.network, loaded.tokenizer)), "base");
    let (answerer, says) = match files {
        Some(files) => {
            let says = adapters::open(files.path())?.metadata()?;
            (models.load(NAME, files.path())?, says)
        }
        None => (Arc::clone(models.base()), BTreeMap::new()),
    };
    let (data, data_from) = data_config(settings, &says)?;
    let all = prompts::of(&rows, &models.model().tokenizer, &answerer, &data)?;
    let mut report = Report::new(&all, &answerer, &data, data_from);
    compare_prompts(&all, models.model(), &mut report);
    let alike: Vec<(usize, &[u32])> = all.iter().filter_map(Prompts::alike).collect();
    let both =
        Both { models: &models, answerer: &answerer, slots: &slots, slot, max_new_tokens: settings.max_new_tokens };
    compare_answers(&alike, &both, models.model(), &mut report)?;
    match settings.json {
        true => output::print(&serde_json::to_string_pretty(&report)?)?,
        false => output::print(&report.to_string())?,
    }
    match report.differences.first() {
        Some(first) => bail!("{first}"),
        None => Ok(()),
    }
}

fn compare_prompts(all: &[Prompts], model: &Model, report: &mut Report) {
    for prompts in all {
        let Some((training, evaluation)) = prompts.training.as_ref().zip(prompts.evaluation.as_ref()) else { continue };
        let (row, tokenizer) = (prompts.row, &model.tokenizer);
        match Difference::between(row, "prompt", ["training", "evaluation"], [training, evaluation], tokenizer) {
            None => report.trained_as_evaluated += 1,
            Some(difference) => report.differences.push(difference),
        }
        // A server cuts nothing.
        if prompts.cut {
            continue;
        }
        let found = match &prompts.serving {
            Ok(serving) => {
                Difference::between(row, "prompt", ["evaluation", "serving"], [evaluation, serving], tokenizer)
            }
            Err(reason) => Some(Difference::refused(row, reason)),
        };
        match found {
            None => report.evaluated_as_served += 1,
            Some(difference) => report.differences.push(difference.because(prompts.reason)),
        }
    }
}

fn compare_answers(
    alike: &[(usize, &[u32])],
    both: &Both<'_>,
    model: &Model,
    report: &mut Report,
) -> anyhow::Result<()> {
    let ids: Vec<&[u32]> = alike.iter().map(|(_, ids)| *ids).collect();
    let (evaluated, served) = (both.evaluated(&ids)?, both.served(&ids)?);
    for (((row, _), evaluated), served) in alike.iter().zip(&evaluated).zip(&served) {
        report.answer_tokens += evaluated.len();
        let names = ["evaluation", "serving"];
        match Difference::between(*row, "answer", names, [evaluated, served], &model.tokenizer) {
            None => report.answered_alike += 1,
            Some(difference) => report.differences.push(difference),
        }
    }
    Ok(())
}

/// How rows become prompts: as the flags say; where they say nothing, as the run of the adapter did, or as its file says.
fn data_config(
    settings: &ReplaySettings,
    says: &BTreeMap<String, String>,
) -> anyhow::Result<(DataConfig, &'static str)> {
    if settings.data_given {
        return Ok((settings.data.clone(), "the flags"));
    }
    let lenient = settings.data.lenient;
    let run = settings.adapter.as_ref().and_then(|files| files.path().parent());
    if let Some(file) = run.map(|run| run.join(CONFIG_FILE)).filter(|file| file.is_file()) {
        let said = of_run(&file).with_context(|| format!("{}: not the settings of a run", file.display()))?;
        return Ok((DataConfig { lenient, ..said }, "the run of the adapter"));
    }
    let mut data = settings.data.clone();
    let number = |key: &str| says.get(key).and_then(|text| text.parse().ok());
    data.source_prefix = says.get("source_prefix").cloned().unwrap_or_default();
    data.max_source_length = number("max_source_length").unwrap_or(data.max_source_length);
    data.max_target_length = number("max_target_length").unwrap_or(data.max_target_length);
    let from = if says.contains_key("max_source_length") { "the file of the adapter" } else { "the defaults" };
    Ok((data, from))
}

fn of_run(file: &Path) -> anyhow::Result<DataConfig> {
    let mut said: serde_json::Value = serde_json::from_slice(&std::fs::read(file)?)?;
    Ok(serde_json::from_value(said["data"].take())?)
}
