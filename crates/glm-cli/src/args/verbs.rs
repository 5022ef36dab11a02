//! The keys of every verb.

use std::path::PathBuf;

use glm_data::Variant;

use super::data::{DataArgs, OurDataArgs};
use super::keys::{key_sets, keys};
use super::legacy::LegacyArgs;
use super::method::{AdapterArgs, MethodArgs};
use super::model::{BaseArgs, ModelArgs};
use super::peers::{ChatGlmTuningArgs, EfficientTuningArgs, LauncherArgs};
use super::training::{DecodingArgs, OurTrainingArgs, PredictArgs, TaskArgs, TrainingArgs};
use super::types::{Bytes, FileDtype, FileFormat, NamedPaths};

key_sets! {
    /// Keys of `train` and `evaluate`.
    pub struct TrainKeys {
        /// Task.
        task: TaskArgs,
        /// Model.
        model: ModelArgs,
        /// Model, our own.
        base: BaseArgs,
        /// Files of an adapter.
        adapter: AdapterArgs,
        /// Method.
        method: MethodArgs,
        /// Data.
        data: DataArgs,
        /// Data, our own.
        our_data: OurDataArgs,
        /// Training.
        training: TrainingArgs,
        /// Training, our own.
        our_training: OurTrainingArgs,
        /// Generation.
        predict: PredictArgs,
        /// Decoding.
        decoding: DecodingArgs,
        /// Old keys.
        legacy: LegacyArgs,
        /// Keys of chatglm_tuning.
        chatglm_tuning: ChatGlmTuningArgs,
        /// Keys of ChatGLM-Efficient-Tuning.
        efficient_tuning: EfficientTuningArgs,
        /// Keys of launchers.
        launcher: LauncherArgs,
    }
}

keys! {
    /// Keys of a conversation, as in chatglm_tuning's `cli_demo.py`. The defaults are those of each model's own `chat`.
    pub struct ConversationArgs in "Conversation";

    /// Most tokens of history, question and answer together (default: the model's own: ChatGLM-6B 2048, ChatGLM2-6B 8192,
    /// ChatGLM3-6B 32768)
    max_length: Option<usize> = None;
    /// Keep the most likely tokens that together reach this probability (default: the model's own, 0.7 or 0.8)
    top_p: Option<f32> = None;
    /// Logits are divided by it before sampling (default: the model's own, 0.95 or 0.8)
    temperature: Option<f32> = None;
    /// Keep so many of the most likely tokens; 0: all
    top_k: usize = 50;
    /// Draw from the distribution; false: always take the best token
    do_sample: bool = true;
    /// Above 1: makes repeated tokens less likely
    repetition_penalty: f32 = 1.0;
    /// Most tokens of one answer
    max_new_tokens: Option<usize> = None;
    /// Beams of beam search: answers are then shown when they are complete
    num_beams: usize = 1;
    /// Seed of sampling
    seed: u64 = 42;
    /// Answer every question on its own
    no_history: bool = false;
    /// What stands before the conversation, as ChatGLM3's system message; the older models see it before the first question
    system_prompt: Option<String> = None;
    /// The same as --quantization_bit 8
    load_in_8bit: bool = false;
    /// An adapter and its name in the conversation, where /use NAME and /compare speak of it; a prefix or LoRA, in any layout. The
    /// first one answers at first. May be given several times
    adapter: NamedPaths = NamedPaths::default();
    /// Keep the lines that are typed on a terminal for the next conversation, the newest 1000 of them: glmtune/chat_history in
    /// XDG_STATE_HOME (default: ~/.local/state), which only you can read
    input_history: bool = true;
}

key_sets! {
    /// Keys of `chat`.
    pub struct ChatKeys {
        /// Model.
        model: ModelArgs,
        /// Model, our own.
        base: BaseArgs,
        /// Files of an adapter.
        adapter: AdapterArgs,
        /// Conversation.
        conversation: ConversationArgs,
        /// Decoding.
        decoding: DecodingArgs,
    }
}

keys! {
    /// Keys of `demo`.
    pub struct DemoKeys in "Options";

    /// Folder of the demo's run
    output_dir: PathBuf = "runs/demo".into();
    /// Seed of everything random
    seed: u64 = 42;
    /// Threads to compute with (default: one a core)
    threads: Option<usize> = None;
}

keys! {
    /// Keys of `dev demo-base`.
    pub struct DemoBaseKeys in "Options";

    /// Folder to write
    out: Option<PathBuf> = None;
    /// Threads to compute with (default: one a core)
    threads: Option<usize> = None;
}

keys! {
    /// Keys of `dev random-base`.
    pub struct RandomBaseKeys in "Options";

    /// Folder to write
    out: Option<PathBuf> = None;
    /// Member of the family: chatglm, chatglm2 or chatglm3
    variant: Variant = Variant::ChatGlm2;
    /// Number of layers
    layers: usize = 2;
    /// Seed of the weights
    seed: u64 = 42;
    /// Number format in the files: f16, bf16 or f32
    dtype: FileDtype = FileDtype::F16;
    /// File format: bin (as published) or safetensors
    format: FileFormat = FileFormat::Bin;
    /// Most bytes of one file
    shard_size: Bytes = Bytes(2_000_000_000);
    /// Vocabulary to put into the folder
    tokenizer: Option<PathBuf> = None;
    /// Width (default: the variant's own, as for all below)
    hidden_size: Option<usize> = None;
    /// Width inside the MLP
    ffn_hidden_size: Option<usize> = None;
    /// Query heads
    num_attention_heads: Option<usize> = None;
    /// Key and value groups
    multi_query_group_num: Option<usize> = None;
    /// Width of a head
    kv_channels: Option<usize> = None;
    /// Rows of the embedding
    padded_vocab_size: Option<usize> = None;
    /// Longest text
    seq_length: Option<usize> = None;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::args::keys::{KeySet, Status};
    use crate::args::machine::{BenchKeys, DoctorKeys};
    use crate::args::serve::ServeKeys;
    use crate::args::tools::ReplayKeys;

    fn names_are_unique_and_settable<K: KeySet>() {
        let mut seen = BTreeSet::new();
        for key in K::keys() {
            assert!(seen.insert(key.name), "{} is defined twice", key.name);
            assert!(!key.help.trim().is_empty() && !key.help.trim().ends_with('.'), "help of {}", key.name);
            if let Status::Unused(why) | Status::OnlyDefault(why) = key.status {
                assert!(!why.is_empty() && !why.ends_with('.'), "reason of {}", key.name);
            }
            if let Status::AliasOf(meant) = key.status {
                let status = K::keys().into_iter().find(|other| other.name == meant).map(|other| other.status);
                assert_eq!(status, Some(Status::Used), "{} stands for {meant}", key.name);
            }
            // What the help text shows as the default must be readable as a value, and be the default.
            let mut keys = K::default();
            if !key.default.is_empty() {
                assert_eq!(keys.set(key.name, &key.default), Some(Ok(())), "default of {}", key.name);
                assert!(keys.changed().is_empty(), "default of {}", key.name);
            }
        }
        assert_eq!(K::default().set("no such key", "1"), None);
    }

    #[test]
    fn tables_are_sound() {
        names_are_unique_and_settable::<TrainKeys>();
        names_are_unique_and_settable::<ChatKeys>();
        names_are_unique_and_settable::<ServeKeys>();
        names_are_unique_and_settable::<ReplayKeys>();
        names_are_unique_and_settable::<DoctorKeys>();
        names_are_unique_and_settable::<BenchKeys>();
        names_are_unique_and_settable::<DemoKeys>();
        names_are_unique_and_settable::<DemoBaseKeys>();
        names_are_unique_and_settable::<RandomBaseKeys>();
    }
}
