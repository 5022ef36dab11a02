//! Keys of the verbs that look at the machine: `doctor` and `bench`.

use std::collections::BTreeSet;

use super::keys::{key_sets, keys};
use super::model::{BaseArgs, ModelArgs};
use super::value::FlagValue;

/// A part of what `bench` measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Products with frozen matrices.
    Kernels,
    /// Reading a base into its frozen form.
    Loading,
    /// A micro batch, forward and backward, and an optimizer step.
    Training,
    /// Prompts and answers.
    Decoding,
}

const PARTS: [(&str, Part); 4] = [
    ("kernels", Part::Kernels),
    ("loading", Part::Loading),
    ("training", Part::Training),
    ("decoding", Part::Decoding),
];

/// Parts, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts(pub BTreeSet<Part>);

impl Default for Parts {
    fn default() -> Self {
        Self(PARTS.into_iter().map(|(_, part)| part).collect())
    }
}

impl FlagValue for Parts {
    const METAVAR: &'static str = "PARTS";

    fn parse(text: &str) -> Result<Self, String> {
        let part = |word: &str| {
            let known = PARTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word.trim()));
            known.map(|(_, part)| *part).ok_or_else(|| "some of kernels, loading, training, decoding".to_owned())
        };
        text.split(',').map(part).collect::<Result<_, _>>().map(Self)
    }

    fn show(&self) -> String {
        PARTS.iter().filter(|(_, part)| self.0.contains(part)).map(|(name, _)| *name).collect::<Vec<_>>().join(",")
    }
}

keys! {
    /// Keys of `doctor`.
    pub struct DoctorKeys in "Options";

    /// Print json
    json: bool = false;
    /// Threads to compute with (default: one a core)
    threads: Option<usize> = None;
}

keys! {
    /// Keys of the measurement.
    pub struct BenchArgs in "Measurement";

    /// Print json
    json: bool = false;
    /// What to measure, separated by commas
    parts: Parts = Parts::default();
    /// Blocks to load; the time of the others is told from these
    blocks: usize = 2;
    /// Rows of a micro batch
    per_device_train_batch_size: usize = 1;
    /// Tokens of the prompt of a row
    prompt_tokens: usize = 48;
    /// Tokens of the answer of a row, which are scored
    answer_tokens: usize = 72;
    /// Rank of the LoRA that is trained beside the prefix of --pre_seq_len (default of that: 128)
    lora_rank: usize = 8;
    /// Tokens of the prompt that is timed, and that stands before the answers
    context: usize = 256;
}

key_sets! {
    /// Keys of `bench`.
    pub struct BenchKeys {
        /// Measurement.
        bench: BenchArgs,
        /// Model.
        model: ModelArgs,
        /// Model, our own.
        base: BaseArgs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named_in_any_order() {
        assert_eq!(Parts::parse("Decoding, kernels").map(|parts| parts.show()), Ok("kernels,decoding".into()));
        assert_eq!(Parts::parse(&Parts::default().show()), Ok(Parts::default()));
        assert!(Parts::parse("").is_err() && Parts::parse("kernels,").is_err() && Parts::parse("kernel").is_err());
    }
}
