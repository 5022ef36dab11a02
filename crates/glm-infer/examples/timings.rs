//! Times of prompts and answers of a base, for comparisons with other programs in one run (`scripts/inference_rivals.py`).
//!
//! `timings BASE FORM [OUTPUT_LAYER]`, forms being `f16`, `int8`, `int4` and `int4/32`. Every line `P N` of standard input is
//! answered by a line: the seconds that a prompt of `P` tokens took, and those of the `N` tokens that follow its first
//! answered token.

use glm_data::{Positions, Variant};
use glm_infer::{Engine, GenerationConfig, Request, SpecialIds};
use glm_model::adapter::AdapterSlots;
use glm_model::{Compute, LoadOptions, Network, Scheme};
use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

fn scheme(name: &str) -> Result<Scheme, String> {
    match name {
        "f16" => Ok(Scheme::Dense { dtype: None }),
        "int8" => Ok(Scheme::Int8),
        "int4" => Ok(Scheme::Int4),
        "int4/32" => Ok(Scheme::Int4Group { group: 32 }),
        _ => Err(format!("{name}: expected f16, int8, int4 or int4/32")),
    }
}

/// Ids that fit every vocabulary of the family; the script gives the same to the other programs.
fn prompt(len: usize) -> Vec<u32> {
    (0..len as u32).map(|i| 100 + i * 7919 % 50_000).collect()
}

fn seconds(network: &Network, len: usize, answer: usize) -> Result<(f64, f64), Box<dyn Error>> {
    let slots = AdapterSlots::default();
    let engine = Engine::new(network, &slots, SpecialIds { eos: Vec::new(), pad: 0 });
    let config = GenerationConfig { do_sample: false, max_new_tokens: Some(answer + 1), ..GenerationConfig::default() };
    let positions = match network.config().variant {
        Variant::ChatGlm => {
            Positions::Block { context_len: len.saturating_sub(1), mask_position: len.saturating_sub(2) }
        }
        _ => Positions::Linear,
    };
    let mut running = engine.start();
    running.admit(0, &Request { positions, ..Request::new(prompt(len), None, &config) }, &config)?;
    let began = Instant::now();
    running.step(&mut |_| {})?;
    let read = began.elapsed().as_secs_f64();
    while !running.is_empty() {
        running.step(&mut |_| {})?;
    }
    Ok((read, began.elapsed().as_secs_f64() - read))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, form, output @ ..] = arguments.as_slice() else {
        return Err("usage: timings BASE FORM [OUTPUT_LAYER]".into());
    };
    let options = LoadOptions {
        scheme: scheme(form)?,
        output_layer: output.first().map(|name| scheme(name)).transpose()?,
        compute: if Compute::Bf16.available() { Compute::Bf16 } else { Compute::F32 },
        ..LoadOptions::default()
    };
    let network = Network::load(Path::new(base), options, &mut |_, _| {})?;
    println!("ready glmtune {}", network.held_as());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let sizes: Result<Vec<usize>, _> = line.split_whitespace().map(str::parse).collect();
        let &[len, answer] = sizes?.as_slice() else { return Err(format!("{line}: expected two numbers").into()) };
        let (read, answered) = seconds(&network, len, answer)?;
        println!("{read} {answered}");
    }
    Ok(())
}
