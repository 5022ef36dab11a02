//! What a request may say, for chats and for completions alike.

use crate::config::ServeConfig;
use crate::http::error::ApiError;
use crate::models::{Answerer, Models};
use glm_data::{Json, Positions, Tokenizer};
use glm_infer::{GenerationConfig, Request};
use serde::{Deserialize, Deserializer};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

/// Most answers to one prompt, and most prompts of one request.
const MOST_CHOICES: usize = 128;
/// OpenAI's limits.
const MOST_STOPS: usize = 16;
/// In bytes: every token of an answer is compared with every beginning of it.
const LONGEST_STOP: usize = 1000;
const MOST_LOGPROBS: usize = 20;
/// Least temperature at which anything is drawn.
const COLDEST: f32 = 1e-4;

/// The fields of `/v1/chat/completions` and `/v1/completions` that are understood. Others are ignored, but for those that would
/// change the answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// Who answers.
    pub model: Option<String>,
    /// Of a chat.
    pub messages: Option<Vec<Json>>,
    /// Of a completion.
    pub prompt: Option<Prompts>,
    /// Draws: higher is more various; 0 takes the best token.
    pub temperature: Option<f32>,
    /// Smallest set of tokens.
    pub top_p: Option<f32>,
    /// Best tokens; 0: all.
    pub top_k: Option<usize>,
    /// Most tokens of the answer.
    pub max_tokens: Option<usize>,
    /// The newer name of `max_tokens`.
    pub max_completion_tokens: Option<usize>,
    /// Most tokens of prompt and answer, as ChatGLM's own servers have it.
    pub max_length: Option<usize>,
    /// Above 1: what was said becomes less likely.
    pub repetition_penalty: Option<f32>,
    /// OpenAI's.
    pub presence_penalty: Option<f32>,
    /// OpenAI's.
    pub frequency_penalty: Option<f32>,
    /// The same seed, request and server give the same answer.
    pub seed: Option<i64>,
    /// Answers to every prompt.
    pub n: Option<usize>,
    /// Texts that end an answer.
    pub stop: Option<OneOrMany>,
    /// As events.
    pub stream: Option<bool>,
    /// What a stream says at its end.
    pub stream_options: Option<StreamOptions>,
    /// `true` in chats, a number in completions.
    pub logprobs: Option<Logprobs>,
    /// How many likely tokens are named beside each, in chats.
    pub top_logprobs: Option<usize>,
    /// Tools that are described to the model (ChatGLM3).
    pub tools: Option<Json>,
    /// The prompt in front of the answer, in completions.
    pub echo: Option<bool>,
    /// Who asks: where keys are wanted, requests of one are answered in turn with those of others.
    pub user: Option<String>,
    /// Changes the answer, and is not supported.
    pub logit_bias: Option<Json>,
    /// As above.
    pub best_of: Option<usize>,
    /// As above.
    pub suffix: Option<String>,
    /// As above, but for `{"type": "text"}`.
    pub response_format: Option<Json>,
}

/// One text or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// What a completion goes on from.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a text, a list of texts, a list of token ids or a list of such lists")]
pub enum Prompts {
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Ids of tokens, special ones included.
    Ids(Vec<u32>),
    /// Several times ids.
    ManyIds(Vec<Vec<u32>>),
}

/// `logprobs` of both routes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "expected true, false or a number")]
pub enum Logprobs {
    /// Of a chat.
    Wanted(bool),
    /// Of a completion: so many likely tokens beside each.
    Count(usize),
}

/// `stream_options`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct StreamOptions {
    /// A last event with the counts of tokens.
    #[serde(deserialize_with = "or_false")]
    pub include_usage: bool,
}

fn or_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<bool>::deserialize(deserializer)?.unwrap_or(false))
}

impl Fields {
    /// Reads a body.
    ///
    /// # Errors
    /// Names the field that is not what was expected.
    pub fn read(body: &[u8]) -> Result<Self, ApiError> {
        // A list would be taken for the fields in their order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(ApiError::invalid("", "the request is not what was expected: expected a JSON object"));
        }
        let mut json = serde_json::Deserializer::from_slice(body);
        let fields: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let param = if matches!(path.as_str(), "." | "?") { String::new() } else { path };
            ApiError::invalid(param, format!("the request is not what was expected: {}", error.inner()))
        })?;
        json.end().map_err(|error| ApiError::invalid("", format!("the request has text behind its JSON: {error}")))?;
        fields.check_unsupported()?;
        Ok(fields)
    }

    fn check_unsupported(&self) -> Result<(), ApiError> {
        let refuse = |param: &str, what: &str| Err(ApiError::invalid(param, format!("{param}: {what}; leave it out")));
        match &self.logit_bias {
            None | Some(Json::Null) => {}
            Some(Json::Object(entries)) if entries.is_empty() => {}
            Some(_) => return refuse("logit_bias", "this server does not change single logits"),
        }
        if self.best_of.is_some_and(|best| best != self.n.unwrap_or(1)) {
            return refuse("best_of", "this server does not rank answers");
        }
        if self.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
            return refuse("suffix", "these models do not fill in");
        }
        let format = self.response_format.as_ref().and_then(|format| format.get("type")).and_then(Json::as_text);
        if format.is_some_and(|format| format != "text") {
            return refuse("response_format", "this server does not force a format");
        }
        Ok(())
    }

    /// Who answers.
    ///
    /// # Errors
    /// When the model does not exist.
    pub fn answerer(&self, models: &Models) -> Result<Arc<Answerer>, ApiError> {
        match &self.model {
            None => Ok(models.default()),
            Some(name) => models.find(name).ok_or_else(|| ApiError::no_model(name)),
        }
    }

    /// Answers to every prompt.
    ///
    /// # Errors
    /// When there are none or too many.
    pub fn choices(&self) -> Result<usize, ApiError> {
        match self.n.unwrap_or(1) {
            n @ 1..=MOST_CHOICES => Ok(n),
            n => Err(ApiError::invalid("n", format!("n is {n}; expected 1 to {MOST_CHOICES}"))),
        }
    }

    /// Likely tokens beside each token of the answer; `None`: no probabilities.
    ///
    /// # Errors
    /// When there are too many, or a number stands where a chat has true or false.
    pub fn alternatives(&self) -> Result<Option<usize>, ApiError> {
        let (count, param) = match (self.logprobs, self.top_logprobs) {
            (None | Some(Logprobs::Wanted(false)), None) => return Ok(None),
            (None | Some(Logprobs::Wanted(false)), Some(_)) => {
                return Err(ApiError::invalid("top_logprobs", "top_logprobs needs logprobs to be true"));
            }
            (Some(Logprobs::Wanted(true)), count) => (count.unwrap_or(0), "top_logprobs"),
            (Some(Logprobs::Count(count)), _) => (count, "logprobs"),
        };
        if count > MOST_LOGPROBS {
            return Err(ApiError::invalid(param, format!("{param} is {count}; expected 0 to {MOST_LOGPROBS}")));
        }
        Ok(Some(count))
    }

    /// How tokens are chosen.
    ///
    /// # Errors
    /// Names the field that no answer follows from.
    pub fn generation(&self, config: &ServeConfig) -> Result<GenerationConfig, ApiError> {
        let defaults = config.defaults;
        let range = |param: &str, value: Option<f32>, low: f32, high: f32| match value {
            Some(value) if !(low..=high).contains(&value) => {
                Err(ApiError::invalid(param, format!("{param} is {value}; expected {low} to {high}")))
            }
            _ => Ok(()),
        };
        range("temperature", self.temperature, 0.0, 100.0)?;
        range("top_p", self.top_p, 0.0, 1.0)?;
        range("presence_penalty", self.presence_penalty, -2.0, 2.0)?;
        range("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?;
        range("repetition_penalty", self.repetition_penalty, 0.01, 100.0)?;
        let stop = match self.stop.clone() {
            None => Vec::new(),
            Some(OneOrMany::One(stop)) => vec![stop],
            Some(OneOrMany::Many(stop)) => stop,
        };
        if stop.len() > MOST_STOPS || stop.iter().any(|stop| stop.is_empty() || stop.len() > LONGEST_STOP) {
            let expected = format!("stop: expected at most {MOST_STOPS} texts of 1 to {LONGEST_STOP} bytes");
            return Err(ApiError::invalid("stop", expected));
        }
        // So little heat would make logits infinite, and means the best token.
        let temperature =
            self.temperature.filter(|heat| *heat == 0.0 || *heat >= COLDEST).unwrap_or(match self.temperature {
                Some(_) => 0.0,
                None => defaults.temperature,
            });
        Ok(GenerationConfig {
            do_sample: temperature > 0.0,
            temperature: if temperature > 0.0 { temperature } else { 1.0 },
            top_p: self.top_p.unwrap_or(defaults.top_p),
            top_k: self.top_k.unwrap_or(defaults.top_k),
            repetition_penalty: self.repetition_penalty.unwrap_or(defaults.repetition_penalty),
            presence_penalty: self.presence_penalty.unwrap_or(0.0),
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
            max_length: self
                .max_length
                .filter(|length| *length > 0)
                .unwrap_or(defaults.max_length)
                .min(config.max_length),
            max_new_tokens: self.max_completion_tokens.or(self.max_tokens),
            stop,
            seed: self.seed.map_or_else(random, |seed| seed as u64),
            ..GenerationConfig::default()
        })
    }
}

/// The request for a prompt of this many tokens.
///
/// # Errors
/// When prompt and answer do not fit into the context, or ids are not the vocabulary's.
pub fn request(
    tokenizer: &Tokenizer,
    prompt: Vec<u32>,
    answerer: &Answerer,
    generation: &GenerationConfig,
    config: &ServeConfig,
) -> Result<Request, ApiError> {
    let (tokens, most) = (prompt.len(), generation.max_length);
    let too_long = |asked: String| ApiError {
        code: Some("context_length_exceeded"),
        ..ApiError::invalid(
            "messages",
            format!(
                "the prompt has {tokens} tokens{asked}, of at most {} together; shorten it",
                config.max_length.min(most)
            ),
        )
    };
    if tokens >= most {
        return Err(too_long(", which leaves no room for an answer".into()));
    }
    if let Some(asked) = generation.max_new_tokens {
        if asked == 0 {
            return Err(ApiError::invalid("max_tokens", "max_tokens is 0; expected 1 or more"));
        }
        if tokens.saturating_add(asked) > config.max_length {
            return Err(too_long(format!(" and the answer may have {asked} (max_tokens)")));
        }
    }
    let positions =
        Positions::of(tokenizer, &prompt).map_err(|error| ApiError::invalid("prompt", error.to_string()))?;
    Ok(Request { positions, ..Request::new(prompt, answerer.slot(), generation) })
}

/// 64 bits that nobody can guess.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
