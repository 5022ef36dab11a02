//! `glmtune chat`: a conversation, answered as it is generated.

mod history;
mod input;
mod messages;

use crate::cmd::language::Language;
use crate::cmd::{adapter, base, threads};
use crate::config::ChatSettings;
use crate::config::adapter::AdapterConfig;
use anyhow::Context;
use glm_data::prompt::Shown;
use glm_data::{Positions, Tokenizer};
use glm_infer::{Engine, Finish, GenerationConfig, InferError, Request, SpecialIds};
use glm_model::adapter::AdapterSlots;
use history::History;
use input::{Event, Input};
use messages::Messages;
use signal_hook::consts::SIGINT;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Prompt tokens of one forward pass: few, so that Ctrl-C is soon heard while a long prompt is read.
const PREFILL_TOKENS: usize = 256;

/// Runs it: questions from standard input, answers on standard output, all else on standard error.
///
/// # Errors
/// When base or checkpoint cannot be loaded, a logit is not finite, or standard output is closed.
pub fn run(settings: ChatSettings) -> anyhow::Result<()> {
    threads::set(settings.threads)?;
    let loaded = base::load(&settings.base, settings.adapter.as_ref())?;
    let slots = AdapterSlots::default();
    let slot = adapter::add(&slots, loaded.adapter.as_ref())?;
    eprintln!("{}", settings.base.describe());
    if let (Some(adapter), Some(files)) =
        (&loaded.adapter, settings.adapter.as_ref().and_then(AdapterConfig::init_from))
    {
        let origin = format!("from {}", files.display());
        eprintln!("{}", adapter::describe(adapter, &loaded.network, &origin));
    }
    let generation = settings.generation(loaded.network.config().variant);
    let mut engine =
        Engine::new(&loaded.network, &slots, SpecialIds::of(&loaded.tokenizer)).with_tokenizer(&loaded.tokenizer);
    engine.prefill_tokens = PREFILL_TOKENS;
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&stop))?;
    let input = Input::open()?;
    let talk = Talk {
        engine,
        tokenizer: &loaded.tokenizer,
        slot,
        generation: &generation,
        keep: settings.history,
        messages: Messages(Language::of_environment()),
        stop,
        terminal: input.is_terminal(),
        asked: 0,
        history: History::after(settings.system_prompt.clone()),
    };
    talk.run(input)
}

struct Talk<'a> {
    engine: Engine<'a>,
    tokenizer: &'a Tokenizer,
    slot: Option<usize>,
    generation: &'a GenerationConfig,
    keep: bool,
    messages: Messages,
    /// Set by SIGINT.
    stop: Arc<AtomicBool>,
    terminal: bool,
    /// Questions so far: each samples with random numbers of its own.
    asked: u64,
    history: History,
}

impl Talk<'_> {
    fn run(mut self, mut input: Input) -> anyhow::Result<()> {
        eprintln!("{}", self.messages.welcome());
        let mut interrupted = false;
        loop {
            let event = input.next(self.messages.user())?;
            let twice = interrupted && event == Event::Interrupt;
            interrupted = event == Event::Interrupt;
            match event {
                Event::End => return Ok(()),
                Event::Interrupt if twice => return Ok(()),
                Event::Interrupt => eprintln!("{}", self.messages.how_to_leave()),
                Event::Text(text) => match text.trim() {
                    "" => {}
                    "stop" | "exit" | "quit" => return Ok(()),
                    "clear" => {
                        self.history.clear();
                        eprintln!("{}", self.messages.cleared());
                    }
                    _ => self.answer(text)?,
                },
            }
        }
    }

    /// Text for the screen. A model can generate any byte; on a terminal it must not be able to send commands to it.
    fn harmless(&self, text: String) -> String {
        let command = |c: char| c.is_control() && c != '\n' && c != '\t';
        if self.terminal { text.replace(command, "\u{fffd}") } else { text }
    }

    fn answer(&mut self, question: String) -> anyhow::Result<()> {
        let max_length = self.generation.max_length;
        let prompt = match self.history.prompt(self.tokenizer, &question, self.generation) {
            Ok(prompt) => prompt,
            Err(tokens) => {
                eprintln!("{}", self.messages.too_long(tokens, max_length));
                return Ok(());
            }
        };
        if prompt.dropped > 0 {
            eprintln!("{}", self.messages.dropped(prompt.dropped, max_length));
        }
        let mut out = io::stdout().lock();
        if self.terminal {
            show(&mut out, self.messages.model())?;
        }
        let positions = Positions::of(self.tokenizer, &prompt.ids)?;
        let request = Request { positions, stream: self.asked, ..Request::new(prompt.ids, self.slot, self.generation) };
        self.asked += 1;
        self.stop.store(false, Ordering::Relaxed);
        let mut shown = Shown::new(self.tokenizer);
        let mut written = Ok(());
        let generated = self.engine.generate(&[request], self.generation, &self.stop, &mut |_, id| {
            if written.is_ok() {
                written = show(&mut out, &self.harmless(shown.push(id)));
                // Nobody reads the rest.
                self.stop.fetch_or(written.is_err(), Ordering::Relaxed);
            }
        });
        written?;
        let generated = generated.map_err(|error| match error {
            // There is no file whose row could be named.
            InferError::Row { source, .. } => anyhow::Error::from(source),
            other => other.into(),
        });
        // What stands before a stop string may end within a token, which was not shown.
        let text = generated.as_ref().ok().and_then(|answers| answers.first()?.text.clone());
        let (rest, answer) = shown.finish(text);
        show(&mut out, &(self.harmless(rest) + "\n"))?;
        if generated?.first().is_some_and(|answer| answer.finish == Finish::Repetition) {
            eprintln!("{}", self.messages.repetition());
        }
        if self.keep && !answer.is_empty() {
            self.history.push(question, answer);
        }
        Ok(())
    }
}

fn show(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output")
}
