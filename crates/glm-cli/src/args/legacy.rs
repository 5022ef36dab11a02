//! Keys of transformers' `Seq2SeqTrainingArguments` that old scripts hold and that change nothing here, or of which only
//! the default can be honoured.

use super::keys::keys;

keys! {
    /// Keys without an effect, and keys that must stay at their default.
    pub struct LegacyArgs in "Training";

    /// Half precision
    fp16: bool = false, unused "--compute says in which numbers products are made (bf16 where the processor can, which needs no loss scaling); --base_dtype and --quantization_bit decide how the base is held";
    /// bfloat16
    bf16: bool = false, unused "--compute says in which numbers products are made (bf16 where the processor can), --base_dtype bf16 holds the base in bf16; norms and the loss are f32";
    /// Evaluate in half precision
    fp16_full_eval: bool = false, unused "evaluation computes as training does; see --compute";
    /// Evaluate in bfloat16
    bf16_full_eval: bool = false, unused "evaluation computes as training does; see --compute";
    /// TF32 on NVIDIA cards
    tf32: Option<bool> = None, unused "there is no TF32 on the CPU";
    /// Do not use a graphics card
    no_cuda: bool = false, unused "the CPU is used anyway";
    /// Processes that load data
    dataloader_num_workers: usize = 0, unused "rows are prepared without extra processes";
    /// Pin host memory
    dataloader_pin_memory: bool = true, unused "there is no transfer to pin memory for";
    /// Drop columns that the model does not take
    remove_unused_columns: bool = true, unused "only the named columns are read";
    /// DistributedDataParallel's search for unused parameters
    ddp_find_unused_parameters: Option<bool> = None, unused "one process trains";
    /// Move predictions to the host every so many steps
    eval_accumulation_steps: Option<usize> = None, unused "predictions are written as they come";
    /// Replace a NaN loss by the running mean
    logging_nan_inf_filter: bool = true, unused "a loss that is not finite stops the run and is never hidden";
    /// Metric of the best checkpoint
    metric_for_best_model: Option<String> = None, unused "it belongs to --load_best_model_at_end";
    /// Direction of the metric
    greater_is_better: Option<bool> = None, unused "it belongs to --load_best_model_at_end";
    /// Write safetensors
    save_safetensors: bool = false, unused "adapters are written in torch's form and in safetensors, whole models in safetensors";
    /// Name of the run for trackers
    run_name: Option<String> = None, unused "the run is named by --output_dir";
    /// Log level
    log_level: String = "passive".into(), unused "there is one log";
    /// Deterministic algorithms
    full_determinism: bool = false, unused "runs are deterministic for a given number of threads";
    /// Measure memory
    skip_memory_metrics: bool = true, unused "memory is not measured step by step";
    /// Compile the model
    torch_compile: bool = false, unused "there is no torch";
    /// Rank that torchrun gives
    local_rank: i64 = -1;
    /// DeepSpeed configuration
    deepspeed: Option<String> = None;
    /// Label smoothing
    label_smoothing_factor: f64 = 0.0, only_default "label smoothing is not built yet";
    /// Put rows of similar length together
    group_by_length: bool = false, only_default "grouping by length is not built yet; batches hold no padding, so it would save little";
    /// Load the best checkpoint when training ends
    load_best_model_at_end: bool = false, only_default "choosing the best checkpoint is not built yet; every checkpoint is kept unless --save_total_limit is given";
    /// When to log
    logging_strategy: String = "steps".into(), only_default "only logging by steps is built; give --logging_steps";
    /// Drop the last, smaller batch
    dataloader_drop_last: bool = false, only_default "dropping the last batch is not built yet";
    /// Do not skip the rows that were seen before a resume
    ignore_data_skip: bool = false, only_default "a resumed run goes on exactly where it stopped";
    /// Wait before the first evaluation
    eval_delay: f64 = 0.0, only_default "delaying evaluation is not built yet";
    /// Find a batch size that fits
    auto_find_batch_size: bool = false, only_default "choosing the batch size is not built yet; use --gradient_checkpointing and --activation_budget to fit the memory";
    /// Upload to the hub
    push_to_hub: bool = false, only_default "nothing is uploaded";
    /// Fully sharded data parallel
    fsdp: String = String::new(), only_default "one process trains; sharding is not built yet";
}
