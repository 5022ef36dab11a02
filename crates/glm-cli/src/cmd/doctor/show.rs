//! The findings for people.

use std::fmt::{Result, Write};

use super::{Findings, Kept};
use crate::cmd::inspect::report::bytes;
use glm_kernels::cpu::frozen::Compute;

/// Columns of a terminal.
const WIDTH: usize = 80;
/// Where facts begin.
const INDENT: usize = 20;

/// Writes them.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, findings: &Findings) -> Result {
    let (processor, kernels, memory) = (&findings.processor, &findings.kernels, &findings.memory);
    let named = |has: bool| {
        let names = processor.features.iter().filter(|(_, there)| **there == has).map(|(name, _)| *name);
        let names: Vec<_> = names.collect();
        if names.is_empty() { "nothing that is used".into() } else { names.join(" ") }
    };
    let known = |count: Option<u64>| count.map_or("unknown".into(), bytes);
    writeln!(out, "Processor")?;
    fact(out, "name", &format!("{} ({})", processor.name.as_deref().unwrap_or("unknown"), processor.architecture))?;
    let cores = processor.cores.map_or(String::new(), |cores| format!("{cores} cores, "));
    fact(out, "size", &format!("{cores}{} hardware threads, {} usable", processor.hardware_threads, processor.usable))?;
    fact(out, "has", &named(true))?;
    fact(out, "lacks", &named(false))?;
    writeln!(out, "\nChosen")?;
    fact(out, "kernels", kernels.isa)?;
    fact(out, "--compute auto", kernels.compute)?;
    fact(out, "threads", &kernels.threads.to_string())?;
    fact(out, "graphics card", "none is used by this version")?;
    writeln!(out, "\nMemory")?;
    fact(out, "in all", &known(memory.total))?;
    fact(out, "free", &known(memory.available))?;
    fact(out, "swap in use", &known(memory.swap_used))?;
    if let Some(limit) = memory.container_limit {
        fact(out, "container's limit", &bytes(limit))?;
    }
    if let Some(Kept { folder, files, bytes: size }) = &findings.quantized_cache {
        let what = if *files == 0 { "none is kept" } else { &format!("{} in {files} files", bytes(*size)) };
        fact(out, "quantized bases", &format!("{what} ({})", folder.display()))?;
    }
    writeln!(out, "\nMeasured, all threads together")?;
    fact(out, "memory is read at", &format!("{:.1} GB/s", findings.measured.read_bytes_per_second / 1e9))?;
    fact(out, "f32", &format!("{:.0} GFLOP/s", findings.measured.f32_flops / 1e9))?;
    fact(
        out,
        "bf16",
        &match findings.measured.bf16_flops {
            Some(flops) => format!("{:.0} GFLOP/s", flops / 1e9),
            None => "no instructions that kernels use".into(),
        },
    )?;
    fact(
        out,
        "int8",
        &match findings.measured.int8_ops {
            Some(ops) if Compute::Int8.available() => {
                format!("{:.0} GOP/s (--compute int8, never chosen by auto)", ops / 1e9)
            }
            Some(ops) => format!("{:.0} GOP/s (not used: AVX512_VBMI is lacking or GLM_ISA is set)", ops / 1e9),
            None => "no instructions that kernels use".into(),
        },
    )?;
    let expected = findings.chatglm2_6b_int4;
    fact(
        out,
        "ChatGLM2-6B, INT4",
        &format!(
            "weights of {}; at most {:.1} tokens/s for one answer, as each token reads them once",
            bytes(expected.weights),
            expected.most_tokens_per_second
        ),
    )?;
    writeln!(out, "\nWhat would make it faster")?;
    if findings.advice.is_empty() {
        writeln!(out, "  Nothing here: all that this version can use is in use.")?;
    }
    for sentence in &findings.advice {
        write_wrapped(out, "  - ", sentence)?;
    }
    Ok(())
}

fn fact(out: &mut impl Write, name: &str, text: &str) -> Result {
    write_wrapped(out, &format!("  {name:<width$}", width = INDENT - 2), text)
}

/// Writes text behind `first`, with later lines below its beginning.
fn write_wrapped(out: &mut impl Write, first: &str, text: &str) -> Result {
    let indent = first.chars().count();
    for (number, line) in wrapped(text, WIDTH - indent).iter().enumerate() {
        let before = if number == 0 { first.to_owned() } else { " ".repeat(indent) };
        writeln!(out, "{before}{line}")?;
    }
    Ok(())
}

/// Lines of at most `width` characters, unless a word is longer.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("unbreakable", 3), ["unbreakable"]);
        assert!(wrapped("", 3).is_empty());
    }
}
