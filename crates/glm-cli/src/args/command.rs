//! The command line as clap sees it, built from the key tables.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::keys::{Key, KeySet, Status};
use super::machine::{BenchKeys, DoctorKeys};
use super::serve::ServeKeys;
use super::sources::{Given, Source};
use super::tools::{DataCheckKeys, DataConvertKeys, ExportKeys, ReplayKeys, VerifyKeys};
use super::usage::UsageError;
use super::verbs::{ChatKeys, DemoBaseKeys, DemoKeys, RandomBaseKeys, TrainKeys};

const UNUSED_HEADING: &str = "Accepted for old scripts, without effect";
const ONLY_DEFAULT_HEADING: &str = "Accepted at the default only";

/// The whole command line.
pub fn command() -> Command {
    Command::new("glmtune")
        .bin_name("glmtune")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Fine-tune, evaluate, chat with and serve ChatGLM models")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(super::examples::TOP)
        .subcommand(
            run_verb("train", "Train, evaluate and predict: the official main.py").after_help(super::examples::TRAIN),
        )
        .subcommand(
            run_verb("evaluate", "Answer --test_file and score the answers: train with --do_predict")
                .after_help(super::examples::EVALUATE),
        )
        .subcommand(
            run_verb("plan", "Say how much memory and time a run needs: takes the flags of train")
                .mut_arg("dry_run", |arg| arg.hide(true))
                .arg(switch("json", "Print json").help_heading("Task"))
                .arg(
                    switch("no_measure", "Leave out the time, which is told from a run of the first two blocks")
                        .help_heading("Task"),
                )
                .after_help(super::examples::PLAN),
        )
        .subcommand(
            verb::<ChatKeys>("chat", "Talk with a base, with or without a trained adapter")
                .after_help(super::examples::CHAT),
        )
        .subcommand(
            verb::<ServeKeys>("serve", "Serve a base with many adapters: web page and OpenAI-compatible API")
                .after_help(super::examples::SERVE),
        )
        .subcommand(
            verb::<ExportKeys>("export", "Write an adapter or a model in the form of other programs")
                .after_help(super::examples::EXPORT),
        )
        .subcommand(verb::<VerifyKeys>("verify-adapter", "Show what an adapter changes, on a few rows"))
        .subcommand(
            verb::<ReplayKeys>("replay", "Compare what training, evaluation and the server make of the same rows")
                .after_help(super::examples::REPLAY),
        )
        .subcommand(
            Command::new("data")
                .about("Look at a file of rows, or write it in another form")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(
                    verb::<DataCheckKeys>("check", "Say what is in a file and what training would make of it")
                        .arg(path("path", "FILE", "Rows: json, jsonl or csv")),
                )
                .subcommand(
                    verb::<DataConvertKeys>("convert", "Write the rows of a file in another form, as json lines")
                        .arg(path("path", "FILE", "Rows to read: json, jsonl or csv"))
                        .arg(path("into", "INTO", "File to write")),
                ),
        )
        .subcommand(path_verb(
            "score",
            "Score a file of predictions again (ROUGE, BLEU)",
            "FILE",
            "generated_predictions.txt of a run",
        ))
        .subcommand(path_verb(
            "inspect",
            "Say what a model folder, checkpoint or weight file holds",
            "PATH",
            "Folder or file",
        ))
        .subcommand(verb::<DoctorKeys>(
            "doctor",
            "Say what this machine has, what is chosen, and what would make it faster",
        ))
        .subcommand(
            verb::<BenchKeys>("bench", "Measure where the time goes, beside what this machine reaches at its best")
                .after_help(super::examples::BENCH),
        )
        .subcommand(verb::<DemoKeys>("demo", "Fine-tune a tiny model that is built in, and show the difference"))
        .subcommand(
            Command::new("dev")
                .about("Tools for developing glmtune")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(
                    verb::<RandomBaseKeys>("random-base", "Write a base with random weights in the official layout")
                        .after_help(super::examples::RANDOM_BASE),
                )
                .subcommand(verb::<DemoBaseKeys>("demo-base", "Build the demo's tiny base again")),
        )
}

fn verb<K: KeySet>(name: &'static str, about: &'static str) -> Command {
    let mut command = Command::new(name).about(about).args_override_self(true);
    // clap orders headings by their first flag: what has no effect comes last.
    let mut keys = K::keys();
    keys.sort_by_key(|key| match key.status {
        Status::Used => 0,
        Status::AliasOf(_) => 1,
        Status::OnlyDefault(_) => 2,
        Status::Unused(_) => 3,
    });
    for key in keys {
        let takes_negation = key.without_value == Some("true") && key.default == "true";
        if takes_negation {
            command = command.arg(Arg::new(key.negated).long(key.negated).action(ArgAction::SetTrue).hide(true));
        }
        command = command.arg(flag(&key));
    }
    command
}

fn run_verb(name: &'static str, about: &'static str) -> Command {
    verb::<TrainKeys>(name, about)
        .arg(
            path("file", "FILE", "Configuration: a .json or .toml file with the same keys as the flags; flags win")
                .required(false),
        )
        .arg(
            path("config", "FILE", "The same as a positional FILE")
                .long("config")
                .required(false)
                .conflicts_with("file")
                .help_heading("Task"),
        )
        .arg(switch("dry_run", "Print the resolved settings as json and stop; nothing is loaded").help_heading("Task"))
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn path_verb(name: &'static str, about: &'static str, metavar: &'static str, help: &'static str) -> Command {
    Command::new(name).about(about).arg(path("path", metavar, help))
}

fn path(id: &'static str, metavar: &'static str, help: &'static str) -> Arg {
    Arg::new(id).value_name(metavar).help(help).required(true).value_parser(value_parser!(PathBuf))
}

fn flag(key: &Key) -> Arg {
    let mut help = key.help.trim().to_string();
    if let Status::AliasOf(name) = key.status {
        help.push_str(&format!(" (the same as --{name})"));
    }
    if !key.default.is_empty() {
        help.push_str(&format!(" [default: {}]", key.default));
    }
    let heading = match key.status {
        Status::Used | Status::AliasOf(_) => key.heading,
        Status::Unused(_) => UNUSED_HEADING,
        Status::OnlyDefault(_) => ONLY_DEFAULT_HEADING,
    };
    let arg = Arg::new(key.name)
        .long(key.name)
        .value_name(key.metavar)
        .help(help)
        .help_heading(heading)
        .action(ArgAction::Append)
        .allow_negative_numbers(true);
    match key.without_value {
        Some(value) => arg.num_args(0..=1).default_missing_value(value),
        None if key.metavar == "TEXT" => arg,
        None => arg.value_parser(NonEmptyStringValueParser::new()),
    }
}

/// Lets `--learning-rate` stand for `--learning_rate`, in flags only: values stay as typed.
pub fn underscored(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut flags_ended = false;
    args.map(|arg| {
        flags_ended |= arg == "--";
        match arg.to_str().and_then(|text| text.strip_prefix("--")) {
            Some(text) if !flags_ended => {
                let (name, value) = text.split_at(text.find('=').unwrap_or(text.len()));
                format!("--{}{value}", name.replace('-', "_")).into()
            }
            _ => arg,
        }
    })
    .collect()
}

/// Moves the flags that were typed into the keys.
///
/// # Errors
/// When a value does not fit.
pub fn take_flags<K: KeySet>(matches: &ArgMatches, given: &mut Given<K>) -> Result<(), UsageError> {
    for key in K::keys() {
        let negated = matches.try_get_one::<bool>(key.negated).ok().flatten().is_some_and(|set| *set);
        if negated {
            given.set(key.name, "false", Source::Flag)?;
        } else if let Some(texts) = matches.get_many::<String>(key.name) {
            let texts: Vec<&str> = texts.map(String::as_str).collect();
            let Some(last) = texts.last() else { continue };
            if key.repeats {
                given.set(key.name, &texts.join("\n"), Source::Flag)?;
                continue;
            }
            given.set(key.name, last, Source::Flag)?;
            if texts.iter().any(|text| text != last) {
                given.remark(format!(
                    "--{} is given more than once ({}): the last one counts",
                    key.name,
                    texts.join(", ")
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_accepts_the_definition() {
        command().debug_assert();
    }

    #[test]
    fn dashes_change_in_names_only() {
        let typed = ["glmtune", "--do-train", "--output-dir=a-b", "a-b", "--", "--x-y"].map(OsString::from);
        let expected = ["glmtune", "--do_train", "--output_dir=a-b", "a-b", "--", "--x-y"].map(OsString::from);
        assert_eq!(underscored(typed.into_iter()), expected);
    }
}
