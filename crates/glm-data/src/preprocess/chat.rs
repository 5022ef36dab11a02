//! Prompts of a conversation that goes on now.

use super::encode::Encoder;
use crate::config::DataConfig;
use crate::error::DataError;
use crate::format::Conversation;
use crate::tokenizer::Tokenizer;
use crate::variant::Variant;

/// Ids of the prompt that asks for the next answer, made by what makes the prompts of [`train_rows`](crate::train_rows) and
/// [`eval_rows`](crate::eval_rows), so that a model is asked as it was trained. Nothing is cut.
///
/// # Errors
/// When tools are described or called and the variant has no form for them.
pub fn chat_ids(
    tokenizer: &Tokenizer,
    conversation: &Conversation,
    source_prefix: &str,
) -> Result<Vec<u32>, DataError> {
    if conversation.uses_tools && tokenizer.variant() != Variant::ChatGlm3 {
        return Err(DataError::Config(format!(
            "{} has no form for tools; use ChatGLM3, or leave them out",
            tokenizer.variant().name()
        )));
    }
    let config = DataConfig { source_prefix: source_prefix.into(), ..DataConfig::default() };
    let encoder = Encoder { tokenizer, config: &config, always_rounds: false };
    Ok(encoder.prompt(&conversation.messages.iter().collect::<Vec<_>>(), false).ids)
}
