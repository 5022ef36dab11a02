//! A vocabulary (`tokenizer.model`, ChatGLM-6B's `ice_text.model`), alone or in a folder.

use std::path::Path;

use glm_data::{Tokenizer, Variant};

use super::report::Report;

/// Its usual name in a folder.
pub const FILE: &str = "tokenizer.model";

/// Whether a folder holds one.
pub fn is_in(folder: &Path) -> bool {
    Variant::ALL.into_iter().any(|variant| folder.join(variant.tokenizer_file()).is_file())
}

/// The file alone.
pub fn show(path: &Path, report: &mut Report) -> anyhow::Result<()> {
    let named = |variant: &Variant| path.file_name().is_some_and(|name| name == variant.tokenizer_file());
    let variant = if named(&Variant::ChatGlm) { Variant::ChatGlm } else { Variant::ChatGlm2 };
    let (tokenizer, assumed) = Tokenizer::from_file_alone(path, variant)?;
    let mut facts = vec![("tokens", format!("{} with the five special ones", tokenizer.vocab_size()))];
    if let Some(image_tokens) = assumed {
        facts.push((
            "image tokens",
            format!(
                "{image_tokens} of them, assumed as the official tokenizer does where no tokenizer_config.json beside it says \
                 num_image_tokens; later ChatGLM-6B folders have 0"
            ),
        ));
    }
    report.section("Vocabulary (SentencePiece)", &facts)
}

/// One line about the vocabulary of a base folder with `rows` rows of embedding.
pub fn of_folder(folder: &Path, variant: Variant, rows: usize, report: &mut Report) -> String {
    let name = variant.tokenizer_file();
    if !folder.join(name).is_file() {
        return format!("no {name}: training, evaluation and chat need one");
    }
    match Tokenizer::from_folder(folder, variant, Some(rows)) {
        Ok(tokenizer) => format!("{name}, {} tokens", tokenizer.vocab_size()),
        Err(error) => {
            report.problem(error);
            format!("{name}, which cannot be used")
        }
    }
}
