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
    sources: BTreeMap<String, Spelled>,
    remarks: Vec<Remark>,
}

/// How a key was given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spelled {
    /// By this name, which may be another project's.
    name: String,
    text: String,
    source: Source,
}

impl<K: KeySet> Given<K> {
    /// Sets a key; a later call wins. Another project's name of a key sets both.
    ///
    /// # Errors
    /// When there is no such key (names the nearest), the value does not fit (names what was expected), or one command
    /// line says two things by two names of one key.
    pub fn set(&mut self, name: &str, text: &str, source: Source) -> Result<(), UsageError> {
        self.set_one(name, name, text, &source)?;
        match K::keys().into_iter().find(|key| key.name == name).map(|key| key.status) {
            Some(Status::AliasOf(meant)) => self.set_one(meant, name, text, &source),
            _ => Ok(()),
        }
    }

    fn set_one(&mut self, key: &str, name: &str, text: &str, source: &Source) -> Result<(), UsageError> {
        let place = place(name, source);
        if let Some(before) = self.sources.get(key)
            && (before.name != name && before.source == *source && before.text != text)
        {
            refuse!(
                "{place} {text} and --{} {} are two names of one setting: give one of them",
                before.name,
                before.text
            );
        }
        match self.keys.set(key, text) {
            Some(Ok(())) => {
                let spelled = Spelled { name: name.into(), text: text.into(), source: source.clone() };
                self.sources.insert(key.to_string(), spelled);
                Ok(())
            }
            Some(Err(expected)) => refuse!("{place}: expected {expected}, found \"{text}\""),
            None => refuse!("{place}: there is no such key{}", nearest(name, K::keys().iter().map(|key| key.name))),
        }
    }

    /// Keeps a note on how keys were given, for [`Given::check_status`].
    pub fn remark(&mut self, text: String) {
        self.remarks.push(Remark::Note(text));
    }

    /// Whether the key was given at all.
    pub fn has(&self, name: &str) -> bool {
        self.sources.contains_key(name)
    }

    /// The key as the user wrote it: `--learning_rate`, or `learning_rate in run.toml`.
    pub fn place(&self, name: &str) -> String {
        match self.sources.get(name) {
            Some(spelled) => place(&spelled.name, &spelled.source),
            None => place(name, &Source::Flag),
        }
    }

    /// Refuses other values than the default where only that can be honoured, and remarks on given keys without effect
    /// and on keys that were given twice.
    ///
    /// # Errors
    /// Names the key and the reason.
    pub fn check_status(&self, remarks: &mut Vec<Remark>) -> Result<(), UsageError> {
        remarks.extend(self.remarks.iter().cloned());
        let changed = self.keys.changed();
        for Key { name, status, .. } in K::keys() {
            match status {
                Status::OnlyDefault(why) if changed.contains(&name) => refuse!("{}: {why}", self.place(name)),
                // At its default it already is what was asked for.
                Status::Unused(why) if changed.contains(&name) => {
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
    fn other_names_set_the_same_key() {
        let mut given = Given::<TrainKeys>::default();
        given.set("train_file", "a.json", Source::File("run.toml".into())).unwrap();
        given.set("data_path", "b.json", Source::Flag).unwrap();
        assert_eq!(given.keys.data.train_file.as_deref(), Some(std::path::Path::new("b.json")));
        assert_eq!(given.place("train_file"), "--data_path");
        let error = given.set("train_file", "c.json", Source::Flag).unwrap_err();
        assert_eq!(
            error.0,
            "--train_file c.json and --data_path b.json are two names of one setting: give one of them"
        );
        let error = given.set("max_input_length", "many", Source::Flag).unwrap_err();
        assert!(error.0.starts_with("--max_input_length: expected a whole number"), "{error}");
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        let mut given = Given::<TrainKeys>::default();
        let error = given.set("lerning_rate", "1", Source::File("a.json".into())).unwrap_err();
        assert_eq!(error.0, "lerning_rate in a.json: there is no such key; did you mean learning_rate?");
        assert_eq!(nearest("zzzz", ["learning_rate"].into_iter()), "");
    }
}
