//! Learning rates that usually disappoint.

/// Kind of what trains, as far as rates go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trains {
    /// A prefix.
    Prefix,
    /// LoRA.
    Lora,
    /// Weights of the base.
    Weights,
}

/// Rates at or below this hardly move a prefix.
const SMALL_PREFIX_RATE: f64 = 1e-4;
/// Rates above this tend to ruin a prefix.
const LARGE_PREFIX_RATE: f64 = 0.1;
/// Rates above this tend to ruin LoRA.
const LARGE_LORA_RATE: f64 = 1e-2;
/// Rates above this tend to ruin a base whose weights all train.
const LARGE_FULL_RATE: f64 = 1e-4;

/// What to say of a base rate; `None`: nothing.
pub fn learning_rate(trains: Trains, rate: f64) -> Option<String> {
    match trains {
        _ if rate == 0.0 => Some("learning_rate 0 changes nothing: what trains stays as it began".to_owned()),
        Trains::Prefix if rate > LARGE_PREFIX_RATE => {
            Some(format!("learning_rate {rate:e} is large for a prefix and may ruin it: the official script uses 2e-2"))
        }
        Trains::Prefix if rate <= SMALL_PREFIX_RATE => Some(format!(
            "learning_rate {rate:e} is too small for a prefix, which will hardly change: the official script uses 2e-2"
        )),
        Trains::Lora if rate > LARGE_LORA_RATE => Some(format!(
            "learning_rate {rate:e} is large for LoRA and may ruin it: 1e-4 to 1e-3 are usual, 2e-2 is a rate for prefixes"
        )),
        Trains::Weights if rate > LARGE_FULL_RATE => Some(format!(
            "learning_rate {rate:e} is large for training the weights themselves, and the model may forget what it knew: the \
             official script uses 1e-4, 2e-5 is safer"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_rates_pass() {
        for (trains, usual, unusual) in [
            (Trains::Prefix, 2e-2, 5e-5),
            (Trains::Prefix, 1e-1, 1e-4),
            (Trains::Prefix, 2e-2, 0.2),
            (Trains::Lora, 1e-2, 0.0),
            (Trains::Weights, 1e-5, 0.0),
            (Trains::Lora, 1e-3, 2e-2),
            (Trains::Lora, 5e-5, 1.1e-2),
            (Trains::Weights, 1e-4, 1e-3),
        ] {
            assert_eq!(learning_rate(trains, usual), None, "{trains:?} {usual}");
            assert!(learning_rate(trains, unusual).is_some(), "{trains:?} {unusual}");
        }
    }
}
