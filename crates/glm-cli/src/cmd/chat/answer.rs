//! Asking: one or several who answer, in one batch, shown one after the other.

use super::history::Form;
use super::show::{harmless, say, write};
use super::talk::Talk;
use crate::exit;
use glm_data::Positions;
use glm_data::prompt::Shown;
use glm_infer::{Answer, Ended, Finish, InferError, Request};
use std::io;
use std::sync::atomic::Ordering;

/// One who answers.
struct Voice<'a> {
    /// `None`: the answer is complete.
    shown: Option<Shown<'a>>,
    /// Text that is to be shown.
    waiting: String,
    /// The complete answer.
    answer: String,
    /// It repeated itself.
    repeated: bool,
    /// No token can be chosen.
    failed: Option<anyhow::Error>,
}

impl Voice<'_> {
    fn hear(&mut self, id: u32) {
        if let Some(shown) = &mut self.shown {
            self.waiting += &shown.push(id);
        }
    }

    fn end(&mut self, answer: Result<Answer, InferError>) {
        // What stands before a stop string may end within a token, which was not shown.
        let text = answer.as_ref().ok().and_then(|answer| answer.text.clone());
        self.repeated = answer.as_ref().is_ok_and(|answer| answer.finish == Finish::Repetition);
        self.failed = answer.err().map(|error| match error {
            // There is no file whose row could be named.
            InferError::Row { source, .. } => source.into(),
            other => other.into(),
        });
        if let Some(shown) = self.shown.take() {
            let (rest, whole) = shown.finish(text);
            self.waiting += &rest;
            self.answer = whole;
        }
    }
}

impl Talk<'_> {
    /// The answers of those at `who`, as far as they came; `None`: the question is too long.
    ///
    /// # Errors
    /// When no token can be chosen and no person is there to see it, or standard output is closed.
    pub(super) fn answers(&mut self, question: &str, who: &[usize]) -> anyhow::Result<Option<Vec<String>>> {
        let Some(requests) = self.requests(question, who)? else { return Ok(None) };
        self.asked += 1;
        self.stop.store(false, Ordering::Relaxed);
        let engine = self.engine.clone();
        let mut running = engine.start();
        for (index, request) in requests.iter().enumerate() {
            let past = self.pasts.remove(&request.slot);
            running.admit_after(index, request, &self.generation, past)?;
        }
        let new = |_: &usize| Voice {
            shown: Some(Shown::new(self.tokenizer)),
            waiting: String::new(),
            answer: String::new(),
            repeated: false,
            failed: None,
        };
        let mut voices: Vec<Voice<'_>> = who.iter().map(new).collect();
        let mut speaking = 0;
        self.heading(who, speaking)?;
        while !running.is_empty() {
            let ended = match self.stop.load(Ordering::Relaxed) {
                true => running.cancel(),
                false => running.step(&mut |token| voices[token.index].hear(token.id))?,
            };
            for Ended { index, answer, past } in ended {
                if let Some(past) = past {
                    self.pasts.insert(past.slot(), past);
                }
                voices[index].end(answer);
            }
            self.show(&mut voices, who, &mut speaking)?;
        }
        Ok(Some(voices.into_iter().map(|voice| voice.answer).collect()))
    }

    fn requests(&mut self, question: &str, who: &[usize]) -> anyhow::Result<Option<Vec<Request>>> {
        let max_length = self.generation.max_length;
        let mut requests = Vec::with_capacity(who.len());
        let mut dropped = 0;
        for &place in who {
            let answerer = self.answerers.get(place);
            let prompt = self.history.prompt(self.tokenizer, Form::of(answerer), question, &self.generation)?;
            let prompt = match prompt {
                Ok(prompt) => prompt,
                Err(tokens) => {
                    say(&self.messages.too_long(tokens, max_length));
                    return Ok(None);
                }
            };
            dropped = dropped.max(prompt.dropped);
            let positions = Positions::of(self.tokenizer, &prompt.ids)?;
            // All draw the same random numbers: what differs comes from the adapter.
            let request = Request::new(prompt.ids, answerer.slot(), &self.generation);
            requests.push(Request { positions, stream: self.asked, ..request });
        }
        if dropped > 0 {
            self.history.give_way(dropped);
            say(&self.messages.dropped(dropped, max_length));
        }
        for &place in who {
            let single = self.history.is_sent() && !self.answerers.get(place).takes_history();
            if single && !self.told.contains(&place) {
                self.told.push(place);
                say(&self.messages.single(self.answerers.name(place)));
            }
        }
        Ok(Some(requests))
    }

    /// What stands before the answer of the one whose turn it is.
    fn heading(&self, who: &[usize], speaking: usize) -> anyhow::Result<()> {
        let Some(&place) = who.get(speaking) else { return Ok(()) };
        let name = self.answerers.name(place);
        let heading = match (self.answerers.compares(), self.terminal) {
            (true, _) => format!("[{name}]\n"),
            (false, true) if self.answerers.has_adapters() => self.messages.speaker(name),
            (false, true) => self.messages.model().to_owned(),
            (false, false) => return Ok(()),
        };
        write(&mut io::stdout().lock(), &heading)
    }

    /// Shows what there is of the answer whose turn it is, and of those after it as far as it is complete.
    fn show(&self, voices: &mut [Voice<'_>], who: &[usize], speaking: &mut usize) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        while let Some(voice) = voices.get_mut(*speaking) {
            let text = std::mem::take(&mut voice.waiting);
            let text = if self.terminal { harmless(&text) } else { text };
            let complete = voice.shown.is_none();
            write(&mut out, &(text + if complete { "\n" } else { "" }))?;
            if !complete {
                return Ok(());
            }
            if voice.repeated {
                say(self.messages.repetition());
            }
            match voice.failed.take() {
                // A conversation is not lost for one answer; a program that reads the answers must see the failure.
                Some(error) if self.terminal => say(&format!("error: {}", exit::text(&error))),
                Some(error) if self.answerers.has_adapters() => {
                    return Err(error.context(self.answerers.name(who[*speaking]).to_owned()));
                }
                Some(error) => return Err(error),
                None => {}
            }
            *speaking += 1;
            self.heading(who, *speaking)?;
        }
        Ok(())
    }
}
