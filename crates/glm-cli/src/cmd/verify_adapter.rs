//! `glmtune verify-adapter`: what an adapter changes, on a few rows.

use super::{adapter, base, output, threads};
use crate::config::adapter::AdapterConfig;
use crate::config::tools::VerifySettings;
use anyhow::{Context, bail};
use glm_data::{Batch, Positions, Tokenizer, eval_rows, read_rows};
use glm_infer::{Engine, GenerationConfig, Request, SpecialIds};
use glm_model::Network;
use glm_model::adapter::AdapterSlots;
use std::sync::atomic::AtomicBool;

/// Answers the rows with and without the adapter, and compares the logits behind each prompt.
///
/// # Errors
/// Names the file or flag; also when the adapter changes nothing at all.
pub fn run(settings: &VerifySettings) -> anyhow::Result<()> {
    threads::set(settings.threads)?;
    let files = AdapterConfig::FromFile { init_from: settings.adapter.clone(), prefix_dropout: 0.0 };
    let prepared = base::prepare(&settings.base, Some(&files))?;
    let mut rows = read_rows(&settings.file, settings.data.lenient)?;
    rows.truncate(settings.rows);
    let (rows, _) = eval_rows(&rows, &prepared.tokenizer, &settings.data)?;
    let loaded = prepared.load(true)?;
    let tuned = loaded.adapter.as_ref().context("--adapter: nothing was opened")?;
    let origin = format!("from {}", settings.adapter.path().display());
    output::print(&adapter::describe(tuned, &loaded.network, &origin))?;
    let slots = AdapterSlots::default();
    let slot = adapter::add(&slots, Some(tuned))?;
    let generation = GenerationConfig {
        do_sample: false,
        max_new_tokens: Some(settings.max_new_tokens),
        ..GenerationConfig::default()
    };
    let mut largest = 0.0f64;
    for row in &rows {
        let positions = Positions::of(&loaded.tokenizer, &row.ids)?;
        let moved = moved(&loaded.network, &slots, &row.ids, positions, slot)?;
        largest = largest.max(moved);
        let request = |slot| Request { positions, ..Request::new(row.ids.clone(), slot, &generation) };
        let engine = Engine::new(&loaded.network, &slots, SpecialIds::of(&loaded.tokenizer));
        let answers =
            engine.generate(&[request(None), request(slot)], &generation, &AtomicBool::new(false), &mut |_, _| {})?;
        let [before, after] = answers.as_slice() else { bail!("row {}: no answer", row.source + 1) };
        output::print(&format!("\nrow {}: {}", row.source + 1, row.query))?;
        output::print(&format!("  expected  {}", row.answer))?;
        output::print(&format!("  base      {}", text(&loaded.tokenizer, before.content())))?;
        output::print(&format!("  tuned     {}", text(&loaded.tokenizer, after.content())))?;
        output::print(&format!("  ‖Δ‖ of the logits behind the prompt: {:.2} % of their norm", 100.0 * moved))?;
    }
    if largest == 0.0 {
        bail!(
            "{}: the adapter changes nothing on these rows: it is untrained, or was saved before it was trained",
            settings.adapter.path().display()
        );
    }
    Ok(())
}

/// ‖tuned − base‖ / ‖base‖ of the logits of the next token.
fn moved(
    network: &Network,
    slots: &AdapterSlots,
    ids: &[u32],
    positions: Positions,
    slot: Option<usize>,
) -> anyhow::Result<f64> {
    let logits = |slot| -> anyhow::Result<Vec<f32>> {
        let mut batch = Batch::default();
        batch.push(ids, 0, positions, slot, 0);
        let hidden = network.forward(&batch, &slots.inputs(&batch.segments)?)?;
        Ok(network.logits(&hidden.narrow(0, ids.len() - 1, 1)?)?.flatten_all()?.to_vec1()?)
    };
    let (base, tuned) = (logits(None)?, logits(slot)?);
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut base.iter().zip(&tuned).map(|(a, b)| f64::from(a - b)));
    Ok(difference / norm(&mut base.iter().map(|v| f64::from(*v))).max(f64::MIN_POSITIVE))
}

fn text(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    tokenizer.decode(ids).trim().replace('\n', "⏎")
}
