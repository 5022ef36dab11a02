//! The plan for people.

use super::Plan;
use std::fmt::Write;

/// Its text.
///
/// # Errors
/// None: texts can always be written.
pub fn text(plan: &Plan) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let m = &plan.memory;
    writeln!(out, "base      {}, linear layers: {}", plan.base, plan.scheme)?;
    writeln!(out, "trains    {}: {} values", plan.method, plan.trainable)?;
    writeln!(
        out,
        "rows      {}: {} tokens an epoch, {} of them scored; longest {}, largest micro batch {}",
        plan.lengths.rows, plan.lengths.tokens, plan.lengths.supervised, plan.lengths.longest, plan.lengths.most_tokens
    )?;
    writeln!(
        out,
        "steps     {} in all, {} an epoch, {} micro batches",
        plan.total_steps, plan.steps_per_epoch, plan.micro_batches
    )?;
    if let Some(form) = &plan.quantized_form {
        let there = if form.there { "kept in" } else { "to be written to" };
        writeln!(out, "quantized {} {there} {}", size(form.bytes), form.path)?;
    }
    writeln!(out, "\nmemory")?;
    for (name, bytes) in [
        ("program", m.process),
        ("weights", m.weights),
        ("trained values", m.adapter),
        ("gradients", m.gradients),
        ("optimizer", m.optimizer),
        ("prefix rows", m.prefix),
        ("activations", m.activations.max(m.logits)),
    ] {
        writeln!(out, "  {name:<15} {:>10}", size(bytes))?;
    }
    writeln!(out, "  {:<15} {:>10}", "training", size(m.training()))?;
    writeln!(out, "  {:<15} {:>10}", "while loading", size(m.process + m.weights + m.loading))?;
    let free = plan.free.map_or(String::new(), |free| {
        let verdict = if plan.peak > free { "does not fit" } else { "fits" };
        format!("  ({} free: {verdict})", size(free))
    });
    writeln!(out, "  {:<15} {:>10}{free}", "peak", size(plan.peak))?;
    writeln!(out, "  {:<15} {:>10}  (of an evaluation batch, when training is over)", "KV cache", size(plan.kv_cache))?;
    writeln!(out, "\npeak of the same run otherwise{:>24}{:>14}", "recomputing", "keeping all")?;
    for pair in plan.alternatives.chunks(2) {
        let [recomputed, kept] = pair else { continue };
        writeln!(out, "  {:<40} {:>12}{:>14}", recomputed.scheme, size(recomputed.peak), size(kept.peak))?;
    }
    if plan.time.is_none() {
        writeln!(out, "\ntime      not measured")?;
    }
    if let Some(time) = &plan.time {
        writeln!(
            out,
            "\ntime      {} on this machine: {} a micro batch (measured on {} tokens through the first two layers), {} a step \
             for the optimizer",
            duration(time.run),
            brief(time.micro_batch),
            time.measured_tokens,
            brief(time.update)
        )?;
    }
    Ok(out)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

fn brief(seconds: f64) -> String {
    if seconds < 0.01 { format!("{:.2} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} seconds"),
        s if s < 7200.0 => format!("{:.0} minutes", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} hours", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}
