use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::JournalError;
use super::error::finite;

/// Named numbers in the order of their names: one entry of `log_history`, or one results file.
///
/// Other json values occur only in entries that another program wrote; they are kept as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metrics(BTreeMap<String, Value>);

impl Metrics {
    /// No metrics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a whole number.
    pub fn set_int(&mut self, key: &str, value: u64) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Sets a number that is printed as a float.
    ///
    /// # Errors
    /// When it is NaN or infinite.
    pub fn set_float(&mut self, key: &str, value: f64) -> Result<(), JournalError> {
        self.0.insert(key.to_owned(), finite(key, value)?.into());
        Ok(())
    }

    /// Takes over all of `other`, which wins where both have a key.
    pub fn merge(&mut self, other: &Metrics) {
        self.0.extend(other.0.iter().map(|(k, v)| (k.clone(), v.clone())));
    }

    /// The number of that name, whole or not.
    pub fn get(&self, key: &str) -> Option<f64> {
        self.0.get(key)?.as_f64()
    }

    /// All names, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All entries that are numbers, sorted by name.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().filter_map(|(k, v)| Some((k.as_str(), v.as_f64()?)))
    }

    pub(super) fn to_value(&self) -> Value {
        Value::Object(self.0.clone().into_iter().collect())
    }
}
