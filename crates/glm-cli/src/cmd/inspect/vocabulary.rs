//! A `tokenizer.model`, alone or in a folder.

use std::path::Path;

use glm_data::{Tokenizer, Variant};

use super::report::Report;

/// Its name in a folder.
pub const FILE: &str = "tokenizer.model";

/// The file alone.
pub fn show(path: &Path, report: &mut Report) -> anyhow::Result<()> {
    let tokenizer = Tokenizer::from_file(path, Variant::ChatGlm2)?;
    report.section(
        "Vocabulary (SentencePiece)",
        &[("tokens", format!("{} with the five special ones", tokenizer.vocab_size()))],
    )
}

/// One line about the vocabulary of a base folder with `rows` rows of embedding.
pub fn of_folder(folder: &Path, variant: Variant, rows: usize, report: &mut Report) -> String {
    let path = folder.join(FILE);
    if !path.is_file() {
        return format!("no {FILE}: training, evaluation and chat need one");
    }
    match Tokenizer::from_file(&path, variant) {
        Ok(tokenizer) => {
            let tokens = tokenizer.vocab_size();
            if tokens > rows {
                report.problem(format!(
                    "{FILE} has {tokens} tokens, but the model only {rows}: they do not belong together"
                ));
            }
            format!("{FILE}, {tokens} tokens")
        }
        Err(error) => {
            report.problem(error);
            format!("{FILE}, which cannot be read")
        }
    }
}
