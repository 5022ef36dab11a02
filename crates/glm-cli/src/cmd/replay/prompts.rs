//! The prompt of each row, as training, evaluation and the server make it.

use glm_data::format::{Conversation, Layout, Said};
use glm_data::prompt::Role;
use glm_data::{
    DataConfig, DataError, Json, OnOverflow, Rows, Tokenizer, TrainOn, TrainRow, Variant, eval_rows, train_rows,
};
use glm_serve::{Answerer, chat_prompt};
use std::collections::BTreeMap;

/// A limit that no prompt reaches.
const NO_LIMIT: usize = 1 << 30;

/// Prompts of a row; its last answer is the one that is asked for.
pub struct Prompts {
    /// Row in the file, counted from 1.
    pub row: usize,
    /// As training has it; `None`: it left the row out.
    pub training: Option<Vec<u32>>,
    /// As an evaluation has it; `None`: it left the row out.
    pub evaluation: Option<Vec<u32>>,
    /// As the server has it, or why it takes no such conversation.
    pub serving: Result<Vec<u32>, String>,
    /// Whether training or evaluation cut the prompt at its greatest length.
    pub cut: bool,
    /// What makes the server see another prompt, as far as that can be told from the settings.
    pub reason: Option<&'static str>,
}

impl Prompts {
    /// Row and ids, where evaluation and server have the same.
    pub fn alike(&self) -> Option<(usize, &[u32])> {
        let evaluation =
            self.evaluation.as_ref().filter(|ids| self.serving.as_ref().is_ok_and(|served| served == *ids))?;
        Some((self.row, evaluation))
    }
}

/// Those of all rows.
///
/// # Errors
/// Names file, line and reason.
pub fn of(
    rows: &Rows,
    tokenizer: &Tokenizer,
    answerer: &Answerer,
    config: &DataConfig,
) -> Result<Vec<Prompts>, DataError> {
    let config = DataConfig { train_on: Some(TrainOn::LastAnswer), ..config.clone() };
    let whole = DataConfig {
        max_source_length: NO_LIMIT,
        max_target_length: NO_LIMIT,
        on_overflow: OnOverflow::TrimHistory,
        ..config.clone()
    };
    let (training, evaluation) = (trained(rows, tokenizer, &config)?, evaluated(rows, tokenizer, &config)?);
    let (whole_training, whole_evaluation) = (trained(rows, tokenizer, &whole)?, evaluated(rows, tokenizer, &whole)?);
    let layout = Layout::of(rows, &config)?;
    let own_prefix = answerer.source_prefix() != config.source_prefix;
    let prompts = rows.rows.iter().filter_map(|row| {
        let index = row.index;
        let (training, evaluation) = (training.get(&index).cloned(), evaluation.get(&index).cloned());
        let differs = |kept: &Option<Vec<u32>>, whole: Option<&Vec<u32>>| kept.is_some() && kept.as_ref() != whole;
        // Only with `lenient` can a row be broken here: it is left out of all.
        let conversation = layout.conversation(rows, row).ok()?;
        let asked = asked(&conversation);
        let has_turns = asked.iter().filter(|said| said.role == Role::User).count() > 1;
        let reason = match (own_prefix, has_turns && !answerer.takes_history()) {
            (true, _) => Some("the adapter says another source_prefix, which the server obeys"),
            (false, true) => {
                Some("the adapter says that it was trained on single questions, so the server leaves turns out")
            }
            (false, false) => None,
        };
        let messages = asked.iter().map(message).collect();
        Some(Prompts {
            row: index + 1,
            cut: differs(&training, whole_training.get(&index)) || differs(&evaluation, whole_evaluation.get(&index)),
            training,
            evaluation,
            serving: chat_prompt(tokenizer, answerer, messages, None).map_err(|error| error.message),
            reason,
        })
    });
    Ok(prompts.collect())
}

fn trained(rows: &Rows, tokenizer: &Tokenizer, config: &DataConfig) -> Result<BTreeMap<usize, Vec<u32>>, DataError> {
    let (samples, _) = train_rows(rows, tokenizer, config)?;
    // ChatGLM-6B learns to write the last token of its prompt.
    let learned = usize::from(tokenizer.variant() == Variant::ChatGlm);
    let prompt = |row: TrainRow| {
        let end = (row.context_len + learned).min(row.ids.len());
        (row.source, row.ids[..end].to_vec())
    };
    Ok(samples.into_iter().map(prompt).collect())
}

fn evaluated(rows: &Rows, tokenizer: &Tokenizer, config: &DataConfig) -> Result<BTreeMap<usize, Vec<u32>>, DataError> {
    let (samples, _) = eval_rows(rows, tokenizer, config)?;
    Ok(samples.into_iter().map(|row| (row.source, row.ids)).collect())
}

/// What stands before the last answer.
fn asked(conversation: &Conversation) -> &[Said] {
    let last = conversation.answers().next_back().unwrap_or(0);
    &conversation.messages[..last]
}

/// A message as a client sends it.
fn message(said: &Said) -> Json {
    let mut fields = vec![("role".to_owned(), Json::Text(said.role.name().into()))];
    if !said.metadata.is_empty() {
        fields.push(("metadata".into(), Json::Text(said.metadata.clone())));
    }
    fields.push(("content".into(), Json::Text(said.content.clone())));
    Json::Object(fields)
}
