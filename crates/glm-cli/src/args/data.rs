//! Keys of the data: the official `DataTrainingArguments`, and our own beside them.

use std::path::PathBuf;

use super::keys::keys;
use glm_data::format::{AlpacaJoin, Format};
use glm_data::{OnOverflow, TrainOn};

keys! {
    /// The official `DataTrainingArguments`, the same in ChatGLM-6B and ChatGLM2-6B.
    pub struct DataArgs in "Data";

    /// Rows to train on: json, jsonl or csv
    train_file: Option<PathBuf> = None;
    /// Rows to evaluate on
    validation_file: Option<PathBuf> = None;
    /// Rows to predict
    test_file: Option<PathBuf> = None;
    /// Column that holds the prompt. Without it the form of the rows is told from their columns
    prompt_column: Option<String> = None;
    /// Column that holds the answer
    response_column: Option<String> = None;
    /// Column that holds earlier turns: [[question, answer], …]
    history_column: Option<String> = None;
    /// Most tokens of a prompt, special tokens included
    max_source_length: usize = 1024;
    /// Most tokens of an answer in training
    max_target_length: usize = 128;
    /// Most tokens of a reference answer in evaluation (default: max_target_length)
    val_max_target_length: Option<usize> = None;
    /// Train on so many rows only, from the start of the file
    max_train_samples: Option<usize> = None;
    /// Evaluate so many rows only
    max_eval_samples: Option<usize> = None;
    /// Predict so many rows only
    max_predict_samples: Option<usize> = None;
    /// Text put before every prompt
    source_prefix: String = String::new();
    /// Beams of beam search, which looks for the most likely answer; 1: none
    num_beams: Option<usize> = None;
    /// Do not train on padding
    ignore_pad_token_for_loss: bool = true;
    /// Tokenize again instead of using a cache
    overwrite_cache: bool = false, unused "no cache of tokenized rows is kept";
    /// Processes that tokenize
    preprocessing_num_workers: Option<usize> = None, unused "tokenizing needs no extra processes";
    /// Pad every row to the full length
    pad_to_max_length: bool = false, unused "batches hold no padding";
    /// Language of the data
    lang: Option<String> = None, unused "the official main.py never reads it";
    /// Data set on the hub
    dataset_name: Option<String> = None, unused "nothing is downloaded; give --train_file, --validation_file or --test_file";
    /// Configuration of a data set on the hub
    dataset_config_name: Option<String> = None, unused "nothing is downloaded";
    /// First token to force
    forced_bos_token: Option<String> = None, unused "the official main.py never reads it";
}

keys! {
    /// Our own keys of the data.
    pub struct OurDataArgs in "Data, additions";

    /// Exactly the official preprocessing: cuts keep the beginning of a prompt, and an answer that was cut still ends
    /// with the end token. Without it, an over-long prompt loses its oldest turns first, and a cut answer teaches no end
    compat: bool = false;
    /// Skip broken rows and count them, instead of stopping at the first
    lenient: bool = false;
    /// Form of the rows, when their columns do not tell it
    data_format: Option<Format> = None;
    /// Which answers of a conversation are learned: last, or every (default: last for ChatGLM-6B and ChatGLM2, every
    /// for ChatGLM3, as the official scripts)
    train_on: Option<TrainOn> = None;
    /// What becomes of a row that is too long: trim-history (the oldest turns go, then the middle of the question), drop,
    /// or error
    on_overflow: OnOverflow = OnOverflow::TrimHistory;
    /// What stands between instruction and input of alpaca rows: newline (chatglm_tuning), or nothing
    /// (ChatGLM-Efficient-Tuning)
    alpaca_join: AlpacaJoin = AlpacaJoin::Newline;
}
