//! Settings of the verbs around training.

use std::path::PathBuf;

use glm_data::DataConfig;
use glm_data::format::ConvertTo;
use glm_model::DenseType;
use glm_model::export::GgufType;

use super::base::BaseConfig;
use super::origin::Origin;
use super::resolve::data;
use crate::args::keys::{Key, KeySet, Status};
use crate::args::model::ModelArgs;
use crate::args::sources::Given;
use crate::args::tools::{DataCheckKeys, DataConvertKeys, ExportKeys, VerifyKeys};
use crate::args::types::{ExportForm, FileFormat};
use crate::args::usage::{Remark, UsageError, refuse};

/// Settings of `export`.
#[derive(Debug, Clone)]
pub struct ExportSettings {
    /// The base.
    pub base: BaseConfig,
    /// The adapter; `None`: the base itself.
    pub adapter: Option<Origin>,
    /// What to write.
    pub to: ExportForm,
    /// Where.
    pub out: PathBuf,
    /// Type of a GGUF file's matrices.
    pub gguf_type: GgufType,
    /// Number format of a merged folder.
    pub dtype: Option<DenseType>,
    /// File format of a merged folder.
    pub format: FileFormat,
    /// Most bytes of one file of a merged folder.
    pub shard_size: u64,
}

impl ExportSettings {
    /// Resolves the keys.
    ///
    /// # Errors
    /// Names the key that is missing or has no effect.
    pub fn resolve(given: &Given<ExportKeys>) -> Result<(Self, Vec<Remark>), UsageError> {
        let mut remarks = Vec::new();
        given.check_status(&mut remarks)?;
        let keys = &given.keys.export;
        let base = BaseConfig::new(given, &given.keys.model, &given.keys.base)?;
        if base.quantization.is_some() {
            refuse!(
                "{} does not go with export: --to int4 or --to int8 writes a quantized folder",
                given.place("quantization_bit")
            );
        }
        let Some(to) = keys.to else {
            refuse!("--to is missing: give thudm, peft, merged, int4, int8, gguf or bundle");
        };
        let Some(out) = keys.out.clone() else { refuse!("--out is missing: give the folder or file to write") };
        for (name, only) in [
            ("gguf_type", ExportForm::Gguf),
            ("dtype", ExportForm::Merged),
            ("format", ExportForm::Merged),
            ("shard_size", ExportForm::Merged),
        ] {
            if given.has(name) && to != only {
                refuse!("{} has no effect on this --to", given.place(name));
            }
        }
        if given.has("adapter") && given.has("ptuning_checkpoint") {
            refuse!("{} and {}: give one adapter", given.place("adapter"), given.place("ptuning_checkpoint"));
        }
        let without_effect = [
            "base_dtype",
            "quantization_group",
            "output_layer_bit",
            "quantized_cache",
            "compute",
            "pre_seq_len",
            "prefix_projection",
        ];
        for name in without_effect {
            if given.has(name) {
                refuse!("{} has no effect on an export; leave it out", given.place(name));
            }
        }
        let adapter = adapter(given, keys.adapter.as_ref(), &given.keys.model);
        let settings = Self {
            base,
            adapter,
            to,
            out,
            gguf_type: keys.gguf_type,
            dtype: keys.dtype,
            format: keys.format,
            shard_size: keys.shard_size.0,
        };
        Ok((settings, remarks))
    }
}

/// The adapter, and the flag that named it.
pub(super) fn adapter<K: KeySet>(given: &Given<K>, any: Option<&PathBuf>, model: &ModelArgs) -> Option<Origin> {
    let prefix = || Some(Origin::new(model.ptuning_checkpoint.as_ref()?, given.place("ptuning_checkpoint")));
    any.map(|path| Origin::new(path, given.place("adapter"))).or_else(prefix)
}

/// Settings of `verify-adapter`.
#[derive(Debug, Clone)]
pub struct VerifySettings {
    /// The base.
    pub base: BaseConfig,
    /// The adapter.
    pub adapter: Origin,
    /// Rows to answer.
    pub file: PathBuf,
    /// How many.
    pub rows: usize,
    /// Most tokens of an answer.
    pub max_new_tokens: usize,
    /// How rows become prompts.
    pub data: DataConfig,
    /// Threads.
    pub threads: Option<usize>,
}

impl VerifySettings {
    /// Resolves the keys.
    ///
    /// # Errors
    /// Names the key that is missing or out of range.
    pub fn resolve(given: &Given<VerifyKeys>) -> Result<(Self, Vec<Remark>), UsageError> {
        let mut remarks = Vec::new();
        given.check_status(&mut remarks)?;
        let keys = &given.keys;
        let base = BaseConfig::new(given, &keys.model, &keys.base)?;
        base.remark(given, &mut remarks);
        let Some(adapter) = adapter(given, keys.verify.adapter.as_ref(), &keys.model) else {
            refuse!("--adapter is missing: give the folder or file of a trained adapter");
        };
        let Some(file) = keys.data.test_file.clone() else {
            refuse!("--test_file is missing: give a file of rows to answer")
        };
        for (name, value) in [("rows", keys.verify.rows), ("max_new_tokens", keys.verify.max_new_tokens)] {
            if value == 0 {
                refuse!("{}: expected 1 or more, found 0", given.place(name));
            }
        }
        let settings = Self {
            base,
            adapter,
            file,
            rows: keys.verify.rows,
            max_new_tokens: keys.verify.max_new_tokens,
            data: data(given, &keys.data, &keys.our_data)?,
            threads: super::outputs::threads(given, keys.base.threads)?,
        };
        Ok((settings, remarks))
    }
}

/// Settings of `data check`.
#[derive(Debug, Clone)]
pub struct DataCheckSettings {
    /// The file.
    pub file: PathBuf,
    /// The base whose vocabulary and prompts count; `None`: what can be said without one.
    pub base: Option<BaseConfig>,
    /// How rows become samples.
    pub data: DataConfig,
    /// Rows to look at; `None`: all.
    pub rows: Option<usize>,
    /// Print json.
    pub json: bool,
    /// Samples shown token by token.
    pub show: usize,
    /// Entries of each list.
    pub list: usize,
}

impl DataCheckSettings {
    /// Resolves the keys.
    ///
    /// # Errors
    /// Names the key that is missing or out of range.
    pub fn resolve(file: PathBuf, given: &Given<DataCheckKeys>) -> Result<(Self, Vec<Remark>), UsageError> {
        let mut remarks = Vec::new();
        given.check_status(&mut remarks)?;
        let keys = &given.keys;
        let base = keys.model.model_name_or_path.is_some();
        if !base && given.has("show") {
            let place = given.place("show");
            remarks.push(Remark::Note(format!("{place} has no effect without --model_name_or_path: tokens are shown")));
        }
        let settings = Self {
            file,
            base: base.then(|| BaseConfig::new(given, &keys.model, &keys.base)).transpose()?,
            data: data(given, &keys.data, &keys.our_data)?,
            rows: keys.data.max_train_samples,
            json: keys.check.json,
            show: keys.check.show,
            list: keys.check.list,
        };
        Ok((settings, remarks))
    }
}

/// Settings of `data convert`.
#[derive(Debug, Clone)]
pub struct DataConvertSettings {
    /// Rows to read.
    pub from: PathBuf,
    /// File to write.
    pub into: PathBuf,
    /// Form to write.
    pub to: ConvertTo,
    /// How rows are read.
    pub data: DataConfig,
    /// Rows to convert, from the start of the file; `None`: all.
    pub rows: Option<usize>,
}

/// The keys that a conversion obeys: what tells how rows are read, and how many.
const OF_CONVERSIONS: [&str; 9] = [
    "to",
    "prompt_column",
    "response_column",
    "history_column",
    "max_train_samples",
    "compat",
    "lenient",
    "data_format",
    "alpaca_join",
];

impl DataConvertSettings {
    /// Resolves the keys.
    ///
    /// # Errors
    /// Names the key that is out of range, or that a conversion must not follow.
    pub fn resolve(
        from: PathBuf,
        into: PathBuf,
        given: &Given<DataConvertKeys>,
    ) -> Result<(Self, Vec<Remark>), UsageError> {
        let mut remarks = Vec::new();
        given.check_status(&mut remarks)?;
        let keys = &given.keys;
        if given.has("source_prefix") {
            refuse!(
                "{} does not go with a conversion: training adds it to every prompt, and would add it again",
                given.place("source_prefix")
            );
        }
        let used = |key: &Key| key.status == Status::Used && !OF_CONVERSIONS.contains(&key.name);
        for key in DataConvertKeys::keys().into_iter().filter(|key| used(key) && given.has(key.name)) {
            let place = given.place(key.name);
            remarks.push(Remark::Note(format!("{place} has no effect on a conversion: rows are written whole")));
        }
        let data = data(given, &keys.data, &keys.our_data)?;
        Ok((Self { from, into, to: keys.convert.to, data, rows: keys.data.max_train_samples }, remarks))
    }
}
