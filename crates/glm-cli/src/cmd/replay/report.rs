//! What was found, for people and for programs.

use super::prompts::Prompts;
use glm_data::{DataConfig, Tokenizer};
use glm_serve::Answerer;
use serde::Serialize;
use std::fmt;

/// Rows that a line names.
const NAMED: usize = 10;

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Rows that were gone through.
    pub rows: usize,
    /// Where it was taken from how rows become prompts.
    pub data_from: &'static str,
    /// The limit of prompts.
    pub max_source_length: usize,
    /// Text before every prompt.
    pub source_prefix: String,
    /// Whether the server gives the adapter earlier turns.
    pub server_gives_history: bool,
    /// Rows that training or evaluation leaves out, counted from 1 as in the file.
    pub left_out: Vec<usize>,
    /// Rows whose prompt training or evaluation cuts: the server cuts none, so these are not compared with it.
    pub cut: Vec<usize>,
    /// Rows with the same prompt in training and evaluation.
    pub trained_as_evaluated: usize,
    /// Rows with the same prompt in evaluation and in the server.
    pub evaluated_as_served: usize,
    /// Rows with the same greedy answer.
    pub answered_alike: usize,
    /// Tokens of these answers.
    pub answer_tokens: usize,
    /// What is not the same.
    pub differences: Vec<Difference>,
}

impl Report {
    /// Nothing compared yet.
    pub fn new(all: &[Prompts], answerer: &Answerer, data: &DataConfig, data_from: &'static str) -> Self {
        let rows = |chosen: &dyn Fn(&Prompts) -> bool| all.iter().filter(|p| chosen(p)).map(|p| p.row).collect();
        let both = |prompts: &Prompts| prompts.training.is_some() && prompts.evaluation.is_some();
        Self {
            rows: all.len(),
            data_from,
            max_source_length: data.max_source_length,
            source_prefix: data.source_prefix.clone(),
            server_gives_history: answerer.takes_history(),
            left_out: rows(&|prompts| !both(prompts)),
            cut: rows(&|prompts| both(prompts) && prompts.cut),
            trained_as_evaluated: 0,
            evaluated_as_served: 0,
            answered_alike: 0,
            answer_tokens: 0,
            differences: Vec::new(),
        }
    }
}

/// The first place where two sides differ.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// Row in the file, counted from 1.
    pub row: usize,
    /// `prompt` or `answer`.
    pub of: &'static str,
    /// The two sides.
    pub between: [&'static str; 2],
    /// Place of the first token that differs, counted from 0.
    pub position: usize,
    /// The tokens there; `None`: this side has ended.
    pub ids: [Option<u32>; 2],
    /// The same as texts.
    pub texts: [Option<String>; 2],
    /// Why, where that is known.
    pub reason: Option<String>,
}

impl Difference {
    /// Compares two sides.
    pub fn between(
        row: usize,
        of: &'static str,
        between: [&'static str; 2],
        sides: [&[u32]; 2],
        tokenizer: &Tokenizer,
    ) -> Option<Self> {
        let [a, b] = sides;
        if a == b {
            return None;
        }
        let position = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
        let ids = sides.map(|side| side.get(position).copied());
        let texts = ids.map(|id| id.map(|id| tokenizer.decode(&[id])));
        Some(Self { row, of, between, position, ids, texts, reason: None })
    }

    /// The server takes no such conversation.
    pub fn refused(row: usize, reason: &str) -> Self {
        let reason = Some(format!("the server refuses the conversation: {reason}"));
        let (between, ids, texts) = (["evaluation", "serving"], [None, None], [None, None]);
        Self { row, of: "prompt", between, position: 0, ids, texts, reason }
    }

    /// The same with a reason.
    pub fn because(self, reason: Option<&str>) -> Self {
        Self { reason: self.reason.or_else(|| reason.map(str::to_owned)), ..self }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |i: usize| match (&self.ids[i], &self.texts[i]) {
            (Some(id), Some(text)) => format!("{} has {id} {text:?}", self.between[i]),
            _ => format!("{} has ended", self.between[i]),
        };
        let Self { row, of, position, .. } = self;
        match (&self.ids, &self.reason) {
            ([None, None], Some(reason)) => write!(f, "row {row}: {reason}"),
            (_, reason) => {
                write!(f, "row {row}: token {position} of the {of} differs: {}, {}", side(0), side(1))?;
                reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compared = self.rows - self.left_out.len();
        let served = compared - self.cut.len();
        writeln!(
            f,
            "{} rows; prompts of at most {} tokens, as {} says",
            self.rows, self.max_source_length, self.data_from
        )?;
        writeln!(f, "  prompt of training   = of evaluation   {:>6} of {compared}", self.trained_as_evaluated)?;
        writeln!(f, "  prompt of evaluation = of the server   {:>6} of {served}", self.evaluated_as_served)?;
        let tokens = self.answer_tokens;
        let asked =
            self.differences.iter().filter(|difference| difference.of == "answer").count() + self.answered_alike;
        writeln!(
            f,
            "  answer of evaluation = of the server   {:>6} of {asked} ({tokens} tokens)",
            self.answered_alike
        )?;
        if !self.cut.is_empty() {
            let rows = named(&self.cut);
            writeln!(
                f,
                "  cut, so not compared with the server, which cuts nothing: {} rows ({rows})",
                self.cut.len()
            )?;
        }
        if !self.left_out.is_empty() {
            writeln!(
                f,
                "  left out by training or evaluation: {} rows ({})",
                self.left_out.len(),
                named(&self.left_out)
            )?;
        }
        match self.differences.len() {
            0 => write!(f, "no difference"),
            count => write!(f, "{count} differences"),
        }
    }
}

/// The first of them.
fn named(rows: &[usize]) -> String {
    let first: Vec<String> = rows.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if rows.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", first.join(", "))
}
