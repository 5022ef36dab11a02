//! Who answers: the base, and the adapters that were named.

use super::show::say;
use crate::args::usage::UsageError;
use crate::cmd::serve;
use crate::config::BASE;
use crate::config::ChatSettings;
use crate::config::adapter::AdapterConfig;
use anyhow::Context;
use glm_serve::{AdapterError, Answerer, Models};
use std::path::Path;
use std::sync::Arc;

/// All of them, and who is asked now.
#[derive(Debug)]
pub struct Answerers {
    /// The base, then the adapters in the order in which they were named.
    all: Vec<Arc<Answerer>>,
    turn: Turn,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Turn {
    /// Who answers alone.
    current: usize,
    /// Who is compared; empty: all. `None`: nobody.
    compared: Option<Vec<usize>>,
}

impl Answerers {
    /// Loads the adapters that the settings name.
    ///
    /// # Errors
    /// When files hold no adapter for this base.
    pub fn load(settings: &ChatSettings, models: &Models) -> anyhow::Result<Self> {
        let mut all = vec![Arc::clone(models.base())];
        if let Some(files) = settings.adapter.as_ref().and_then(AdapterConfig::init_from) {
            all.push(models.load(&own_name(files, &settings.adapters), files).map_err(usage)?);
        }
        for (name, path) in &settings.adapters {
            let flag = || format!("--adapter {name}={}", path.display());
            let answerer = models.load(name, path).map_err(usage).with_context(flag)?;
            if let Some(info) = &answerer.adapter {
                say(&format!("adapter {name}: {}, from {}", info.kind, path.display()));
                info.warning.iter().for_each(|warning| say(&format!("warning: adapter {name}: {warning}")));
            }
            all.push(answerer);
        }
        let current = usize::from(all.len() > 1);
        Ok(Self { all, turn: Turn { current, compared: None } })
    }

    /// Whether there is more than the base.
    pub fn has_adapters(&self) -> bool {
        self.all.len() > 1
    }

    /// One of them.
    pub fn get(&self, place: usize) -> &Arc<Answerer> {
        &self.all[place]
    }

    /// What one is called.
    pub fn name(&self, place: usize) -> &str {
        self.all[place].adapter.as_ref().map_or(BASE, |adapter| &adapter.name)
    }

    /// What they are called.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.all.len()).map(|place| self.name(place))
    }

    /// The place of one by its name, or by that of the API.
    pub fn find(&self, name: &str) -> Option<usize> {
        (0..self.all.len()).find(|place| self.name(*place) == name || self.all[*place].id == name)
    }

    /// Who answers where nobody is compared.
    pub fn current(&self) -> usize {
        self.turn.current
    }

    /// Lets another one answer.
    pub fn set_current(&mut self, place: usize) {
        self.turn.current = place;
    }

    /// Whether several answer.
    pub fn compares(&self) -> bool {
        self.turn.compared.is_some()
    }

    /// Lets several answer every question: the base and those named, or all; `None`: one again.
    pub fn compare(&mut self, named: Option<Vec<usize>>) {
        self.turn.compared = named;
    }

    /// Who is asked the next question, and which of these gives the answer that is kept.
    pub fn asked(&self) -> (Vec<usize>, usize) {
        self.turn.asked(self.all.len())
    }
}

impl Turn {
    fn asked(&self, count: usize) -> (Vec<usize>, usize) {
        let (who, kept) = match self.compared.as_deref() {
            None => (vec![self.current], self.current),
            Some([]) => ((0..count).collect(), self.current),
            Some(named @ [first, ..]) => {
                let mut who = vec![0];
                for place in named {
                    if !who.contains(place) {
                        who.push(*place);
                    }
                }
                (who, *first)
            }
        };
        let kept = who.iter().position(|place| *place == kept).unwrap_or(0);
        (who, kept)
    }
}

/// What the adapter of the flags without a name is called: as in the server, or otherwise where that name is in use.
fn own_name(files: &Path, others: &[(String, std::path::PathBuf)]) -> String {
    let names = serve::plain(files).into_iter().chain(["adapter".into()]);
    let further = (2..).map(|number| format!("adapter-{number}"));
    let free = |name: &String| name != BASE && others.iter().all(|(other, _)| other != name);
    names.chain(further).find(free).unwrap_or_default()
}

/// A name or files that do not fit are a mistake in flags.
fn usage(error: AdapterError) -> anyhow::Error {
    match error {
        AdapterError::Files { source, .. } => crate::args::usage::of_setting(source),
        other => UsageError(other.to_string()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_named_ones_answer_is_kept() {
        let asked =
            |current, compared: Option<&[usize]>| Turn { current, compared: compared.map(<[usize]>::to_vec) }.asked(4);
        assert_eq!(asked(2, None), (vec![2], 0));
        assert_eq!(asked(2, Some(&[])), (vec![0, 1, 2, 3], 2));
        assert_eq!(asked(2, Some(&[3, 1, 3])), (vec![0, 3, 1], 1));
        assert_eq!(asked(2, Some(&[0, 1])), (vec![0, 1], 0));
    }

    #[test]
    fn the_adapter_without_a_name_gets_one_that_is_free() {
        let others = |names: &[&str]| names.iter().map(|name| (name.to_string(), "x".into())).collect::<Vec<_>>();
        let name = |path: &str, names: &[&str]| own_name(Path::new(path), &others(names));
        assert_eq!(name("/no/such/checkpoint-3", &["a"]), "checkpoint-3");
        assert_eq!(name("/no/such/base", &[]), "adapter");
        assert_eq!(name("/no/such/a", &["a", "adapter"]), "adapter-2");
    }
}
