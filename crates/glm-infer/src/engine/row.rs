//! One prompt that is being answered: with one beam token by token, with several by beam search.

use super::sequence::{Endings, Sequence};
use super::{Answer, Finish, Logprobs, Past, Request, Token};
use crate::GenerationConfig;
use crate::decode::{self, Candidate, DecodeError, Hypotheses};
use glm_data::{Positions, Rng};
use glm_model::KvCache;

/// A row of a running batch.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// The caller's name for it.
    pub(super) index: usize,
    pub(super) source: usize,
    pub(super) slot: Option<usize>,
    pub(super) positions: Positions,
    /// Ways of going on that are still open: one until the prompt is read.
    pub(super) beams: Vec<Beam<'a>>,
    /// Tokens at the end of each beam that the network has not seen yet.
    pub(super) pending: usize,
    /// Without its keys and values, which are computed again when it goes on.
    pub(super) paused: bool,
    config: GenerationConfig,
    endings: Endings<'a>,
    /// Of every token of the answer, where they are asked for.
    logprobs: Option<(usize, Vec<Logprobs>)>,
    /// Complete answers of beam search; `None`: there is but one beam.
    complete: Option<Hypotheses<(Sequence<'a>, Finish)>>,
    /// Set when there is nothing left to do.
    answer: Option<Answer>,
    /// Tokens of the prompt with its padding.
    padded_len: usize,
    generated: usize,
    max_new_tokens: usize,
    /// Tokens that the caller has been told of.
    told: usize,
    rng: Rng,
}

/// How a row goes on.
#[derive(Debug)]
pub(super) enum Choice {
    Token(u32, Option<Logprobs>),
    /// The best continuations of its beams.
    Beams(Vec<Candidate>),
}

/// A sequence that the network goes on with.
#[derive(Debug)]
pub(super) struct Beam<'a> {
    pub(super) sequence: Sequence<'a>,
    pub(super) cache: KvCache,
    /// Log probability of the answer so far.
    score: f32,
}

impl<'a> Row<'a> {
    /// `cache` holds the first tokens of the prompt, but not the last one.
    pub(super) fn new(
        index: usize,
        request: &Request,
        cache: KvCache,
        config: &GenerationConfig,
        endings: Endings<'a>,
    ) -> Self {
        let sequence = Sequence::new(&request.prompt, request.padding > 0, &endings);
        let pending = request.prompt.len() - cache.len();
        Self {
            index,
            source: request.source,
            slot: request.slot,
            positions: request.positions,
            beams: vec![Beam { sequence, cache, score: 0.0 }],
            pending,
            paused: false,
            config: config.clone(),
            endings,
            logprobs: request.logprobs.filter(|_| config.num_beams == 1).map(|alternatives| (alternatives, Vec::new())),
            complete: (config.num_beams > 1).then(|| Hypotheses::new(config)),
            answer: None,
            padded_len: request.padding.saturating_add(request.prompt.len()),
            generated: 0,
            max_new_tokens: request.max_new_tokens,
            told: 0,
            rng: Rng::with_stream(config.seed, request.stream),
        }
    }

    /// Takes the logits that follow each beam and chooses what comes next. Nothing but the random numbers is changed.
    pub(super) fn choose(&mut self, logits: &[&[f32]]) -> Result<Choice, DecodeError> {
        let step = self.generated + 1;
        if self.complete.is_none() {
            let (ids, logits) = (self.beams[0].sequence.ids(), logits[0]);
            let token = decode::next_token(logits, ids, &self.config, step, &mut || self.rng.next_u64())?;
            let logprobs = self.logprobs.as_ref().map(|(alternatives, _)| Logprobs::of(logits, token, *alternatives));
            return Ok(Choice::Token(token, logprobs));
        }
        let candidates = self.candidates(logits);
        candidates.map(Choice::Beams).map_err(|source| DecodeError::AtStep { step, source: Box::new(source) })
    }

    /// Goes on by one token. `on_token` gets the tokens of the answer that have become certain: those of beam search all at
    /// its end.
    pub(super) fn advance(&mut self, choice: Choice, on_token: &mut dyn FnMut(Token<'_>)) {
        match choice {
            Choice::Token(token, logprobs) => {
                if let Some((_, all)) = &mut self.logprobs {
                    all.extend(logprobs);
                }
                self.next_token(token);
            }
            Choice::Beams(candidates) => self.next_beams(&candidates),
        }
        self.generated += 1;
        self.pending = 1;
        self.end();
        let certain = match (&self.answer, self.beams.first()) {
            (Some(answer), _) => &answer.tokens,
            (None, Some(beam)) if self.complete.is_none() => beam.sequence.certain(&self.endings),
            _ => return,
        };
        let logprobs = self.logprobs.as_ref().map(|(_, all)| all.as_slice()).unwrap_or_default();
        for (place, id) in certain.iter().enumerate().skip(self.told) {
            on_token(Token { index: self.index, id: *id, logprobs: logprobs.get(place) });
        }
        self.told = certain.len().max(self.told);
    }

    fn next_token(&mut self, token: u32) {
        if let Some(finish) = self.beams[0].sequence.push(token, &self.endings) {
            self.answer = Some(self.beams[0].sequence.clone().into_answer(finish));
        }
    }

    fn next_beams(&mut self, candidates: &[Candidate]) {
        let (config, endings) = (&self.config, &self.endings);
        let Some(complete) = &mut self.complete else { return };
        let length = self.padded_len + self.generated;
        let mut open = Vec::with_capacity(config.num_beams);
        for (rank, candidate) in candidates.iter().enumerate() {
            if open.len() == config.num_beams {
                break;
            }
            let mut sequence = self.beams[candidate.beam].sequence.clone();
            // As in transformers, the first end token stands for all.
            let ends = endings.special.eos.contains(&candidate.token);
            let token = if ends { endings.special.eos[0] } else { candidate.token };
            match sequence.push(token, endings) {
                None => open.push((candidate.beam, sequence, candidate.score)),
                // An end that is not among the best is neither an answer nor a beam.
                Some(_) if rank >= config.num_beams => {}
                Some(finish) => {
                    complete.add((sequence, finish), candidate.score, length + usize::from(finish != Finish::Eos));
                }
            }
        }
        let done = candidates.first().is_none_or(|best| complete.is_done(best.score, length + 1));
        self.beams = if done { Vec::new() } else { continued(std::mem::take(&mut self.beams), open) };
    }

    /// The best (or the drawn) tokens to go on with, best first. There are more than beams since some may end their answer.
    fn candidates(&mut self, logits: &[&[f32]]) -> Result<Vec<Candidate>, DecodeError> {
        let (config, endings) = (&self.config, &self.endings);
        // With so many of a beam at least one is no end token. Transformers takes two, and gives up when too few are left.
        let each = endings.special.eos.len().saturating_add(1).max(2);
        let count = config.num_beams.saturating_mul(each);
        let mut rows = Vec::with_capacity(logits.len());
        for (beam, logits) in self.beams.iter().zip(logits) {
            let mut row = decode::beam_scores(logits, beam.sequence.ids(), beam.score, config)?;
            if config.do_sample {
                decode::warp_scores(&mut row, each, config)?;
            }
            rows.push(row);
        }
        if !config.do_sample {
            return Ok(decode::best_candidates(&rows, count));
        }
        // After the prompt all beams are the same one, and each is drawn from.
        let open = rows.len();
        if self.generated == 0 {
            rows = rows.iter().cycle().take(open.saturating_mul(config.num_beams)).cloned().collect();
        }
        let mut drawn = decode::draw_candidates(&rows, count, &mut || self.rng.next_u64());
        drawn.iter_mut().for_each(|candidate| candidate.beam %= open);
        // Those beyond transformers' two a beam must not compete with them: they only step in where those end answers.
        let competing = drawn.len().min(2 * config.num_beams);
        drawn[..competing].sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(drawn)
    }

    /// Sets the answer when the row is complete.
    fn end(&mut self) {
        if self.answer.is_none() && (self.generated >= self.max_new_tokens || self.beams.is_empty()) {
            self.answer = self.conclude(Finish::Length);
        }
    }

    /// The answer that the row has so far; its open beams end by `finish`.
    fn conclude(&mut self, finish: Finish) -> Option<Answer> {
        let length = self.padded_len + self.generated;
        let Some(mut complete) = self.complete.take() else {
            return self.beams.first().map(|beam| beam.sequence.clone().into_answer(finish));
        };
        for beam in self.beams.drain(..) {
            complete.add((beam.sequence, finish), beam.score, length);
        }
        let mut answers = complete
            .into_best()
            .into_iter()
            .take(self.config.num_return_sequences)
            .map(|(score, (sequence, finish))| Answer { score: Some(score), ..sequence.into_answer(finish) });
        let mut best = answers.next()?;
        best.others = answers.collect();
        Some(best)
    }

    /// Whether there is an answer to take.
    pub(super) fn is_complete(&self) -> bool {
        self.answer.is_some()
    }

    /// The answer, or what there is of it, and what the row leaves behind.
    pub(super) fn into_answer(mut self) -> (Answer, Option<Past>) {
        let answer = self.answer.take().or_else(|| self.conclude(Finish::Stopped));
        let past = match self.beams.pop() {
            // A prompt that is read in both directions (ChatGLM-6B's) can begin no other one.
            Some(beam)
                if self.beams.is_empty() && self.complete.is_none() && !self.paused && self.positions.is_causal() =>
            {
                Some(Past::new(self.slot, beam.sequence.tokens(), beam.cache))
            }
            _ => None,
        };
        (answer.unwrap_or_else(|| Answer::new(Vec::new(), Finish::Stopped)), past)
    }

    /// Gives up keys and values until the row goes on, when they are computed again from its tokens.
    pub(super) fn pause(&mut self) {
        self.paused = true;
        for beam in &mut self.beams {
            self.pending = beam.sequence.tokens().len();
            beam.cache.clear();
        }
    }

    /// Tokens that the row's keys and values hold, all beams together.
    pub(super) fn cached(&self) -> usize {
        self.beams.iter().map(|beam| beam.cache.len()).sum()
    }
}

/// The beams of the next step, each `(beam that it continues, its tokens, score)`. A cache that one beam continues is
/// moved; it is copied only for the others that continue it.
fn continued<'a>(beams: Vec<Beam<'a>>, next: Vec<(usize, Sequence<'a>, f32)>) -> Vec<Beam<'a>> {
    let mut heirs = vec![0; beams.len()];
    next.iter().for_each(|(from, ..)| heirs[*from] += 1);
    let mut caches: Vec<KvCache> = beams.into_iter().map(|beam| beam.cache).collect();
    let inherit = |(from, sequence, score): (usize, Sequence<'a>, f32)| {
        heirs[from] -= 1;
        let cache = if heirs[from] == 0 { std::mem::take(&mut caches[from]) } else { caches[from].clone() };
        Beam { sequence, cache, score }
    };
    next.into_iter().map(inherit).collect()
}
