//! The turns of a conversation, and the prompts that are made of them.

use glm_data::format::{Conversation, Said};
use glm_data::prompt::Role;
use glm_data::{DataError, Tokenizer, Turn, chat_ids};
use glm_infer::GenerationConfig;
use glm_serve::Answerer;
use serde::Serialize;

/// Room that is kept for an answer of unlimited length, when history has to give way.
const ROOM: usize = 512;

/// Earlier questions and answers, whoever answered.
#[derive(Debug, Default)]
pub struct History {
    turns: Vec<Turn>,
    /// What stands before them.
    system: Option<String>,
    /// Whether questions are asked after them.
    sent: bool,
    /// Turns at the beginning that had to give way.
    given_way: usize,
}

/// How one who answers wants to be asked.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    /// After the earlier turns.
    pub takes_history: bool,
    /// Text before every prompt.
    pub source_prefix: &'a str,
}

impl<'a> Form<'a> {
    /// That of an answerer.
    pub fn of(answerer: &'a Answerer) -> Self {
        Self { takes_history: answerer.takes_history(), source_prefix: answerer.source_prefix() }
    }
}

/// A question that is ready to be answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its tokens, history included.
    pub ids: Vec<u32>,
    /// Turns that had to give way for it, beside those that had to before.
    pub dropped: usize,
}

/// What is saved.
#[derive(Serialize)]
struct Line<'a> {
    messages: Vec<Message<'a>>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: Role,
    content: &'a str,
}

impl History {
    /// An empty conversation behind a system prompt; without `sent` its turns are kept, and no question is asked after them.
    pub fn after(system: Option<String>, sent: bool) -> Self {
        Self { system, sent, ..Self::default() }
    }

    /// Whether questions are asked after earlier turns.
    pub fn is_sent(&self) -> bool {
        self.sent
    }

    /// The turns.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// How many turns at the beginning no question is asked after any more.
    pub fn given_way(&self) -> usize {
        self.given_way
    }

    /// Forgets the turns.
    pub fn clear(&mut self) {
        self.turns.clear();
        self.given_way = 0;
    }

    /// Adds a turn.
    pub fn push(&mut self, question: String, answer: String) {
        self.turns.push((question, answer));
    }

    /// Takes the last turn away.
    pub fn pop(&mut self) -> Option<Turn> {
        let last = self.turns.pop();
        self.given_way = self.given_way.min(self.turns.len());
        last
    }

    /// Lets further turns at the beginning give way.
    pub fn give_way(&mut self, turns: usize) {
        self.given_way = self.turns.len().min(self.given_way + turns);
    }

    /// The conversation as a line of JSON.
    pub fn line(&self) -> String {
        let message = |role, content| Message { role, content };
        let system = self.system.iter().map(|text| message(Role::System, text));
        let turns = self
            .turns
            .iter()
            .flat_map(|(question, answer)| [message(Role::User, question), message(Role::Assistant, answer)]);
        let line = Line { messages: system.chain(turns).collect() };
        serde_json::to_string(&line).expect("texts can be written as JSON")
    }

    /// The prompt for a question, made by what makes the server's and those of training. As many of the oldest turns as must
    /// give way, so that prompt and answer fit into `max_length`.
    ///
    /// # Errors
    /// The inner one: the number of tokens of a question that leaves no room for an answer even on its own.
    pub fn prompt(
        &self,
        tokenizer: &Tokenizer,
        form: Form<'_>,
        question: &str,
        config: &GenerationConfig,
    ) -> Result<Result<Prompt, usize>, DataError> {
        let encode = |turns: &[Turn]| {
            let system = self.system.iter().map(|text| Said::new(Role::System, text));
            let turns = turns
                .iter()
                .flat_map(|(q, a)| [Said::new(Role::User, q.as_str()), Said::new(Role::Assistant, a.as_str())]);
            let messages = system.chain(turns).chain([Said::new(Role::User, question)]).collect();
            chat_ids(tokenizer, &Conversation { messages, uses_tools: false }, form.source_prefix)
        };
        let room = config.max_new_tokens.unwrap_or(ROOM.min(config.max_length / 4)).max(1);
        let alone = encode(&[])?;
        if alone.len() >= config.max_length {
            return Ok(Err(alone.len()));
        }
        let turns = if self.sent && form.takes_history { &self.turns[self.given_way..] } else { &[] };
        for dropped in 0..turns.len() {
            let ids = encode(&turns[dropped..])?;
            if ids.len().saturating_add(room) <= config.max_length {
                return Ok(Ok(Prompt { ids, dropped }));
            }
        }
        Ok(Ok(Prompt { ids: alone, dropped: turns.len() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glm_data::{Json, Variant, format, prompt};
    use glm_testkit::fixture;
    use serde_json::{Value, json};

    const PLAIN: Form<'_> = Form { takes_history: true, source_prefix: "" };

    fn tokenizer() -> Tokenizer {
        Tokenizer::from_file(&fixture("tiny-tokenizer/tokenizer.model"), Variant::ChatGlm2).unwrap()
    }

    fn config(max_length: usize, max_new_tokens: Option<usize>) -> GenerationConfig {
        GenerationConfig { max_length, max_new_tokens, ..Default::default() }
    }

    #[test]
    fn the_oldest_turns_give_way() {
        let tokenizer = tokenizer();
        let mut history = History::after(None, true);
        let prompt =
            |history: &History, config: &GenerationConfig| history.prompt(&tokenizer, PLAIN, "你好", config).unwrap();
        let bare = prompt(&history, &config(8192, None)).unwrap();
        assert_eq!(bare.ids, tokenizer.encode_prompt("[Round 1]\n\n问：你好\n\n答："));
        for i in 0..3 {
            history.push(format!("{i}"), "好".into());
        }
        let all = prompt(&history, &config(8192, None)).unwrap();
        let text = "[Round 1]\n\n问：0\n\n答：好\n\n[Round 2]\n\n问：1\n\n答：好\n\n[Round 3]\n\n问：2\n\n答：好\n\n\
                    [Round 4]\n\n问：你好\n\n答：";
        assert_eq!(all, Prompt { ids: tokenizer.encode_prompt(text), dropped: 0 });

        let fits = config(all.ids.len() + 7, Some(7));
        assert_eq!(prompt(&history, &fits).unwrap().dropped, 0);
        let tight = config(all.ids.len() + 6, Some(7));
        let shorter = prompt(&history, &tight).unwrap();
        assert!(shorter.dropped == 1 && shorter.ids.len() + 7 <= tight.max_length);
        history.give_way(shorter.dropped);
        assert_eq!(prompt(&history, &tight).unwrap(), Prompt { ids: shorter.ids, dropped: 0 });
        assert_eq!((history.turns().len(), history.given_way()), (3, 1), "they are still shown and saved");

        assert_eq!(prompt(&history, &config(bare.ids.len(), None)), Err(bare.ids.len()));
        let last = prompt(&history, &config(bare.ids.len() + 1, None)).unwrap();
        assert_eq!(last, Prompt { ids: bare.ids, dropped: 2 });
        history.give_way(2);
        assert_eq!(history.pop(), Some(("2".into(), "好".into())));
        assert_eq!(history.given_way(), 2);
        history.clear();
        assert_eq!((history.given_way(), history.pop()), (0, None));
    }

    #[test]
    fn everyone_is_asked_in_the_form_that_the_server_uses() {
        let tokenizer = tokenizer();
        let mut history = History::after(Some("请简短".into()), true);
        history.push("甲".into(), "乙".into());
        let saved: Value = serde_json::from_str(&history.line()).unwrap();
        let mut messages: Vec<Json> = serde_json::from_value(saved["messages"].clone()).unwrap();
        assert_eq!(messages.len(), 3);
        messages.push(serde_json::from_value(json!({ "role": "user", "content": "丙" })).unwrap());
        let room = config(8192, None);
        let ids = |form| history.prompt(&tokenizer, form, "丙", &room).unwrap().unwrap().ids;
        for source_prefix in ["", "广告："] {
            let asked = format::asked(&messages, None).unwrap();
            let expected = chat_ids(&tokenizer, &asked, source_prefix).unwrap();
            assert_eq!(ids(Form { takes_history: true, source_prefix }), expected, "{source_prefix}");
            messages.drain(1..3);
            let alone = chat_ids(&tokenizer, &format::asked(&messages, None).unwrap(), source_prefix).unwrap();
            assert_eq!(ids(Form { takes_history: false, source_prefix }), alone, "{source_prefix}");
            messages = serde_json::from_value(saved["messages"].clone()).unwrap();
            messages.push(serde_json::from_value(json!({ "role": "user", "content": "丙" })).unwrap());
        }
        let turns = history.turns().to_vec();
        assert_eq!(ids(PLAIN), prompt::prompt_ids(&tokenizer, "丙", &turns, Some("请简短")));
        let unsent = History { sent: false, ..history };
        let alone = unsent.prompt(&tokenizer, PLAIN, "丙", &room).unwrap().unwrap().ids;
        assert_eq!(alone, prompt::prompt_ids(&tokenizer, "丙", &[], Some("请简短")));
    }
}
