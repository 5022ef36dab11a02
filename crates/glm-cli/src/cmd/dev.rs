//! `glmtune dev`.

use std::path::Path;

use anyhow::Context;
use glm_model::DenseType;
use glm_model::random_base::RandomBase;
use glm_model::weights::FileFormat as WeightFormat;
use glm_train::atomic::AtomicDir;

use super::inspect::report::bytes;
use super::inspect::tensors::progress_bar;
use super::progress::TrainProgress;
use super::{signals, threads};
use crate::args::types::{FileDtype, FileFormat};
use crate::args::usage::{UsageError, of_setting, refuse};
use crate::config::{DemoBaseSettings, RandomBaseSettings};

/// Writes a random base: a folder that is complete or not there.
///
/// # Errors
/// When the folder exists and is not empty, a size does not fit, or the disk refuses.
pub fn random_base(settings: RandomBaseSettings) -> anyhow::Result<()> {
    let out = &settings.out;
    refuse_to_replace(out)?;
    let base = recipe(&settings);
    let config = base.config().map_err(of_setting)?;
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    let folder = AtomicDir::create(out)?;
    let bar = progress_bar("writing");
    let mut written = 0;
    base.write(folder.path(), &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
        written = total;
    })?;
    bar.set_message("waiting for the disk");
    folder.commit()?;
    bar.finish_and_clear();
    eprintln!(
        "{}: {} with {} layers and random weights, {}",
        out.display(),
        config.variant.name(),
        config.num_layers,
        bytes(written)
    );
    Ok(())
}

/// Builds the demo's base again.
///
/// # Errors
/// When the folder cannot be written, or it was stopped.
pub fn demo_base(settings: DemoBaseSettings) -> anyhow::Result<()> {
    refuse_to_replace(&settings.out)?;
    threads::set(settings.threads)?;
    let stop = signals::stop_flag()?;
    let mut progress = TrainProgress::new(true);
    glm_demo::recipe::make_base(&settings.out, &stop, &mut progress)?;
    println!("The demo's base is in {}", settings.out.display());
    Ok(())
}

/// Other people's files are not replaced by random numbers.
fn refuse_to_replace(out: &Path) -> Result<(), UsageError> {
    match std::fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            Some(_) => refuse!("{}: the folder is not empty; give another --out or remove it first", out.display()),
            None => Ok(()),
        },
        Err(_) if out.symlink_metadata().is_ok() => {
            refuse!("{}: it is there already and is no folder; give another --out", out.display())
        }
        Err(_) => Ok(()),
    }
}

fn recipe(settings: &RandomBaseSettings) -> RandomBase {
    let widths = settings.widths;
    let sizes = [
        ("num_layers", Some(settings.layers)),
        ("hidden_size", widths.hidden_size),
        ("ffn_hidden_size", widths.ffn_hidden_size),
        ("num_attention_heads", widths.num_attention_heads),
        ("multi_query_group_num", widths.multi_query_group_num),
        ("kv_channels", widths.kv_channels),
        ("padded_vocab_size", widths.padded_vocab_size),
        ("seq_length", widths.seq_length),
    ];
    RandomBase {
        variant: settings.variant,
        sizes: sizes.into_iter().filter_map(|(key, size)| Some((key, size?))).collect(),
        seed: settings.seed,
        dtype: match settings.dtype {
            FileDtype::F16 => DenseType::F16,
            FileDtype::Bf16 => DenseType::Bf16,
            FileDtype::F32 => DenseType::F32,
        },
        format: match settings.format {
            FileFormat::Bin => WeightFormat::Torch,
            FileFormat::Safetensors => WeightFormat::Safetensors,
        },
        shard_size: settings.shard_size,
        tokenizer: settings.tokenizer.clone(),
    }
}
