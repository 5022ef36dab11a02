//! The measurements for people: a line each with time, speed and its share of what the machine reaches.

use std::fmt::{Result, Write};

use super::decoding::Decoding;
use super::kernels::Kernels;
use super::loading::Loading;
use super::training::Training;
use super::{Measured, Rate};
use crate::cmd::inspect::report::bytes;

/// Writes them.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, measured: &Measured) -> Result {
    let peaks = &measured.peaks;
    let name = measured.processor.as_deref().unwrap_or("this machine");
    writeln!(
        out,
        "{name}, {} threads, kernels for {}, products in {}",
        measured.threads, measured.isa, measured.compute
    )?;
    let bf16 = peaks.bf16_flops.map_or(String::new(), |flops| format!(", bf16 {:.0} GFLOP/s", flops / 1e9));
    let int8 = peaks.int8_ops.map_or(String::new(), |ops| format!(", int8 {:.0} GOP/s", ops / 1e9));
    let (f32, read) = (peaks.f32_flops / 1e9, peaks.read_bytes_per_second / 1e9);
    writeln!(out, "its peak: f32 {f32:.0} GFLOP/s{bf16}{int8}")?;
    writeln!(out, "memory is read at {read:.1} GB/s")?;
    if let Some(kernels) = &measured.kernels {
        write_kernels(out, kernels)?;
    }
    if let Some(loading) = &measured.loading {
        write_loading(out, loading)?;
    }
    if let Some(training) = &measured.training {
        write_training(out, training)?;
    }
    if let Some(decoding) = &measured.decoding {
        write_decoding(out, decoding)?;
    }
    writeln!(out, "\nShare: of the peak in these numbers; of tokens answered, of memory's speed.")?;
    if let Some(loading) = &measured.loading.as_ref().filter(|loading| loading.blocks < loading.layers) {
        writeln!(out, "Measured with {} blocks; {} are told from them.", loading.blocks, loading.layers)?;
    }
    if let Some(load) = measured.load.filter(|load| *load > 0.5) {
        writeln!(out, "The machine was busy when this began (load {load:.1}): idle, it is faster.")?;
    }
    Ok(())
}

fn write_kernels(out: &mut impl Write, kernels: &Kernels) -> Result {
    writeln!(out, "\nProducts with the matrices of a block of {}, {} tokens", kernels.sizes_of, kernels.tokens)?;
    writeln!(out, "{:<35}{:>15}{:>15}{:>15}", "GFLOP/s; one token: GB/s", "y = x Wᵀ", "dx = dy W", "one token")?;
    for form in &kernels.forms {
        let of = |rate: Rate| {
            let digits = if rate.per_second < 10e9 { 1 } else { 0 };
            format!("{:.digits$} ({})", rate.per_second / 1e9, share(rate))
        };
        let block = &form.block;
        writeln!(
            out,
            "  {:<33}{:>15}{:>15}{:>15}",
            form.form,
            of(block.forward),
            of(block.input_gradient),
            of(block.one_token)
        )?;
    }
    Ok(())
}

fn write_loading(out: &mut impl Write, loading: &Loading) -> Result {
    heading(out, &format!("Loading {} as {}", loading.base, loading.scheme))?;
    let what = format!("{}, {} blocks", bytes(loading.file_bytes), loading.blocks);
    line(out, &what, loading.seconds, &speed(loading.bytes_per_second), None)?;
    if loading.blocks < loading.layers {
        let what = format!("{}, {} blocks, told from it", bytes(loading.all_file_bytes), loading.layers);
        line(out, &what, loading.all_seconds, "", None)?;
    }
    Ok(())
}

fn write_training(out: &mut impl Write, training: &Training) -> Result {
    heading(out, &format!("Training, {} × {} tokens", training.rows, training.tokens / training.rows.max(1)))?;
    for method in &training.methods {
        writeln!(out, "  {}", method.method)?;
        line(out, "  a block, forward and backward", method.time.block, &operations(method.block), Some(method.block))?;
        line(out, "  output layer and loss", training.head_seconds, &operations(training.head), Some(training.head))?;
        let rest = (method.time.fixed - training.head_seconds).max(0.0);
        if rest > 0.0 {
            line(out, "  the rest", rest, "", None)?;
        }
        let whole = format!("  a micro batch, {} blocks", training.layers);
        line(out, &whole, method.micro_batch_seconds, &operations(method.micro_batch), Some(method.micro_batch))?;
        line(out, "  an optimizer step", method.update_seconds, "", None)?;
    }
    Ok(())
}

fn write_decoding(out: &mut impl Write, decoding: &Decoding) -> Result {
    heading(out, &format!("Answering, {} blocks", decoding.layers))?;
    let tokens = |rate: f64| format!("{rate:.*} tokens/s", if rate < 100.0 { 1 } else { 0 });
    let what = format!("a prompt of {} tokens", decoding.context);
    line(out, &what, decoding.prompt_seconds, &tokens(decoding.prompt_tokens_per_second), Some(decoding.prompt))?;
    for answers in &decoding.answers {
        let what = match answers.batch {
            1 => "a token of one answer".to_owned(),
            n => format!("a token of each of {n} answers"),
        };
        line(out, &what, answers.step_seconds, &tokens(answers.tokens_per_second), Some(answers.weights))?;
    }
    Ok(())
}

fn heading(out: &mut impl Write, text: &str) -> Result {
    // A long one has a line of its own.
    let (before, text) = if text.chars().count() > 44 { (format!("{text}\n"), "") } else { (String::new(), text) };
    writeln!(out, "\n{before}{text:<44}{:>12}{:>16}{:>8}", "time", "speed", "share")?;
    Ok(())
}

fn line(out: &mut impl Write, what: &str, seconds: f64, speed: &str, rate: Option<Rate>) -> Result {
    let text = format!("  {what:<42}{:>12}{speed:>16}{:>8}", time(seconds), rate.map_or(String::new(), share));
    writeln!(out, "{}", text.trim_end())?;
    Ok(())
}

fn share(rate: Rate) -> String {
    format!("{:.0} %", 100.0 * rate.share)
}

fn operations(rate: Rate) -> String {
    format!("{:.1} GFLOP/s", rate.per_second / 1e9)
}

fn speed(bytes_per_second: f64) -> String {
    format!("{:.2} GB/s", bytes_per_second / 1e9)
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 600.0 => format!("{s:.2} s"),
        s => format!("{:.1} min", s / 60.0),
    }
}
