//! `glmtune`: fine-tune, evaluate and chat with ChatGLM models.

/// As those of the standard library, but a line for people that cannot be written must not end a run with a panic. What is the
/// result of a verb goes through [`cmd::output::print`], which reports such errors.
macro_rules! println {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($line)*);
    }};
}
macro_rules! eprintln {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($line)*);
    }};
}

mod args;
mod cmd;
mod config;
mod exit;
mod hub;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use args::usage::Remark;
use args::{Stop, Verb};
use config::tools::{DataCheckSettings, DataConvertSettings, ExportSettings, VerifySettings};
use config::{
    BenchSettings, ChatSettings, DemoBaseSettings, DemoSettings, DoctorSettings, PathSettings, RandomBaseSettings,
    ReplaySettings, ServeSettings,
};

fn main() -> ExitCode {
    glm_kernels::cpu::machine::keep_freed_memory();
    let verb = match args::parse(std::env::args_os()) {
        Ok(verb) => verb,
        Err(Stop::Clap(error)) => {
            // Help that cannot be printed, for example into a closed pipe, is no mistake of the user's.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE));
        }
        Err(Stop::Usage(error)) => return fail(&error.into()),
    };
    match run(verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    say(format_args!("error: {}", exit::text(error)));
    ExitCode::from(exit::code(error))
}

fn run(verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Train { given, evaluate, dry_run } => {
            let (settings, remarks) = config::resolve(&given, evaluate)?;
            show(&remarks);
            if dry_run {
                return cmd::output::print(&serde_json::to_string_pretty(&settings)?);
            }
            settings.preflight()?;
            say(settings.summary());
            cmd::train::run(settings)
        }
        Verb::Plan { given, json, no_measure } => {
            let (settings, remarks) = config::resolve_plan(*given)?;
            show(&remarks);
            settings.preflight_plan()?;
            cmd::plan::run(settings, json, !no_measure)
        }
        Verb::Export(given) => {
            let (settings, remarks) = ExportSettings::resolve(&given)?;
            show(&remarks);
            settings.preflight()?;
            cmd::export::run(&settings)
        }
        Verb::VerifyAdapter(given) => {
            let (settings, remarks) = VerifySettings::resolve(&given)?;
            show(&remarks);
            settings.preflight()?;
            cmd::verify_adapter::run(&settings)
        }
        Verb::Replay(given) => {
            let (settings, remarks) = ReplaySettings::resolve(&given)?;
            show(&remarks);
            settings.preflight()?;
            cmd::replay::run(&settings)
        }
        Verb::DataCheck(file, given) => {
            let (settings, remarks) = DataCheckSettings::resolve(file, &given)?;
            show(&remarks);
            settings.preflight()?;
            cmd::data::check(settings)
        }
        Verb::DataConvert(from, into, given) => {
            let (settings, remarks) = DataConvertSettings::resolve(from, into, &given)?;
            show(&remarks);
            settings.preflight()?;
            cmd::data::convert_file(settings)
        }
        Verb::Chat(given) => {
            let (settings, remarks) = ChatSettings::resolve(&given)?;
            show(&remarks);
            settings.preflight()?;
            cmd::chat::run(settings)
        }
        Verb::Serve(given) => {
            let (settings, remarks) = ServeSettings::resolve(&given, |name| std::env::var(name).ok())?;
            show(&remarks);
            settings.preflight()?;
            cmd::serve::run(settings)
        }
        Verb::Score(path) => cmd::score::run(PathSettings { path }),
        Verb::Inspect(path) => cmd::inspect::run(PathSettings { path }),
        Verb::Doctor(given) => cmd::doctor::run(&DoctorSettings::resolve(&given)?),
        Verb::Bench(given) => {
            let (settings, remarks) = BenchSettings::resolve(&given)?;
            show(&remarks);
            cmd::bench::run(&settings)
        }
        Verb::Demo(given) => cmd::demo::run(DemoSettings::resolve(&given)?),
        Verb::RandomBase(given) => cmd::dev::random_base(RandomBaseSettings::resolve(&given)?),
        Verb::DemoBase(given) => cmd::dev::demo_base(DemoBaseSettings::resolve(&given)?),
    }
}

fn show(remarks: &[Remark]) {
    for remark in remarks {
        say(remark);
    }
}

/// Prints a line for people. That nobody reads it any more must not keep a run from going on, or change its exit code.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
