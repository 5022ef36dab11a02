//! Command line and configuration files: from what was typed to typed keys. [`crate::config`] makes settings of them.

mod command;
pub mod data;
mod examples;
mod file;
pub mod keys;
mod legacy;
pub mod machine;
pub mod method;
pub mod model;
mod peers;
pub mod serve;
pub mod sources;
pub mod tools;
pub mod training;
pub mod types;
pub mod usage;
pub mod value;
pub mod verbs;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ArgMatches;

use keys::KeySet;
use machine::{BenchKeys, DoctorKeys};
use serve::ServeKeys;
use sources::Given;
use tools::{DataCheckKeys, DataConvertKeys, ExportKeys, ReplayKeys, VerifyKeys};
use usage::UsageError;
use verbs::{ChatKeys, DemoBaseKeys, DemoKeys, RandomBaseKeys, TrainKeys};

/// What was asked for.
#[derive(Debug)]
pub enum Verb {
    /// `train`, or `evaluate`, which only predicts.
    Train {
        /// Keys.
        given: Box<Given<TrainKeys>>,
        /// Whether the verb was `evaluate`.
        evaluate: bool,
        /// Print the settings and stop.
        dry_run: bool,
    },
    /// `plan`.
    Plan {
        /// Keys of the run to plan.
        given: Box<Given<TrainKeys>>,
        /// Print json.
        json: bool,
        /// Leave out the measurement of this machine.
        no_measure: bool,
    },
    /// `export`.
    Export(Box<Given<ExportKeys>>),
    /// `verify-adapter`.
    VerifyAdapter(Box<Given<VerifyKeys>>),
    /// `replay`.
    Replay(Box<Given<ReplayKeys>>),
    /// `data check FILE`.
    DataCheck(PathBuf, Box<Given<DataCheckKeys>>),
    /// `data convert FROM INTO`.
    DataConvert(PathBuf, PathBuf, Box<Given<DataConvertKeys>>),
    /// `chat`.
    Chat(Box<Given<ChatKeys>>),
    /// `serve`.
    Serve(Box<Given<ServeKeys>>),
    /// `score FILE`.
    Score(PathBuf),
    /// `inspect PATH`.
    Inspect(PathBuf),
    /// `doctor`.
    Doctor(Given<DoctorKeys>),
    /// `bench`.
    Bench(Box<Given<BenchKeys>>),
    /// `demo`.
    Demo(Given<DemoKeys>),
    /// `dev random-base`.
    RandomBase(Given<RandomBaseKeys>),
    /// `dev demo-base`.
    DemoBase(Given<DemoBaseKeys>),
}

/// Why there is nothing to do.
#[derive(Debug)]
pub enum Stop {
    /// clap has the words: help, version, or an unknown flag or verb.
    Clap(clap::Error),
    /// A value or a configuration file is wrong.
    Usage(UsageError),
}

impl From<UsageError> for Stop {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}

/// Reads the command line and the configuration file that it names.
///
/// # Errors
/// See [`Stop`].
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Verb, Stop> {
    let matches = command::command().try_get_matches_from(command::underscored(args)).map_err(Stop::Clap)?;
    verb(matches.subcommand()).map_err(Stop::Usage)
}

fn verb(chosen: Option<(&str, &ArgMatches)>) -> Result<Verb, UsageError> {
    match chosen {
        Some((name @ ("train" | "evaluate"), matches)) => {
            let given = Box::new(run_keys(matches)?);
            Ok(Verb::Train { given, evaluate: name == "evaluate", dry_run: matches.get_flag("dry_run") })
        }
        Some(("plan", matches)) => {
            let given = Box::new(run_keys(matches)?);
            Ok(Verb::Plan { given, json: matches.get_flag("json"), no_measure: matches.get_flag("no_measure") })
        }
        Some(("export", matches)) => Ok(Verb::Export(Box::new(keys(matches, NO_FILE)?))),
        Some(("verify-adapter", matches)) => Ok(Verb::VerifyAdapter(Box::new(keys(matches, NO_FILE)?))),
        Some(("replay", matches)) => Ok(Verb::Replay(Box::new(keys(matches, NO_FILE)?))),
        Some(("data", matches)) => verb(matches.subcommand()),
        Some(("check", matches)) => Ok(Verb::DataCheck(required(matches, "path"), Box::new(keys(matches, NO_FILE)?))),
        Some(("convert", matches)) => Ok(Verb::DataConvert(
            required(matches, "path"),
            required(matches, "into"),
            Box::new(keys(matches, NO_FILE)?),
        )),
        Some(("chat", matches)) => Ok(Verb::Chat(Box::new(keys(matches, NO_FILE)?))),
        Some(("serve", matches)) => Ok(Verb::Serve(Box::new(keys(matches, NO_FILE)?))),
        Some(("score", matches)) => Ok(Verb::Score(required_path(matches))),
        Some(("inspect", matches)) => Ok(Verb::Inspect(required_path(matches))),
        Some(("doctor", matches)) => Ok(Verb::Doctor(keys(matches, NO_FILE)?)),
        Some(("bench", matches)) => Ok(Verb::Bench(Box::new(keys(matches, NO_FILE)?))),
        Some(("demo", matches)) => Ok(Verb::Demo(keys(matches, NO_FILE)?)),
        Some(("dev", matches)) => verb(matches.subcommand()),
        Some(("random-base", matches)) => Ok(Verb::RandomBase(keys(matches, NO_FILE)?)),
        Some(("demo-base", matches)) => Ok(Verb::DemoBase(keys(matches, NO_FILE)?)),
        Some((other, _)) => usage::refuse!("{other}: there is no such verb; see glmtune --help"),
        None => usage::refuse!("no verb was given; see glmtune --help"),
    }
}

const NO_FILE: [&PathBuf; 0] = [];

/// The keys of a run: those of its files, then the flags.
fn run_keys(matches: &ArgMatches) -> Result<Given<TrainKeys>, UsageError> {
    let file = matches.get_one::<PathBuf>("file").or_else(|| matches.get_one::<PathBuf>("config"));
    let arguments = matches.get_many::<String>("train_args_file").and_then(Iterator::last).map(PathBuf::from);
    keys(matches, [file, arguments.as_ref()].into_iter().flatten())
}

fn keys<'a, K: KeySet>(
    matches: &ArgMatches,
    files: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<Given<K>, UsageError> {
    let mut given = Given::default();
    for file in files {
        file::load(file, &mut given)?;
    }
    command::take_flags(matches, &mut given)?;
    Ok(given)
}

fn required_path(matches: &ArgMatches) -> PathBuf {
    required(matches, "path")
}

fn required(matches: &ArgMatches, id: &str) -> PathBuf {
    matches.get_one::<PathBuf>(id).cloned().expect("clap demands this argument")
}
