//! Probabilities of tokens, as texts.

use glm_data::Tokenizer;
use glm_infer::Logprobs;
use serde_json::{Value, json};
use std::borrow::Cow;

/// A token of an answer with its probability and those of likely ones.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    bytes: Vec<u8>,
    logprob: f32,
    best: Vec<(Vec<u8>, f32)>,
}

impl TokenLogprob {
    /// Of a token.
    pub fn new(tokenizer: &Tokenizer, id: u32, logprobs: &Logprobs) -> Self {
        let bytes = |id: u32| tokenizer.token_bytes(id);
        Self {
            bytes: bytes(id),
            logprob: logprobs.chosen,
            best: logprobs.best.iter().map(|(id, logprob)| (bytes(*id), *logprob)).collect(),
        }
    }

    /// As a chat has it.
    pub fn in_chat(&self) -> Value {
        let word = |bytes: &[u8], logprob: f32| json!({ "token": text(bytes), "logprob": logprob, "bytes": bytes });
        let mut this = word(&self.bytes, self.logprob);
        this["top_logprobs"] = self.best.iter().map(|(bytes, logprob)| word(bytes, *logprob)).collect();
        this
    }

    /// As a completion has them; `offset`: where the first one begins in the text, in characters.
    pub fn in_completion(all: &[Self], mut offset: usize) -> Value {
        let mut offsets = Vec::with_capacity(all.len());
        for word in all {
            offsets.push(offset);
            offset += text(&word.bytes).chars().count();
        }
        let best = |word: &Self| -> serde_json::Map<String, Value> {
            word.best.iter().map(|(bytes, logprob)| (text(bytes).into_owned(), json!(logprob))).collect()
        };
        json!({
            "tokens": all.iter().map(|word| text(&word.bytes)).collect::<Vec<_>>(),
            "token_logprobs": all.iter().map(|word| word.logprob).collect::<Vec<_>>(),
            "top_logprobs": all.iter().map(best).collect::<Vec<_>>(),
            "text_offset": offsets,
        })
    }
}

/// A token is no whole character always.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
