//! `glmtune bench`: where the time goes on this machine, beside what the machine reaches at its best.

mod decoding;
mod kernels;
mod loading;
mod show;
mod training;

use std::io::Write;
use std::path::PathBuf;

use glm_data::Variant;
use glm_kernels::cpu::isa;
use glm_model::random_base::RandomBase;
use glm_model::weights::FileFormat;
use glm_model::{DenseType, GlmConfig};
use glm_train::atomic::{AtomicDir, write_file};
use serde::Serialize;

use super::doctor::Processor;
use super::not_base::refuse_adapter;
use super::peaks::Peaks;
use super::{output, threads};
use crate::args::machine::Part;
use crate::config::BenchSettings;
use crate::hub;
use anyhow::Context;

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    /// Version of this program.
    version: &'static str,
    /// Name of the processor.
    processor: Option<String>,
    /// Instruction set of the kernels.
    isa: &'static str,
    /// Threads of all programs that computed or waited to, over the minute before.
    load: Option<f64>,
    /// Threads that computed.
    threads: usize,
    /// Numbers in which products with frozen weights were made.
    compute: &'static str,
    /// The best of this machine.
    peaks: Peaks,
    /// Products with frozen matrices.
    #[serde(skip_serializing_if = "Option::is_none")]
    kernels: Option<kernels::Kernels>,
    /// Reading the base.
    #[serde(skip_serializing_if = "Option::is_none")]
    loading: Option<loading::Loading>,
    /// A micro batch and an update.
    #[serde(skip_serializing_if = "Option::is_none")]
    training: Option<training::Training>,
    /// Prompts and answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    decoding: Option<decoding::Decoding>,
}

/// Seconds of `blocks` blocks and what is there once, told from a short network and a longer one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Split {
    /// Of each block.
    block: f64,
    /// Of everything else.
    fixed: f64,
}

impl Split {
    /// From the seconds of one block and of `blocks`, two or more.
    fn of(one: f64, all: f64, blocks: usize) -> Self {
        let block = ((all - one) / blocks.saturating_sub(1).max(1) as f64).max(0.0);
        Self { block, fixed: (one - block).max(0.0) }
    }

    /// Seconds of a network of so many blocks.
    fn total(self, blocks: usize) -> f64 {
        self.fixed + self.block * blocks as f64
    }
}

/// A speed, and its share of what the machine reaches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Rate {
    /// Operations or bytes a second.
    per_second: f64,
    /// Of the peak; 1 is all of it.
    share: f64,
}

impl Rate {
    fn of(amount: f64, seconds: f64, peak: f64) -> Self {
        // What was too short to be told from the rest has no speed.
        let per_second = if seconds > 0.0 { amount / seconds } else { 0.0 };
        Self { per_second, share: per_second / peak.max(1.0) }
    }
}

/// The configuration of the published ChatGLM2-6B.
///
/// # Errors
/// Never: its sizes fit one another.
pub fn published() -> anyhow::Result<GlmConfig> {
    let base = RandomBase {
        variant: Variant::ChatGlm2,
        sizes: Vec::new(),
        seed: 0,
        dtype: DenseType::F16,
        format: FileFormat::Safetensors,
        shard_size: 0,
        tokenizer: None,
    };
    Ok(base.config()?)
}

/// The folder of a base.
struct Base {
    folder: PathBuf,
    config: GlmConfig,
    /// Keeps the demo's base until the end; it is never put into place, so that it is removed.
    _written: Option<AtomicDir>,
}

impl Base {
    fn find(settings: &BenchSettings) -> anyhow::Result<Self> {
        let (folder, written) = if settings.demo {
            let name = format!("glmtune-bench-{}", std::process::id());
            let folder = AtomicDir::create(&std::env::temp_dir().join(name)).context("the demo's base")?;
            for (name, bytes) in glm_demo::ASSETS {
                write_file(&folder.path().join(name), bytes)?;
            }
            (folder.path().to_owned(), Some(folder))
        } else {
            let folder = hub::resolve(&settings.base.path, &settings.base.hub).context("--model_name_or_path")?;
            refuse_adapter(&folder, None)?;
            (folder, None)
        };
        Ok(Self { config: GlmConfig::read(&folder)?, folder, _written: written })
    }
}

/// Runs it.
///
/// # Errors
/// Names the file or flag, and what to do.
pub fn run(settings: &BenchSettings) -> anyhow::Result<()> {
    threads::set(settings.threads)?;
    let processor = Processor::look();
    let base = Base::find(settings)?;
    let wants = |part| settings.parts.0.contains(&part);
    let say = |what: &str| {
        let _ = writeln!(std::io::stderr(), "measuring {what} …");
    };
    say("the machine");
    let peaks = Peaks::measure();
    let kernels = if wants(Part::Kernels) {
        say("kernels");
        let config = if settings.demo { &published()? } else { &base.config };
        Some(kernels::measure(config, settings, &peaks)?)
    } else {
        None
    };
    let (mut loading, mut training, mut decoding) = (None, None, None);
    if [Part::Loading, Part::Training, Part::Decoding].into_iter().any(wants) {
        say("loading");
        let loaded = loading::load(&base, settings)?;
        if wants(Part::Training) {
            say("training");
            training = Some(training::measure(&loaded, &base.config, settings, &peaks)?);
        }
        if wants(Part::Decoding) {
            say("decoding");
            decoding = Some(decoding::measure(&loaded, &base.config, settings, &peaks)?);
        }
        loading = wants(Part::Loading).then_some(loaded.loading);
    }
    let measured = Measured {
        version: env!("CARGO_PKG_VERSION"),
        processor: processor.name,
        load: processor.load,
        isa: isa::isa().name(),
        threads: rayon::current_num_threads(),
        compute: settings.base.compute.name(),
        peaks,
        kernels,
        loading,
        training,
        decoding,
    };
    if settings.json {
        output::print(&serde_json::to_string_pretty(&measured)?)
    } else {
        let mut text = String::new();
        show::write(&mut text, &measured)?;
        output::print(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_the_rest_are_told_apart() {
        let split = Split::of(3.0, 9.0, 4);
        assert_eq!(split, Split { block: 2.0, fixed: 1.0 });
        assert_eq!([split.total(1), split.total(4), split.total(28)], [3.0, 9.0, 57.0]);
        assert_eq!(Split::of(3.0, 2.0, 2), Split { block: 0.0, fixed: 3.0 });
    }
}
