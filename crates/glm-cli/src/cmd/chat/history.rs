//! The turns that a question is asked after.

use glm_data::{Tokenizer, Turn, prompt};
use glm_infer::GenerationConfig;

/// Room that is kept for an answer of unlimited length, when history has to give way.
const ROOM: usize = 512;

/// Earlier questions and answers.
#[derive(Debug, Default)]
pub struct History {
    turns: Vec<Turn>,
    /// What stands before them.
    system: Option<String>,
}

/// A question that is ready to be answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its tokens, history included.
    pub ids: Vec<u32>,
    /// Turns that were dropped for it.
    pub dropped: usize,
}

impl History {
    /// An empty conversation behind a system prompt.
    pub fn after(system: Option<String>) -> Self {
        Self { turns: Vec::new(), system }
    }

    /// Forgets the turns.
    pub fn clear(&mut self) {
        self.turns.clear();
    }

    /// Adds a turn.
    pub fn push(&mut self, question: String, answer: String) {
        self.turns.push((question, answer));
    }

    /// The prompt for a question. The oldest turns are forgotten until prompt and answer fit into `max_length`.
    ///
    /// # Errors
    /// The number of tokens of a question that leaves no room for an answer even on its own; nothing is forgotten then.
    pub fn prompt(&mut self, tokenizer: &Tokenizer, query: &str, config: &GenerationConfig) -> Result<Prompt, usize> {
        let encode = |turns: &[Turn]| prompt::prompt_ids(tokenizer, query, turns, self.system.as_deref());
        let room = config.max_new_tokens.unwrap_or(ROOM.min(config.max_length / 4)).max(1);
        let alone = encode(&[]).len();
        if alone >= config.max_length {
            return Err(alone);
        }
        let mut dropped = 0;
        let ids = loop {
            let ids = encode(&self.turns[dropped..]);
            if ids.len().saturating_add(room) <= config.max_length || dropped == self.turns.len() {
                break ids;
            }
            dropped += 1;
        };
        self.turns.drain(..dropped);
        Ok(Prompt { ids, dropped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glm_data::Variant;
    use glm_testkit::fixture;

    #[test]
    fn the_oldest_turns_give_way() {
        let file = fixture("tiny-tokenizer/tokenizer.model");
        let tokenizer = Tokenizer::from_file(&file, Variant::ChatGlm2).unwrap();
        let mut history = History::default();
        let config = |max_length, max_new_tokens| GenerationConfig { max_length, max_new_tokens, ..Default::default() };
        let bare = history.prompt(&tokenizer, "你好", &config(8192, None)).unwrap();
        assert_eq!(bare.ids, tokenizer.encode_prompt("[Round 1]\n\n问：你好\n\n答："));
        for i in 0..3 {
            history.push(format!("{i}"), "好".into());
        }
        let all = history.prompt(&tokenizer, "你好", &config(8192, None)).unwrap();
        let text = "[Round 1]\n\n问：0\n\n答：好\n\n[Round 2]\n\n问：1\n\n答：好\n\n[Round 3]\n\n问：2\n\n答：好\n\n\
                    [Round 4]\n\n问：你好\n\n答：";
        assert_eq!(all, Prompt { ids: tokenizer.encode_prompt(text), dropped: 0 });

        let fits = config(all.ids.len() + 7, Some(7));
        assert_eq!(history.prompt(&tokenizer, "你好", &fits).unwrap().dropped, 0);
        let tight = config(all.ids.len() + 6, Some(7));
        let shorter = history.prompt(&tokenizer, "你好", &tight).unwrap();
        assert!(shorter.dropped == 1 && shorter.ids.len() + 7 <= tight.max_length);
        assert_eq!(history.turns.len(), 2);

        assert_eq!(history.prompt(&tokenizer, "你好", &config(bare.ids.len(), None)), Err(bare.ids.len()));
        assert_eq!(history.turns.len(), 2, "a refused question forgets nothing");
        let last = history.prompt(&tokenizer, "你好", &config(bare.ids.len() + 1, None)).unwrap();
        assert_eq!(last, Prompt { ids: bare.ids, dropped: 2 });
    }
}
