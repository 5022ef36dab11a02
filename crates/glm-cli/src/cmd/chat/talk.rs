//! The conversation: what becomes of what the user says.

use super::answerers::Answerers;
use super::command::{self, Command, Entry, nearest};
use super::history::History;
use super::input::Input;
use super::messages::Messages;
use super::reader::{self, Said};
use super::settings::{self, Wrong};
use super::show::say;
use glm_data::Tokenizer;
use glm_infer::{Engine, GenerationConfig, Past};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A conversation.
pub struct Talk<'a> {
    /// What computes.
    pub engine: Engine<'a>,
    /// Its vocabulary.
    pub tokenizer: &'a Tokenizer,
    /// Who answers.
    pub answerers: Answerers,
    /// How.
    pub generation: GenerationConfig,
    /// The program's own words.
    pub messages: Messages,
    /// Set by SIGINT.
    pub stop: Arc<AtomicBool>,
    /// Whether a person sits at the other end.
    pub terminal: bool,
    /// Questions so far: each samples with random numbers of its own.
    pub asked: u64,
    /// The turns.
    pub history: History,
    /// The last question, when it has no answer.
    pub open: Option<String>,
    /// Who was asked it.
    pub last_asked: Vec<usize>,
    /// Who was said to get no history.
    pub told: Vec<usize>,
    /// Keys and values of the last conversation with each slot.
    pub pasts: HashMap<Option<usize>, Past>,
}

impl Talk<'_> {
    /// Goes on until the user leaves.
    ///
    /// # Errors
    /// When no token can be chosen, or standard input or output fails.
    pub fn run(mut self, mut input: Input) -> anyhow::Result<()> {
        eprintln!("{}", self.messages.welcome());
        if self.answerers.has_adapters() {
            say(&self.messages.answers(self.answerers.name(self.answerers.current())));
        }
        let mut interrupted = false;
        let mut next = reader::next(&mut input, self.messages)?;
        loop {
            let twice = interrupted && next == Said::Interrupt;
            interrupted = next == Said::Interrupt;
            match next {
                Said::End => return Ok(()),
                Said::Interrupt if twice => return Ok(()),
                Said::Interrupt => eprintln!("{}", self.messages.how_to_leave()),
                Said::Question(text) if text.trim().is_empty() => {}
                Said::Question(text) => self.ask(text, None)?,
                Said::Line(text) => match command::parse(&text) {
                    Entry::Command(Command::Exit) => return Ok(()),
                    Entry::Command(Command::Paste) => {
                        if self.terminal {
                            eprintln!("{}", self.messages.paste());
                        }
                        next = reader::block(&mut input)?;
                        continue;
                    }
                    entry => self.enter(entry)?,
                },
            }
            next = reader::next(&mut input, self.messages)?;
        }
    }

    fn enter(&mut self, entry: Entry) -> anyhow::Result<()> {
        match entry {
            Entry::Empty => {}
            Entry::Question(text) => self.ask(text, None)?,
            Entry::Unknown(name, near) => say(&self.messages.unknown_command(&name, near)),
            Entry::Wants(spec) => say(&self.messages.usage(spec)),
            Entry::Command(command) => match command {
                Command::Help => say(&self.messages.help()),
                Command::Adapters => self.list(),
                Command::Use(name) => self.choose(&name),
                Command::Compare(names) => self.compare(&names),
                Command::Again => self.again()?,
                Command::Undo => self.undo(),
                Command::Clear => {
                    self.history.clear();
                    self.open = None;
                    self.pasts.clear();
                    say(self.messages.cleared());
                }
                Command::History => self.show_history(),
                Command::Settings => say(&settings::show_all(&self.generation)),
                Command::Set(name, value) => self.set(&name, &value),
                Command::Save(file) => self.save(&file),
                // The loop deals with them.
                Command::Paste | Command::Exit => {}
            },
        }
        Ok(())
    }

    /// Asks, and keeps the turn. `before` is the answer that a new one replaces.
    fn ask(&mut self, question: String, before: Option<String>) -> anyhow::Result<()> {
        let (who, kept) = self.answerers.asked();
        let answers = self.answers(&question, &who)?;
        self.last_asked = who;
        let answer = answers.and_then(|answers| answers.into_iter().nth(kept)).filter(|answer| !answer.is_empty());
        match answer.or(before) {
            Some(answer) => {
                self.open = None;
                self.history.push(question, answer);
            }
            None => self.open = Some(question),
        }
        Ok(())
    }

    fn again(&mut self) -> anyhow::Result<()> {
        let (question, before) = match self.open.take() {
            Some(question) => (question, None),
            None => match self.history.pop() {
                Some((question, answer)) => (question, Some(answer)),
                None => {
                    say(self.messages.nothing_yet());
                    return Ok(());
                }
            },
        };
        if !self.generation.do_sample && before.is_some() && self.last_asked == self.answerers.asked().0 {
            say(self.messages.nothing_is_drawn());
        }
        self.ask(question, before)
    }

    fn undo(&mut self) {
        match self.open.take().or_else(|| Some(self.history.pop()?.0)) {
            Some(question) => say(&self.messages.undone(&question)),
            None => say(self.messages.nothing_yet()),
        }
    }

    fn list(&self) {
        let (asked, _) = self.answerers.asked();
        for (place, name) in self.answerers.names().enumerate() {
            let mark = if asked.contains(&place) { '*' } else { ' ' };
            let adapter = self.answerers.get(place).adapter.as_ref();
            say(&format!("{mark} {name}: {}", self.messages.about(adapter)));
        }
        if !self.answerers.has_adapters() {
            say(self.messages.no_adapters());
        }
    }

    /// The place of a name; else says that there is none.
    fn place(&self, name: &str) -> Option<usize> {
        let place = self.answerers.find(name);
        if place.is_none() {
            say(&self.messages.unknown_adapter(name, nearest(name, self.answerers.names())));
        }
        place
    }

    fn choose(&mut self, name: &str) {
        let Some(place) = self.place(name) else { return };
        self.answerers.set_current(place);
        say(&self.messages.answers(self.answerers.name(place)));
        if self.answerers.compares() {
            self.tell_compared();
        }
    }

    fn compare(&mut self, names: &[String]) {
        if !self.answerers.has_adapters() {
            return say(self.messages.no_adapters());
        }
        if names.is_empty() && self.answerers.compares() {
            self.answerers.compare(None);
            return say(&self.messages.answers(self.answerers.name(self.answerers.current())));
        }
        let places: Option<Vec<usize>> = names.iter().map(|name| self.place(name)).collect();
        if let Some(places) = places {
            self.answerers.compare(Some(places));
            self.tell_compared();
        }
    }

    fn tell_compared(&self) {
        let (who, kept) = self.answerers.asked();
        let names: Vec<&str> = who.iter().map(|place| self.answerers.name(*place)).collect();
        say(&self.messages.compared(&names, names[kept]));
    }

    fn show_history(&self) {
        let turns = self.history.turns();
        if turns.is_empty() {
            return say(self.messages.nothing_yet());
        }
        for (number, (question, answer)) in turns.iter().enumerate() {
            let unsent = if number < self.history.given_way() { self.messages.given_way() } else { "" };
            say(&format!(
                "{}. {}{question}{unsent}\n{}{answer}",
                number + 1,
                self.messages.user(),
                self.messages.model()
            ));
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        match settings::set(&mut self.generation, name, value) {
            Ok(name) => say(&settings::show(&self.generation, name)),
            Err(Wrong::Name(near)) => say(&self.messages.unknown_setting(name, near)),
            Err(Wrong::Value(expected)) => say(&self.messages.bad_value(name, expected, value)),
        }
    }

    fn save(&self, name: &str) {
        if self.history.turns().is_empty() {
            return say(self.messages.nothing_yet());
        }
        let home = name.strip_prefix("~/").and_then(|rest| Some(PathBuf::from(std::env::var_os("HOME")?).join(rest)));
        let file = home.unwrap_or_else(|| name.into());
        let write = || -> io::Result<()> {
            let mut out = OpenOptions::new().write(true).create_new(true).open(&file)?;
            let written = writeln!(out, "{}", self.history.line()).and_then(|()| out.sync_all());
            if written.is_err() {
                // Half a line must not be taken for a conversation.
                let _ = std::fs::remove_file(&file);
            }
            written
        };
        match write() {
            Ok(()) => say(&self.messages.saved(self.history.turns().len(), name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => say(&self.messages.exists(name)),
            Err(error) => say(&self.messages.not_saved(name, &error)),
        }
    }
}
