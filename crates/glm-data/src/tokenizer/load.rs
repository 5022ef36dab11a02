//! Finding a tokenizer in a model folder.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Tokenizer;
use crate::error::DataError;
use crate::variant::Variant;

const CONFIG: &str = "tokenizer_config.json";
/// Image tokens of the first ChatGLM-6B folders and the official tokenizer's default; later folders have none.
const OLD_IMAGE_TOKENS: u32 = 20_000;
/// Most image tokens that are accepted, so that ids cannot overflow.
const MAX_IMAGE_TOKENS: u32 = 1 << 20;

/// What matters of `tokenizer_config.json`.
#[derive(Debug, Default, Deserialize)]
struct Config {
    num_image_tokens: Option<u32>,
    #[serde(default)]
    remove_space: bool,
    #[serde(default)]
    do_lower_case: bool,
}

impl Tokenizer {
    /// Loads the vocabulary in a model folder: `ice_text.model` for ChatGLM-6B, `tokenizer.model` for the others.
    ///
    /// `vocab_size` is the number of ids that the model's embedding knows. For ChatGLM-6B it tells whether ids are counted
    /// behind 20000 image tokens when `tokenizer_config.json` does not say it, as in old folders.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file), and when the folder holds no vocabulary or one with more ids than `vocab_size`.
    pub fn from_folder(folder: &Path, variant: Variant, vocab_size: Option<usize>) -> Result<Self, DataError> {
        let name = variant.tokenizer_file();
        let file = folder.join(name);
        if !file.is_file() {
            let others = Variant::ALL.into_iter().filter(|v| folder.join(v.tokenizer_file()).is_file());
            let hint = match others.map(|v| (v.tokenizer_file(), v.name())).next() {
                Some((other, model)) => format!("there is {other}, which {model} has"),
                None => "copy it there from the model as Hugging Face publishes it".into(),
            };
            let reason = format!("{} needs {name}, which is not in this folder; {hint}", variant.name());
            return Err(DataError::Tokenizer { file: folder.into(), reason });
        }
        let tokenizer = Self::load(&file, variant, vocab_size)?;
        if let Some(rows) = vocab_size.filter(|&rows| rows < tokenizer.vocab_size()) {
            let ids = tokenizer.vocab_size();
            let image = match tokenizer.image_tokens() {
                0 => String::new(),
                n => format!(" ({n} of them for images, as num_image_tokens in {CONFIG} says)"),
            };
            let reason = format!(
                "it has {ids} ids, special ones included{image}, but the model only {rows} (vocab_size in config.json): they \
                 do not belong together; take all files from the same version of the model"
            );
            return Err(DataError::Tokenizer { file, reason });
        }
        Ok(tokenizer)
    }

    /// Loads a vocabulary file. For ChatGLM-6B `tokenizer_config.json` beside it must tell the number of image tokens;
    /// where it may be missing, use [`from_folder`](Self::from_folder).
    ///
    /// # Errors
    /// [`DataError::Io`], or [`DataError::Tokenizer`] when the file is broken or belongs to another kind of model.
    pub fn from_file(file: &Path, variant: Variant) -> Result<Self, DataError> {
        Self::load(file, variant, None)
    }

    /// As [`from_file`](Self::from_file), to look at a file that may lie alone: where nothing tells the number of image tokens
    /// that of the official tokenizer is assumed, and returned.
    ///
    /// # Errors
    /// As there, but for a missing number.
    pub fn from_file_alone(file: &Path, variant: Variant) -> Result<(Self, Option<u32>), DataError> {
        let told = variant != Variant::ChatGlm || image_tokens(&file.with_file_name(CONFIG))?.is_some();
        // An embedding of any size has room for them.
        let tokenizer = Self::load(file, variant, (!told).then_some(usize::MAX))?;
        Ok((tokenizer, (!told).then_some(OLD_IMAGE_TOKENS)))
    }

    /// As [`from_file`](Self::from_file), from the bytes of the file and without image tokens.
    ///
    /// # Errors
    /// [`DataError::Tokenizer`], which then names the file as the model's publisher does.
    pub fn from_bytes(bytes: &[u8], variant: Variant) -> Result<Self, DataError> {
        Self::from_bytes_with_image_tokens(bytes, variant, 0)
    }

    /// As [`from_bytes`](Self::from_bytes), with all ids raised by `image_tokens`.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_bytes_with_image_tokens(bytes: &[u8], variant: Variant, image_tokens: u32) -> Result<Self, DataError> {
        let file = PathBuf::from(variant.tokenizer_file());
        if image_tokens > MAX_IMAGE_TOKENS {
            let reason = format!("num_image_tokens is {image_tokens}, expected at most {MAX_IMAGE_TOKENS}");
            return Err(DataError::Tokenizer { file, reason });
        }
        Self::build(bytes, variant, image_tokens).map_err(|reason| DataError::Tokenizer { file, reason })
    }

    fn load(file: &Path, variant: Variant, vocab_size: Option<usize>) -> Result<Self, DataError> {
        let bytes = std::fs::read(file).map_err(|source| DataError::Io { file: file.into(), source })?;
        let error = |reason| DataError::Tokenizer { file: file.into(), reason };
        let mut tokenizer = Self::build(&bytes, variant, 0).map_err(error)?;
        if variant == Variant::ChatGlm {
            tokenizer.image_tokens = match (image_tokens(&file.with_file_name(CONFIG))?, vocab_size) {
                (Some(n), _) => n,
                (None, Some(rows)) if rows >= OLD_IMAGE_TOKENS as usize + tokenizer.vocab_size() => OLD_IMAGE_TOKENS,
                (None, Some(_)) => 0,
                (None, None) => {
                    return Err(error(format!(
                        "{CONFIG} beside it does not say num_image_tokens; write there 0 for a model of 130528 ids, \
                         {OLD_IMAGE_TOKENS} for one of 150528 (vocab_size in config.json)"
                    )));
                }
            };
        }
        Ok(tokenizer)
    }
}

/// Number of image tokens according to `tokenizer_config.json`, if it is there and says so.
fn image_tokens(file: &Path) -> Result<Option<u32>, DataError> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(DataError::Io { file: file.into(), source }),
    };
    let error = |reason: String| DataError::Tokenizer { file: file.into(), reason };
    let config: Config = serde_json::from_slice(&text).map_err(|e| error(e.to_string()))?;
    if config.remove_space || config.do_lower_case {
        return Err(error("remove_space and do_lower_case change the text; only false is supported".into()));
    }
    if let Some(n) = config.num_image_tokens.filter(|&n| n > MAX_IMAGE_TOKENS) {
        return Err(error(format!("num_image_tokens is {n}, expected at most {MAX_IMAGE_TOKENS}")));
    }
    Ok(config.num_image_tokens)
}
