//! Samples token by token.

use serde::Serialize;

use crate::batch::{IGNORE_INDEX, TrainRow};
use crate::prompt::Role;
use crate::tokenizer::Tokenizer;

/// A training sample with all its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownSample {
    /// 1-based line of its row.
    pub line: usize,
    /// Leading tokens that belong to the prompt.
    pub context_len: usize,
    /// The tokens.
    pub tokens: Vec<ShownToken>,
}

/// A token of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownToken {
    /// Its id.
    pub id: u32,
    /// Its text; that of a character of several tokens stands with the last of them. Special tokens have their names.
    pub text: String,
    /// Its label, as in training: the same id where it is a target, otherwise `None` (-100).
    pub label: Option<i64>,
}

impl ShownSample {
    pub(super) fn of(row: &TrainRow, line: usize, tokenizer: &Tokenizer) -> Self {
        let names = special_names(tokenizer);
        let mut stream = tokenizer.stream();
        let mut tokens: Vec<ShownToken> = Vec::with_capacity(row.ids.len());
        for (&id, &label) in row.ids.iter().zip(&row.labels) {
            let text = match names.iter().find(|(special, _)| *special == id) {
                Some((_, name)) => {
                    // What the decoder still held back belongs to the token before.
                    let held = stream.finish();
                    if let Some(last) = tokens.last_mut() {
                        last.text.push_str(&held);
                    }
                    name.clone()
                }
                None => stream.push(id),
            };
            tokens.push(ShownToken { id, text, label: (label != IGNORE_INDEX).then_some(label) });
        }
        if let Some(last) = tokens.last_mut() {
            last.text.push_str(&stream.finish());
        }
        Self { line, context_len: row.context_len, tokens }
    }
}

/// Ids of special tokens and their names; the decoders show only some of them.
fn special_names(tokenizer: &Tokenizer) -> Vec<(u32, String)> {
    let mut names = vec![
        (tokenizer.gmask_id(), "[gMASK]".to_string()),
        (tokenizer.mask_id(), "[MASK]".into()),
        (tokenizer.sop_id(), "<sop>".into()),
        (tokenizer.eos_id(), "<end>".into()),
        (tokenizer.pad_id(), "<pad>".into()),
    ];
    for role in Role::ALL {
        names.extend(tokenizer.role_id(role).map(|id| (id, format!("<|{}|>", role.name()))));
    }
    names
}
