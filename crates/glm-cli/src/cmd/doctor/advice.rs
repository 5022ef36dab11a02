//! What would make this machine faster, in plain sentences; nothing is said where nothing is amiss.

use glm_train::memory::Machine;

use super::{Gpu, Kernels, Processor};
use crate::cmd::inspect::report::bytes;

/// Swap in use that is worth a word.
const SWAPPED: u64 = 64 << 20;
/// Memory that training takes beside the weights of a 6-billion-parameter model in INT4, roughly.
const BESIDE_WEIGHTS: u64 = 1_000_000_000;
/// Load of other programs, as a share of the usable processors, that disturbs.
const BUSY: f64 = 0.5;

/// All that could be better. `weights` are the bytes of the model that this is for.
pub fn advice(processor: &Processor, kernels: &Kernels, memory: &Machine, gpu: &Gpu, weights: u64) -> Vec<String> {
    let mut advice = Vec::new();
    if kernels.debug_build {
        advice.push("This is a debug build, many times slower: build with cargo build --release.".into());
    }
    advice.extend(instructions(processor, kernels));
    advice.extend(threads(processor, kernels));
    if let Some(load) = processor.load.filter(|load| *load > BUSY * processor.usable as f64) {
        advice.push(format!(
            "The processors were busy over the last minute (load {load:.1} on {}): what is measured here, and every run beside \
             other programs, is slower for it.",
            processor.usable
        ));
    }
    advice.extend(of_memory(memory, weights));
    if gpu.nvidia_driver {
        advice.push("There is a driver for NVIDIA graphics cards; this version computes on the processor only.".into());
    }
    advice
}

fn instructions(processor: &Processor, kernels: &Kernels) -> Vec<String> {
    let mut advice = Vec::new();
    if kernels.isa != kernels.best_isa {
        advice.push(format!(
            "GLM_ISA={} lowers the kernels from {} to {}: unset it.",
            kernels.glm_isa.as_deref().unwrap_or_default(),
            kernels.best_isa,
            kernels.isa
        ));
    } else if let Some(asked) = kernels.glm_isa.as_deref().filter(|asked| *asked != kernels.isa) {
        advice.push(format!(
            "GLM_ISA={asked} has no effect: it takes scalar, neon, avx2 or avx512, and only lowers what the \
             processor has ({}).",
            kernels.best_isa
        ));
    }
    match kernels.best_isa {
        "scalar" if processor.architecture == "x86_64" => {
            advice.push("The processor lacks AVX2 or FMA: kernels run as plain code, several times slower.".into());
        }
        "scalar" => advice.push(format!(
            "There are no kernels for {} yet: plain code runs; fastest are x86-64 processors with AVX-512.",
            processor.architecture
        )),
        // A lowered set has its own line.
        "neon" if kernels.isa == kernels.best_isa => advice.push(
            "Products are made in f32 with NEON, and there are no others for it yet; x86-64 processors with instructions for \
             bfloat16 make them 2 to 4 times as fast as in f32."
                .into(),
        ),
        _ if kernels.compute == "f32" && kernels.isa == kernels.best_isa => {
            let lacks = ["AVX512F", "AVX512BW", "AVX512VL", "AVX512_VBMI", "AVX512_BF16"];
            let lacks: Vec<_> = lacks.into_iter().filter(|name| !processor.has(name)).collect();
            advice.push(format!(
                "The processor lacks {}: products are made in f32; with instructions for bfloat16 (AMD Zen 4, Intel Sapphire \
                 Rapids, or newer) they are 2 to 4 times as fast.",
                lacks.join(", ")
            ));
        }
        _ => {}
    }
    advice
}

fn threads(processor: &Processor, kernels: &Kernels) -> Vec<String> {
    let mut advice = Vec::new();
    let (threads, usable) = (kernels.threads, processor.usable);
    // Two threads of a core share its arithmetic: as many as cores are enough.
    let enough = processor.cores.map_or(usable, |cores| cores.min(usable));
    if threads < enough {
        advice.push(format!(
            "Only {threads} of {enough} cores compute: leave out --threads and unset RAYON_NUM_THREADS to use them all."
        ));
    } else if threads > usable {
        advice.push(format!(
            "{threads} threads share {usable} processors and wait for one another: leave out --threads and unset \
             RAYON_NUM_THREADS."
        ));
    } else if threads > enough {
        advice.push(format!(
            "{threads} threads run on {enough} cores, two on some: try --threads {enough}, which is often as fast or faster."
        ));
    }
    if usable < processor.hardware_threads {
        advice.push(format!(
            "This process may use {usable} of the machine's {} processors (a container's limit, or it was bound to them).",
            processor.hardware_threads
        ));
    }
    advice
}

fn of_memory(memory: &Machine, weights: u64) -> Vec<String> {
    let mut advice = Vec::new();
    let needed = weights + BESIDE_WEIGHTS;
    if let Some(free) = memory.available.filter(|free| *free < needed) {
        advice.push(format!(
            "{} of memory are free; ChatGLM2-6B in INT4 takes about {} to train: close other programs, or take a smaller \
             base.",
            bytes(free),
            bytes(needed)
        ));
    }
    if let Some(swapped) = memory.swap_used.filter(|swapped| *swapped >= SWAPPED) {
        advice.push(format!(
            "{} are swapped out: memory was short. A run that swaps is many times slower; glmtune plan says what it needs.",
            bytes(swapped)
        ));
    }
    if let (Some(limit), Some(total)) = (memory.container_limit, memory.total) {
        advice.push(format!("The container may use {} of the machine's {}.", bytes(limit), bytes(total)));
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn good() -> (Processor, Kernels, Machine, Gpu) {
        let features = ["AVX2", "FMA", "AVX512F", "AVX512BW", "AVX512VL", "AVX512_VBMI", "AVX512_BF16"];
        let processor = Processor {
            name: None,
            architecture: "x86_64",
            cores: Some(8),
            hardware_threads: 16,
            usable: 16,
            features: features.into_iter().map(|name| (name, true)).collect::<BTreeMap<_, _>>(),
            load: Some(0.1),
        };
        let kernels = Kernels {
            isa: "avx512",
            best_isa: "avx512",
            glm_isa: None,
            compute: "bf16",
            threads: 8,
            debug_build: false,
        };
        let memory =
            Machine { total: Some(64 << 30), available: Some(60 << 30), container_limit: None, swap_used: Some(0) };
        (processor, kernels, memory, Gpu { used: false, nvidia_driver: false })
    }

    /// The sentences when one thing is changed.
    fn said(change: impl FnOnce(&mut Processor, &mut Kernels, &mut Machine, &mut Gpu)) -> Vec<String> {
        let (mut processor, mut kernels, mut memory, mut gpu) = good();
        change(&mut processor, &mut kernels, &mut memory, &mut gpu);
        advice(&processor, &kernels, &memory, &gpu, 4_000_000_000)
    }

    #[track_caller]
    fn one(sentences: &[String], part: &str) {
        assert!(sentences.len() == 1 && sentences[0].contains(part), "{sentences:?} lacks {part}");
    }

    #[test]
    fn a_good_machine_needs_no_advice() {
        assert!(said(|_, _, _, _| {}).is_empty());
    }

    #[test]
    fn each_shortcoming_has_one_sentence() {
        one(
            &said(|_, k, _, _| (k.isa, k.compute, k.glm_isa) = ("avx2", "f32", Some("avx2".into()))),
            "GLM_ISA=avx2 lowers",
        );
        one(&said(|_, k, _, _| k.glm_isa = Some("fast".into())), "GLM_ISA=fast has no effect");
        let no_bf16 = said(|p, k, _, _| {
            k.compute = "f32";
            p.features.insert("AVX512_BF16", false);
        });
        one(&no_bf16, "lacks AVX512_BF16: products");
        one(&said(|_, k, _, _| (k.isa, k.best_isa, k.compute) = ("scalar", "scalar", "f32")), "lacks AVX2 or FMA");
        let other = said(|p, k, _, _| {
            p.architecture = "riscv64";
            (k.isa, k.best_isa, k.compute) = ("scalar", "scalar", "f32");
        });
        one(&other, "no kernels for riscv64");
        let arm = said(|p, k, _, _| {
            p.architecture = "aarch64";
            (k.isa, k.best_isa, k.compute) = ("neon", "neon", "f32");
        });
        one(&arm, "in f32 with NEON");
        one(&said(|_, k, _, _| k.threads = 3), "Only 3 of 8 cores");
        one(&said(|_, k, _, _| k.threads = 16), "try --threads 8");
        one(&said(|_, k, _, _| k.threads = 17), "17 threads share 16");
        one(&said(|p, _, _, _| p.usable = 8), "8 of the machine's 16");
        one(&said(|p, _, _, _| p.load = Some(9.0)), "load 9.0");
        one(&said(|_, _, m, _| m.available = Some(3_000_000_000)), "take a smaller base");
        one(&said(|_, _, m, _| m.swap_used = Some(1 << 30)), "swapped out");
        one(&said(|_, _, m, _| m.container_limit = Some(32 << 30)), "The container may use");
        one(&said(|_, _, _, g| g.nvidia_driver = true), "NVIDIA");
        one(&said(|_, k, _, _| k.debug_build = true), "--release");
    }
}
