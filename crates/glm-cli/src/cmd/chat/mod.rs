//! `glmtune chat`: a conversation, answered as it is generated.

mod answer;
mod answerers;
mod command;
mod complete;
mod history;
mod input;
mod kept_lines;
mod messages;
mod reader;
mod settings;
mod show;
mod talk;

use crate::cmd::language::Language;
use crate::cmd::{adapter, base, serve, threads};
use crate::config::ChatSettings;
use crate::config::adapter::AdapterConfig;
use answerers::Answerers;
use anyhow::Context;
use complete::Completion;
use glm_infer::Engine;
use glm_serve::{Model, Models};
use history::History;
use input::Input;
use messages::Messages;
use signal_hook::consts::SIGINT;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use talk::Talk;

/// Prompt tokens of one forward pass: few, so that Ctrl-C is soon heard while a long prompt is read.
const PREFILL_TOKENS: usize = 256;

/// Runs it: questions from standard input, answers on standard output, all else on standard error.
///
/// # Errors
/// When base or checkpoint cannot be loaded, a logit is not finite, or standard output is closed.
pub fn run(settings: ChatSettings) -> anyhow::Result<()> {
    threads::set(settings.threads)?;
    let prepared = base::prepare(&settings.base, settings.adapter.as_ref())?;
    for (name, path) in &settings.adapters {
        // What does not fit the base is said before the base is loaded.
        adapter::reopen(path, &prepared.config).with_context(|| format!("--adapter {name}"))?;
    }
    let loaded = prepared.load(true)?;
    eprintln!("{}", settings.base.describe());
    if let (Some(adapter), Some(files)) =
        (&loaded.adapter, settings.adapter.as_ref().and_then(AdapterConfig::init_from))
    {
        let origin = format!("from {}", files.display());
        eprintln!("{}", adapter::describe(adapter, &loaded.network, &origin));
    }
    let generation = settings.generation(loaded.network.config().variant);
    let models = Models::new(Arc::new(Model::new(loaded.network, loaded.tokenizer)), &serve::name_of(&settings.base));
    let answerers = Answerers::load(&settings, &models)?;
    let Model { network, tokenizer, slots } = &**models.model();
    let mut engine = Engine::new(network, slots, models.model().special()).with_tokenizer(tokenizer);
    engine.prefill_tokens = PREFILL_TOKENS;
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&stop))?;
    let completion = Completion::new(answerers.names().skip(1).map(str::to_owned).collect());
    let input = Input::open(completion, || {
        settings.input_history.then(|| kept_lines::file(|name| std::env::var(name).ok())).flatten()
    })?;
    let talk = Talk {
        engine,
        tokenizer,
        answerers,
        generation,
        messages: Messages(Language::of_environment()),
        stop,
        terminal: input.is_terminal(),
        asked: 0,
        history: History::after(settings.system_prompt.clone(), settings.history),
        open: None,
        last_asked: Vec::new(),
        told: Vec::new(),
        pasts: HashMap::new(),
    };
    talk.run(input)
}
