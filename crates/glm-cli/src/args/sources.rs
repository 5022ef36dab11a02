//! Defaults < file < flags: fills a [`KeySet`] and remembers what was given, and where.

use std::collections::BTreeMap;

use super::keys::{Key, KeySet, Status};
use super::usage::{Remark, UsageError, refuse};

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// On the command line.
    Flag,
    /// In the configuration file of this name.
    File(String),
}

/// Keys with their values, and where they came from.
#[derive(Debug, Clone, Default)]
pub struct Given<K> {
    /// The values.
    pub keys: K,
    sources: BTreeMap<String, Source>,
}

impl<K: KeySet> Given<K> {
    /// Sets a key; a later call wins.
    ///
    /// # Errors
    /// When there is no such key (names the nearest), or the value does not fit (names what was expected).
    pub fn set(&mut self, name: &str, text: &str, source: Source) -> Result<(), UsageError> {
        let place = place(name, &source);
        match self.keys.set(name, text) {
            Some(Ok(())) => {
                self.sources.insert(name.to_string(), source);
                Ok(())
            }
            Some(Err(expected)) => refuse!("{place}: expected {expected}, found \"{text}\""),
            None => refuse!("{place}: there is no such key{}", nearest(name, K::keys().iter().map(|key| key.name))),
        }
    }

    /// Whether the key was given at all.
    pub fn has(&self, name: &str) -> bool {
        self.sources.contains_key(name)
    }

    /// The key as the user wrote it: `--learning_rate`, or `learning_rate in run.toml`.
    pub fn place(&self, name: &str) -> String {
        place(name, self.sources.get(name).unwrap_or(&Source::Flag))
    }

    /// Refuses other values than the default where only that can be honoured, and remarks on given keys without effect.
    ///
    /// # Errors
    /// Names the key and the reason.
    pub fn check_status(&self, remarks: &mut Vec<Remark>) -> Result<(), UsageError> {
        let changed = self.keys.changed();
        for Key { name, status, .. } in K::keys() {
            match status {
                Status::OnlyDefault(why) if changed.contains(&name) => refuse!("{}: {why}", self.place(name)),
                Status::Unused(why) if self.has(name) => {
                    remarks.push(Remark::Note(format!("{} has no effect here: {why}", self.place(name))));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn place(name: &str, source: &Source) -> String {
    match source {
        Source::Flag => format!("--{name}"),
        Source::File(file) => format!("{name} in {file}"),
    }
}

/// "; did you mean …?" when a name is near enough, else nothing.
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> String {
    let wrong = wrong.replace('-', "_").to_lowercase();
    let best = names.map(|name| (strsim::jaro_winkler(&wrong, name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score > 0.8).map(|(_, name)| format!("; did you mean {name}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::verbs::TrainKeys;

    #[test]
    fn later_sources_win_and_are_remembered() {
        let mut given = Given::<TrainKeys>::default();
        let file = Source::File("run.toml".into());
        given.set("seed", "1", file.clone()).unwrap();
        assert_eq!(given.place("seed"), "seed in run.toml");
        given.set("seed", "2", Source::Flag).unwrap();
        assert_eq!((given.keys.training.seed, given.place("seed")), (2, "--seed".into()));
        let error = given.set("seed", "x", file).unwrap_err();
        assert_eq!(error.0, "seed in run.toml: expected a whole number of 0 or more, found \"x\"");
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        let mut given = Given::<TrainKeys>::default();
        let error = given.set("lerning_rate", "1", Source::File("a.json".into())).unwrap_err();
        assert_eq!(error.0, "lerning_rate in a.json: there is no such key; did you mean learning_rate?");
        assert_eq!(nearest("zzzz", ["learning_rate"].into_iter()), "");
    }
}
