//! Value types of single keys.

use std::path::PathBuf;

use glm_data::format::{AlpacaJoin, ConvertTo, Format};
use glm_data::{OnOverflow, TrainOn, Variant};
use glm_model::DenseType;
use glm_model::export::GgufType;
use glm_train::{Checkpointing, IntervalStrategy, Optim, SchedulerType};
use serde::{Deserialize, Serialize};

use super::value::{FlagValue, choice};

/// Which state a run goes on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// The newest complete checkpoint of the output folder; a fresh start when there is none.
    Auto,
    /// This checkpoint folder.
    Path(PathBuf),
}

/// What `--resume_from_checkpoint` was given, `false` included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeFlag(pub Option<Resume>);

impl FlagValue for ResumeFlag {
    const METAVAR: &'static str = "auto|PATH";
    const WITHOUT_VALUE: Option<&'static str> = Some("auto");

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(match text.to_ascii_lowercase().as_str() {
            "auto" | "true" => Some(Resume::Auto),
            "false" | "none" => None,
            "" => return Err("auto, or the folder of a checkpoint".into()),
            _ => Some(Resume::Path(text.into())),
        }))
    }

    fn show(&self) -> String {
        String::new()
    }
}

/// Adapters with their names, in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedPaths(pub Vec<(String, PathBuf)>);

impl FlagValue for NamedPaths {
    const METAVAR: &'static str = "NAME=PATH";
    const REPEATS: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        let pair = |line: &str| match line.split_once('=') {
            Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), PathBuf::from(path))),
            _ => Err("a name, an equals sign and a path".to_owned()),
        };
        text.lines().map(pair).collect::<Result<_, _>>().map(Self)
    }

    fn show(&self) -> String {
        self.0.iter().map(|(name, path)| format!("{name}={}", path.display())).collect::<Vec<_>>().join(" ")
    }
}

/// Texts: one as it stands, or several as a json list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Texts(pub Vec<String>);

impl FlagValue for Texts {
    const METAVAR: &'static str = TEXTS;

    fn parse(text: &str) -> Result<Self, String> {
        let expected = || "a text, or a json list of texts such as [\"###\", \"\\n\\n\"]".to_string();
        let texts: Vec<String> = match text.trim_start().starts_with('[') {
            true => serde_json::from_str(text).map_err(|_| expected())?,
            false => vec![text.to_string()],
        };
        if texts.iter().any(String::is_empty) { Err(expected()) } else { Ok(Self(texts)) }
    }

    fn show(&self) -> String {
        String::new()
    }
}

/// How help texts show a list of texts, by which such keys are known.
pub const TEXTS: &str = "TEXT|[TEXTS]";

/// A number of bytes: `2GB` (powers of 1000), `2GiB` (powers of 1024), or plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

const BYTE_UNITS: [(&str, u64); 11] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("k", 1_000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
    ("b", 1),
    ("", 1),
];

impl FlagValue for Bytes {
    const METAVAR: &'static str = "SIZE";

    fn parse(text: &str) -> Result<Self, String> {
        let expected = || "a size such as 2GB, 512MiB or 1000000".to_string();
        let lower = text.trim().to_ascii_lowercase();
        let (number, unit) =
            BYTE_UNITS.iter().find_map(|(name, unit)| Some((lower.strip_suffix(name)?, *unit))).ok_or_else(expected)?;
        let bytes = number.trim().parse::<f64>().map_err(|_| expected())? * unit as f64;
        if (0.0..u64::MAX as f64).contains(&bytes) { Ok(Self(bytes as u64)) } else { Err(expected()) }
    }

    fn show(&self) -> String {
        match BYTE_UNITS.iter().filter(|(name, unit)| name.len() == 2 && self.0 >= *unit).max_by_key(|(_, unit)| *unit)
        {
            Some((name, unit)) => format!("{}{}", self.0 as f64 / *unit as f64, name.to_ascii_uppercase()),
            None => self.0.to_string(),
        }
    }
}

/// Bits of a quantized weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// INT4.
    Four,
    /// INT8.
    Eight,
}
choice!(Bits, "4|8"; Bits::Four => "4", Bits::Eight => "8",);

/// Columns that share a scale in grouped INT4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// A scale for every 32 columns.
    G32,
    /// A scale for every 64 columns.
    G64,
}
choice!(Group, "32|64"; Group::G32 => "32", Group::G64 => "64",);

/// What trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A prefix: P-Tuning v2.
    Ptuning,
    /// Low-rank additions to linear layers.
    Lora,
    /// Every weight.
    Full,
    /// Every weight of the last layers.
    Freeze,
    /// Nothing: the bare base.
    None,
}
choice!(Method, "ptuning|lora|full|freeze";
    Method::Ptuning => "ptuning" | "p_tuning" | "p-tuning" | "ptuning_v2" | "p_tuning_v2" | "prefix" | "prefix_tuning",
    Method::Lora => "lora",
    Method::Full => "full" | "finetune",
    Method::Freeze => "freeze",
    Method::None => "none",
);

/// Number format in which a base that is not quantized is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BaseDtype {
    /// That of the files, so that every weight keeps its exact value.
    Auto,
    /// 32-bit floats.
    F32,
    /// bfloat16.
    Bf16,
    /// 16-bit floats.
    F16,
}
choice!(BaseDtype, "auto|f32|bf16|f16";
    BaseDtype::Auto => "auto",
    BaseDtype::F32 => "f32" | "fp32" | "float32",
    BaseDtype::Bf16 => "bf16" | "bfloat16",
    BaseDtype::F16 => "f16" | "fp16" | "float16",
);

/// Numbers in which products with frozen weights are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComputeIn {
    /// The fastest that the processor has instructions for.
    Auto,
    /// bfloat16.
    Bf16,
    /// 32-bit floats.
    F32,
    /// 8-bit integers.
    Int8,
}
choice!(ComputeIn, "auto|bf16|f32|int8";
    ComputeIn::Auto => "auto",
    ComputeIn::Bf16 => "bf16" | "bfloat16",
    ComputeIn::F32 => "f32" | "fp32" | "float32",
    ComputeIn::Int8 => "int8",
);

/// Number format of the weights in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileDtype {
    /// 16-bit floats, as the official folders.
    F16,
    /// bfloat16.
    Bf16,
    /// 32-bit floats.
    F32,
}
choice!(FileDtype, "f16|bf16|f32";
    FileDtype::F16 => "f16" | "fp16" | "float16",
    FileDtype::Bf16 => "bf16" | "bfloat16",
    FileDtype::F32 => "f32" | "fp32" | "float32",
);

/// File format of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Torch zip archives with an index, as the official folders.
    Bin,
    /// safetensors.
    Safetensors,
}
choice!(FileFormat, "bin|safetensors"; FileFormat::Bin => "bin", FileFormat::Safetensors => "safetensors",);

/// What `export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportForm {
    /// A prefix as THUDM's scripts save it.
    Thudm,
    /// LoRA as peft saves it.
    Peft,
    /// A complete folder, with LoRA in the weights.
    Merged,
    /// The same in the official INT4 layout.
    Int4,
    /// The same in the official INT8 layout.
    Int8,
    /// A file for llama.cpp.
    Gguf,
    /// A prefix with its tokenizer in one file.
    Bundle,
}
choice!(ExportForm, "thudm|peft|merged|int4|int8|gguf|bundle";
    ExportForm::Thudm => "thudm",
    ExportForm::Peft => "peft",
    ExportForm::Merged => "merged" | "hf",
    ExportForm::Int4 => "int4",
    ExportForm::Int8 => "int8",
    ExportForm::Gguf => "gguf",
    ExportForm::Bundle => "bundle",
);
choice!(GgufType, "f16|q8_0|q4_0"; GgufType::F16 => "f16", GgufType::Q8_0 => "q8_0", GgufType::Q4_0 => "q4_0",);
choice!(DenseType, "f32|bf16|f16";
    DenseType::F32 => "f32" | "fp32" | "float32",
    DenseType::Bf16 => "bf16" | "bfloat16",
    DenseType::F16 => "f16" | "fp16" | "float16",
);
choice!(ConvertTo, "instruct|messages"; ConvertTo::Instruct => "instruct" | "alpaca", ConvertTo::Messages => "messages",);
choice!(Format, "NAME";
    Format::Columns => "columns" | "adgen",
    Format::Chat => "chat",
    Format::Alpaca => "alpaca" | "instruct",
    Format::ChatGlm3 => "chatglm3",
    Format::Messages => "messages" | "openai" | "glm4",
    Format::ShareGpt => "sharegpt",
);
choice!(TrainOn, "last|every"; TrainOn::LastAnswer => "last", TrainOn::EveryAnswer => "every",);
choice!(OnOverflow, "trim-history|drop|error";
    OnOverflow::TrimHistory => "trim-history" | "trim_history",
    OnOverflow::Drop => "drop",
    OnOverflow::Error => "error",
);
choice!(AlpacaJoin, "newline|nothing"; AlpacaJoin::Newline => "newline", AlpacaJoin::Nothing => "nothing" | "none",);
choice!(Variant, "NAME"; Variant::ChatGlm => "chatglm" | "chatglm-6b", Variant::ChatGlm2 => "chatglm2" | "chatglm2-6b", Variant::ChatGlm3 => "chatglm3" | "chatglm3-6b",);
choice!(Optim, "NAME"; Optim::AdamwHf => "adamw_hf", Optim::AdamwTorch => "adamw_torch" | "adamw_torch_fused",);
choice!(SchedulerType, "NAME";
    SchedulerType::Linear => "linear",
    SchedulerType::Cosine => "cosine",
    SchedulerType::Constant => "constant",
    SchedulerType::ConstantWithWarmup => "constant_with_warmup",
);
choice!(IntervalStrategy, "no|steps|epoch";
    IntervalStrategy::No => "no" | "false",
    IntervalStrategy::Steps => "steps",
    IntervalStrategy::Epoch => "epoch",
);
choice!(Checkpointing, "always|never|auto", without_value "always";
    Checkpointing::Always => "always" | "true",
    Checkpointing::Never => "never" | "false",
    Checkpointing::Auto => "auto",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("2GB", 2_000_000_000), ("1.5 MiB", 1_572_864), ("7", 7), ("3k", 3000), ("5b", 5)] {
            assert_eq!(Bytes::parse(text), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "GB", "-1GB", "2 apples", "nan", "1e30GB"] {
            assert!(Bytes::parse(text).is_err(), "{text}");
        }
        assert_eq!(Bytes(2_000_000_000).show(), "2GB");
        assert_eq!(Bytes(12).show(), "12");
    }

    #[test]
    fn choices_say_what_they_take() {
        assert_eq!(Bits::parse("5"), Err("one of 4, 8".into()));
        assert_eq!(Checkpointing::parse("True"), Ok(Checkpointing::Always));
        assert_eq!(Optim::AdamwHf.show(), "adamw_hf");
        assert_eq!(BaseDtype::parse("float16"), Ok(BaseDtype::F16));
        assert_eq!(BaseDtype::parse("int4"), Err("one of auto, f32, bf16, f16".into()));
    }

    #[test]
    fn texts_are_one_or_a_list() {
        assert_eq!(Texts::parse("问："), Ok(Texts(vec!["问：".into()])));
        assert_eq!(Texts::parse(r#"["a", "\n"]"#), Ok(Texts(vec!["a".into(), "\n".into()])));
        assert_eq!(Texts::parse("[]"), Ok(Texts(vec![])));
        for broken in ["", "[1]", "[\"\"]", "[a"] {
            assert!(Texts::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn resume_takes_a_path_or_auto() {
        assert_eq!(ResumeFlag::parse("true"), Ok(ResumeFlag(Some(Resume::Auto))));
        assert_eq!(ResumeFlag::parse("False"), Ok(ResumeFlag(None)));
        assert_eq!(ResumeFlag::parse("out/Auto"), Ok(ResumeFlag(Some(Resume::Path("out/Auto".into())))));
    }
}
