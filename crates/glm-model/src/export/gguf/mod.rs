//! GGUF for llama.cpp (architecture `chatglm`): ChatGLM2 and ChatGLM3, and what has their layout.

mod chat_template;
mod file;
mod header;
mod metadata;
mod tensors;
mod types;
mod verify;
mod vocabulary;

pub use header::{GGUF_MAGIC, GgufSummary};
pub use types::GgufType;

use super::report::ExportReport;
use super::source::TensorSource;
use super::target;
use super::write::tensor_error;
use crate::config::GlmConfig;
use crate::glm::Progress;
use crate::{ModelError, Result};
use glm_data::Variant;
use std::path::Path;

/// How a GGUF file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GgufOptions {
    /// Type of the matrices.
    pub kind: GgufType,
    /// `general.name`; `None`: the base's own name.
    pub name: Option<String>,
}

/// Writes the file `target`, which must be absent, reopens it with another reader and compares names, shapes, types and
/// every value within the precision of its type. `companions` is the base's folder with its `tokenizer.model` (and, if
/// there is one, `tokenizer_config.json` with a chat template). `progress` is called with bytes done and bytes in all, each
/// byte counted when written and when compared.
///
/// # Errors
/// Models that llama.cpp cannot run are refused by name; otherwise as [`super::export_folder`].
pub fn export_gguf(
    source: &dyn TensorSource,
    companions: &Path,
    target: &Path,
    options: &GgufOptions,
    progress: Progress<'_>,
) -> Result<ExportReport> {
    check_gguf(source.config())?;
    let place = target::file(target)?;
    let vocabulary = vocabulary::read(companions, source.config())?;
    let template = chat_template::find(companions, source.config().variant)?;
    let metadata = metadata::metadata(source.config(), &vocabulary, template, options);
    let plan = tensors::plan(source, options.kind)?;
    let bytes: u64 = plan.iter().map(|tensor| tensor.bytes()).sum();
    let mut done = 0;
    let mut step = |more| {
        done += more;
        progress(done, 2 * bytes);
    };
    let mut failure = None;
    let written = place.write(|out| {
        file::write(out, &metadata, &plan, &mut |tensor| {
            let encoded = source.tensor(&tensor.official).and_then(|values| {
                let values = values.into_f32().map_err(tensor_error(&tensor.official))?;
                tensor.kind.encode(&values).map_err(tensor_error(&tensor.official))
            });
            source.release(&tensor.official);
            step(tensor.bytes());
            encoded.map_err(|error| {
                failure = Some(error);
                std::io::Error::other("the tensor could not be made")
            })
        })
    });
    if let Some(error) = failure {
        return Err(error);
    }
    written?;
    verify::verify(source, place.path(), &metadata, &plan, &mut step)?;
    place.commit()?;
    let remarks = tensors::remarks(&plan, options.kind);
    let (path, tensors) = (target.to_path_buf(), plan.len());
    Ok(ExportReport { path, tensors, bytes, copied: vec![vocabulary::FILE.into()], remarks })
}

/// Refuses what llama.cpp's `chatglm` cannot compute.
///
/// # Errors
/// Says what it is.
pub fn check_gguf(config: &GlmConfig) -> Result<()> {
    let reason = match config.variant {
        Variant::ChatGlm => {
            "this is a ChatGLM-6B (first generation) model, which llama.cpp does not support; export a folder instead".into()
        }
        Variant::ChatGlm2 | Variant::ChatGlm3 if config.linear_bias => {
            "add_bias_linear is true: llama.cpp has no place for the biases of dense and MLP layers; export a folder instead".into()
        }
        Variant::ChatGlm2 | Variant::ChatGlm3 if config.num_attention_heads * config.head_dim != config.hidden_size => {
            format!(
                "{} heads of {} values are not as wide as the model ({}), which llama.cpp needs; export a folder instead",
                config.num_attention_heads, config.head_dim, config.hidden_size
            )
        }
        Variant::ChatGlm2 | Variant::ChatGlm3 => return Ok(()),
    };
    Err(ModelError::Setting(reason))
}
