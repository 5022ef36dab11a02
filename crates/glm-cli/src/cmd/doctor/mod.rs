//! `glmtune doctor`: what this machine has, what is chosen for it, and what would make it faster.

mod advice;
mod processor;
mod show;

use glm_kernels::cpu::isa;
use glm_model::glm::layout;
use glm_model::{Compute, GlmConfig, Scheme};
use glm_train::memory::{self, Machine};
use serde::Serialize;
use std::path::PathBuf;

use super::peaks::Peaks;
use super::{bench, output, threads};
use crate::config::DoctorSettings;
use crate::config::quantized_cache::usual_folder;
pub use processor::Processor;

/// What was found.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// Version of this program.
    version: &'static str,
    /// The processor.
    processor: Processor,
    /// What is chosen for it.
    kernels: Kernels,
    /// Memory.
    memory: Machine,
    /// Quantized forms of bases that are kept on disk.
    quantized_cache: Option<Kept>,
    /// The graphics card.
    gpu: Gpu,
    /// What it reaches.
    measured: Peaks,
    /// The 6-billion-parameter model in INT4 on this machine.
    chatglm2_6b_int4: Expected,
    /// What would make it faster, in sentences.
    advice: Vec<String>,
}

/// What is chosen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kernels {
    /// Instruction set of the kernels.
    isa: &'static str,
    /// The best one that the machine has.
    best_isa: &'static str,
    /// What the variable `GLM_ISA` asks for.
    glm_isa: Option<String>,
    /// What `--compute auto` means here.
    compute: &'static str,
    /// Threads that compute.
    threads: usize,
    /// Whether the program was built without optimization.
    debug_build: bool,
}

/// The graphics card.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gpu {
    /// Whether one is used.
    used: bool,
    /// Whether the driver of one is there.
    nvidia_driver: bool,
}

/// What is kept on disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    /// The folder of `--quantized_cache auto`, there or not.
    folder: PathBuf,
    /// Files in it.
    files: usize,
    /// Their bytes.
    bytes: u64,
}

impl Kept {
    /// Looks into the folder; `None` where the user has no home.
    fn look() -> Option<Self> {
        let folder = usual_folder()?;
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let found = entries.filter_map(|entry| entry.metadata().ok()).filter(|found| found.is_file());
        let (files, bytes) = found.fold((0, 0), |(files, bytes), found| (files + 1, bytes + found.len()));
        Some(Self { folder, files, bytes })
    }
}

/// What a model takes here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Expected {
    /// Bytes of its weights in memory.
    weights: u64,
    /// Most tokens of an answer a second: its weights are read once for each.
    most_tokens_per_second: f64,
}

impl Expected {
    fn of(config: &GlmConfig, peaks: &Peaks) -> Self {
        let weights = layout::bytes(config, Scheme::Int4, 2);
        let embedding = 2 * (config.vocab_size * config.hidden_size) as u64;
        Self { weights, most_tokens_per_second: peaks.read_bytes_per_second / (weights - embedding) as f64 }
    }
}

/// Runs it.
///
/// # Errors
/// When the system refuses to make threads, or standard output is closed.
pub fn run(settings: &DoctorSettings) -> anyhow::Result<()> {
    threads::set(settings.threads)?;
    let processor = Processor::look();
    let kernels = Kernels {
        isa: isa::isa().name(),
        best_isa: isa::detected().name(),
        glm_isa: std::env::var("GLM_ISA").ok(),
        compute: if Compute::Bf16.available() { "bf16" } else { "f32" },
        threads: rayon::current_num_threads(),
        debug_build: cfg!(debug_assertions),
    };
    let memory = memory::machine();
    let gpu = Gpu { used: false, nvidia_driver: std::path::Path::new("/proc/driver/nvidia/version").exists() };
    let measured = Peaks::measure();
    let chatglm2_6b_int4 = Expected::of(&bench::published()?, &measured);
    let advice = advice::advice(&processor, &kernels, &memory, &gpu, chatglm2_6b_int4.weights);
    let findings = Findings {
        version: env!("CARGO_PKG_VERSION"),
        processor,
        kernels,
        memory,
        quantized_cache: Kept::look(),
        gpu,
        measured,
        chatglm2_6b_int4,
        advice,
    };
    if settings.json {
        output::print(&serde_json::to_string_pretty(&findings)?)
    } else {
        let mut text = String::new();
        show::write(&mut text, &findings)?;
        output::print(&text)
    }
}
