//! Configuration files: json as the official `main.py` takes it, and toml, with the same keys as the flags.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use super::keys::KeySet;
use super::sources::{Given, Source};
use super::types::TEXTS;
use super::usage::{UsageError, refuse};

/// Reads a `.json` or `.toml` file into the keys.
///
/// # Errors
/// When the file cannot be read or parsed (names the line), holds an unknown key or a value that does not fit.
pub fn load<K: KeySet>(path: &Path, given: &mut Given<K>) -> Result<(), UsageError> {
    let shown = path.display().to_string();
    let parse = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => parse_json,
        Some("toml") => parse_toml,
        Some("py") => refuse!("{shown}: leave the name of the script out; glmtune train stands for it"),
        _ => refuse!("{shown}: expected a configuration file that ends in .json or .toml"),
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => refuse!("{shown}: cannot read this configuration file: {error}"),
    };
    let pairs = parse(&text).map_err(|message| UsageError(format!("{shown}: {message}")))?;
    for (name, value) in pairs {
        let list = value.is_array() && K::keys().iter().any(|key| key.name == name && key.metavar == TEXTS);
        if list {
            given.set(&name, &value.to_string(), Source::File(shown.clone()))?;
        } else if let Some(text) = as_text(&value).map_err(|found| UsageError(format!("{name} in {shown}: {found}")))? {
            given.set(&name.replace('-', "_"), &text, Source::File(shown.clone()))?;
        }
    }
    Ok(())
}

fn parse_json(text: &str) -> Result<Vec<(String, Value)>, String> {
    let text = text.trim_start_matches('\u{feff}');
    match serde_json::from_str(text) {
        Ok(Value::Object(_)) => {}
        Ok(_) => return Err("expected one json object: {\"key\": value, …}".into()),
        Err(error) => return Err(format!("not json: {error}")),
    }
    // Read once more, for a map would keep the last of two values without a word.
    serde_json::from_str::<Pairs>(text).map(|pairs| pairs.0).map_err(|error| place_first(&error))
}

/// An error as a sentence behind its place; serde_json puts the place behind the sentence.
fn place_first(error: &serde_json::Error) -> String {
    let (text, place) = (error.to_string(), format!("line {} column {}", error.line(), error.column()));
    match text.strip_suffix(&format!(" at {place}")) {
        Some(sentence) => format!("{place}: {sentence}"),
        None => text,
    }
}

/// The pairs of a json object in their order, no key twice.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a json object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs, M::Error> {
                let mut pairs: Vec<(String, Value)> = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if pairs.iter().any(|(earlier, _)| same_key(earlier, &key)) {
                        return Err(M::Error::custom(twice(&key)));
                    }
                    pairs.push((key, map.next_value()?));
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

/// Names may be written with dashes.
fn same_key(one: &str, other: &str) -> bool {
    one.replace('-', "_") == other.replace('-', "_")
}

fn twice(key: &str) -> String {
    format!("{key} is given twice; remove one")
}

fn parse_toml(text: &str) -> Result<Vec<(String, Value)>, String> {
    match toml::from_str::<serde_json::Map<String, Value>>(text) {
        Ok(pairs) => {
            let names: Vec<&String> = pairs.keys().collect();
            let again = names.iter().enumerate().find(|(i, name)| names[..*i].iter().any(|n| same_key(n, name)));
            match again {
                Some((_, name)) => Err(twice(name)),
                None => Ok(pairs.into_iter().collect()),
            }
        }
        Err(error) => Err(format!("not toml: {}", error.to_string().trim_end())),
    }
}

/// A value as a flag would spell it; `None` for null, which leaves the default.
fn as_text(value: &Value) -> Result<Option<String>, String> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(as_text).collect();
            items?.into_iter().flatten().collect::<Vec<_>>().join(",")
        }
        Value::Object(_) => return Err("expected a plain value, found a table; all keys stand at the top level".into()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spelled_as_flags() {
        let pairs = parse_json(r#"{"a": 2e-2, "b": true, "c": ["x", "y"], "d": null}"#).unwrap();
        let texts: Vec<_> = pairs.iter().map(|(_, value)| as_text(value).unwrap()).collect();
        assert_eq!(texts, [Some("0.02".into()), Some("true".into()), Some("x,y".into()), None]);
        let pairs = parse_toml("a = 3000\nb = \"no\"").unwrap();
        assert_eq!(as_text(&pairs[0].1), Ok(Some("3000".into())));
    }

    #[test]
    fn broken_files_name_the_line() {
        assert!(parse_json("{\n\"a\": }").unwrap_err().contains("line 2"));
        assert!(parse_toml("a = 1\nb = ").unwrap_err().contains("line 2"));
        assert!(parse_json("[1]").unwrap_err().contains("one json object"));
        assert!(as_text(&serde_json::json!({"a": 1})).is_err());
        let error = parse_json("{\n\"a-b\": 1,\n\"c\": [],\n\"a_b\": 1}").unwrap_err();
        assert!(error.starts_with("line 4 column ") && error.ends_with(": a_b is given twice; remove one"), "{error}");
        assert!(parse_toml("a-b = 1\na_b = 1").unwrap_err().contains("given twice"));
        assert!(parse_toml("a = 1\na = 1").unwrap_err().contains("line 2"));
    }
}
