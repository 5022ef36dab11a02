//! What others can load: a complete Hugging Face folder, the official INT4/INT8 layout, GGUF for llama.cpp, and a prefix in
//! the official form or as one self-contained file.
//!
//! The values come from a [`TensorSource`], one tensor at a time: an opened folder ([`FolderSource`]), a folder with
//! something added to its matrices ([`Merged`]), or trained tensors ([`Parameters`]). Every export is written beside its
//! place, reopened, compared with its source, and only then given its name.

mod bundle;
mod config_json;
mod folder;
mod gguf;
mod lora;
mod merged;
mod parameters;
mod prefix;
mod quantized;
mod report;
mod source;
mod target;
mod tensor;
mod verify;
mod write;

pub use bundle::{BUNDLE_FORMAT, Bundle, export_bundle};
pub use folder::{FolderOptions, export_folder, write_folder};
pub use gguf::{GGUF_MAGIC, GgufOptions, GgufSummary, GgufType, check_gguf, export_gguf};
pub use lora::LoraDelta;
pub use merged::{Merged, WeightDelta};
pub use parameters::Parameters;
pub use prefix::{collapse, export_prefix};
pub use quantized::export_quantized;
pub use report::ExportReport;
pub use source::{FolderSource, Packed, TensorSource};
pub use target::folder as begin_folder;
pub use tensor::SourceTensor;
