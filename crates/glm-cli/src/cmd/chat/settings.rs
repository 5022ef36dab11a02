//! How answers are made, changed while the conversation goes on.

use super::command::nearest;
use crate::args::value::FlagValue;
use glm_infer::GenerationConfig;

/// What can be changed, by the names of the flags.
pub const NAMES: [&str; 7] =
    ["temperature", "top_p", "top_k", "max_new_tokens", "repetition_penalty", "seed", "do_sample"];

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// There is no such setting; the nearest one.
    Name(Option<&'static str>),
    /// It cannot have this value, but those in words that need no translation.
    Value(&'static str),
}

/// Changes a setting, and returns its name as it is in [`NAMES`].
///
/// # Errors
/// When there is none of that name, or no answer follows from the value.
pub fn set(config: &mut GenerationConfig, name: &str, value: &str) -> Result<&'static str, Wrong> {
    let asked = name.replace('-', "_").to_ascii_lowercase();
    let Some(name) = NAMES.into_iter().find(|name| *name == asked) else {
        return Err(Wrong::Name(nearest(&asked, NAMES.into_iter())));
    };
    match name {
        "temperature" => config.temperature = read(value, "> 0", |x| *x > 0.0)?,
        "top_p" => config.top_p = read(value, "> 0, ≤ 1", |x| *x > 0.0 && *x <= 1.0)?,
        "top_k" => config.top_k = read(value, "0, 1, 2, ...", |_| true)?,
        "max_new_tokens" if value == "none" => config.max_new_tokens = None,
        "max_new_tokens" => config.max_new_tokens = Some(read(value, "1, 2, 3, ..., none", |n| *n > 0)?),
        "repetition_penalty" => config.repetition_penalty = read(value, "> 0", |x| *x > 0.0)?,
        "seed" => config.seed = read(value, "0, 1, 2, ...", |_| true)?,
        _ => config.do_sample = read(value, "true, false", |_| true)?,
    }
    Ok(name)
}

fn read<T: FlagValue>(value: &str, expected: &'static str, fits: impl Fn(&T) -> bool) -> Result<T, Wrong> {
    T::parse(value).ok().filter(fits).ok_or(Wrong::Value(expected))
}

/// A setting with its value.
pub fn show(config: &GenerationConfig, name: &str) -> String {
    let value = match name {
        "temperature" => config.temperature.show(),
        "top_p" => config.top_p.show(),
        "top_k" => config.top_k.show(),
        "max_new_tokens" => config.max_new_tokens.map_or_else(|| "none".into(), |n| n.show()),
        "repetition_penalty" => config.repetition_penalty.show(),
        "seed" => config.seed.show(),
        _ => config.do_sample.show(),
    };
    format!("{name} {value}")
}

/// All settings with their values, one a line.
pub fn show_all(config: &GenerationConfig) -> String {
    NAMES.map(|name| format!("  {}", show(config, name))).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_set_and_shown() {
        let mut config = GenerationConfig::default();
        for (name, value) in [
            ("temperature", "0.5"),
            ("top-p", "0.25"),
            ("TOP_K", "7"),
            ("max_new_tokens", "9"),
            ("repetition_penalty", "1.5"),
            ("seed", "3"),
            ("do_sample", "False"),
        ] {
            let known = name.replace('-', "_").to_lowercase();
            assert_eq!(set(&mut config, name, value).unwrap(), known);
        }
        let expected = GenerationConfig {
            temperature: 0.5,
            top_p: 0.25,
            top_k: 7,
            max_new_tokens: Some(9),
            repetition_penalty: 1.5,
            seed: 3,
            do_sample: false,
            ..GenerationConfig::default()
        };
        assert_eq!(config, expected);
        let shown = "  temperature 0.5\n  top_p 0.25\n  top_k 7\n  max_new_tokens 9\n  repetition_penalty 1.5\n  seed 3\n  do_sample false";
        assert_eq!(show_all(&config), shown);
        assert_eq!(set(&mut config, "max_new_tokens", "none"), Ok("max_new_tokens"));
        assert_eq!(show(&config, "max_new_tokens"), "max_new_tokens none");
    }

    #[test]
    fn what_no_answer_follows_from_changes_nothing() {
        let mut config = GenerationConfig::default();
        for (name, value) in [
            ("temperature", "0"),
            ("temperature", "nan"),
            ("temperature", "inf"),
            ("top_p", "1.5"),
            ("top_p", "0"),
            ("top_k", "-1"),
            ("max_new_tokens", "0"),
            ("repetition_penalty", "-1"),
            ("seed", "x"),
            ("do_sample", "maybe"),
        ] {
            assert!(matches!(set(&mut config, name, value), Err(Wrong::Value(_))), "{name} {value}");
        }
        assert_eq!(set(&mut config, "temprature", "1"), Err(Wrong::Name(Some("temperature"))));
        assert_eq!(set(&mut config, "xyzzy", "1"), Err(Wrong::Name(None)));
        assert_eq!(config, GenerationConfig::default());
    }
}
