//! Keys of the verbs around training: exports, checks of adapters and of data.

use std::path::PathBuf;

use glm_data::format::ConvertTo;
use glm_model::DenseType;
use glm_model::export::GgufType;

use super::data::{DataArgs, OurDataArgs};
use super::keys::{key_sets, keys};
use super::model::{BaseArgs, ModelArgs};
use super::types::{Bytes, ExportForm, FileFormat};

keys! {
    /// Keys of an export.
    pub struct ExportArgs in "Export";

    /// Trained adapter, in any layout; without it the base itself is exported
    adapter: Option<PathBuf> = None;
    /// What to write: thudm, peft, merged, int4, int8, gguf or bundle
    to: Option<ExportForm> = None;
    /// Folder (or file, for gguf and bundle) to write; it must not exist
    out: Option<PathBuf> = None;
    /// With --to gguf: f16, q8_0 or q4_0
    gguf_type: GgufType = GgufType::F16;
    /// With --to merged: number format of the tensors (default: as the base keeps them)
    dtype: Option<DenseType> = None;
    /// With --to merged: safetensors or bin
    format: FileFormat = FileFormat::Safetensors;
    /// With --to merged: most bytes of one file
    shard_size: Bytes = Bytes(5_000_000_000);
}

key_sets! {
    /// Keys of `export`.
    pub struct ExportKeys {
        /// Export.
        export: ExportArgs,
        /// Model.
        model: ModelArgs,
        /// Model, our own.
        base: BaseArgs,
    }
}

keys! {
    /// Keys of a look at an adapter.
    pub struct VerifyArgs in "Check";

    /// Trained adapter, in any layout
    adapter: Option<PathBuf> = None;
    /// Number of rows to answer, from the start of --test_file
    rows: usize = 5;
    /// Most tokens of one answer
    max_new_tokens: usize = 64;
}

key_sets! {
    /// Keys of `verify-adapter`.
    pub struct VerifyKeys {
        /// Check.
        verify: VerifyArgs,
        /// Model.
        model: ModelArgs,
        /// Model, our own.
        base: BaseArgs,
        /// Data.
        data: DataArgs,
        /// Data, our own.
        our_data: OurDataArgs,
    }
}

keys! {
    /// Keys of a replay.
    pub struct ReplayArgs in "Replay";

    /// Trained adapter, in any layout; without it the bare base
    adapter: Option<PathBuf> = None;
    /// Number of rows to go through, from the start of --test_file
    max_samples: usize = 32;
    /// Most tokens of one answer
    max_new_tokens: usize = 64;
    /// Print json
    json: bool = false;
}

key_sets! {
    /// Keys of `replay`.
    pub struct ReplayKeys {
        /// Replay.
        replay: ReplayArgs,
        /// Model.
        model: ModelArgs,
        /// Model, our own.
        base: BaseArgs,
        /// Data.
        data: DataArgs,
        /// Data, our own.
        our_data: OurDataArgs,
    }
}

keys! {
    /// Keys of the report.
    pub struct CheckArgs in "Report";

    /// Print json
    json: bool = false;
    /// Samples shown token by token
    show: usize = 2;
    /// Entries of each list
    list: usize = 10;
}

key_sets! {
    /// Keys of `data check`.
    pub struct DataCheckKeys {
        /// Report.
        check: CheckArgs,
        /// Model.
        model: ModelArgs,
        /// Model, our own.
        base: BaseArgs,
        /// Data.
        data: DataArgs,
        /// Data, our own.
        our_data: OurDataArgs,
    }
}

keys! {
    /// Keys of a conversion.
    pub struct ConvertArgs in "Conversion";

    /// Form to write: instruct (instruction, input, output; what chatglm_tuning reads) or messages
    to: ConvertTo = ConvertTo::Instruct;
}

key_sets! {
    /// Keys of `data convert`.
    pub struct DataConvertKeys {
        /// Conversion.
        convert: ConvertArgs,
        /// Data.
        data: DataArgs,
        /// Data, our own.
        our_data: OurDataArgs,
    }
}
