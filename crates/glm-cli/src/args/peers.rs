//! Other projects' names of keys, and keys that launchers of several processes are given.

use std::path::PathBuf;

use super::keys::keys;
use super::types::Method;

keys! {
    /// Keys of chatglm_tuning's `train_ptuning.py` and `train_lora.py`.
    pub struct ChatGlmTuningArgs in "Keys of chatglm_tuning";

    /// A json file of training arguments; flags win over it
    train_args_file: Option<PathBuf> = None;
    /// Rows with instruction, input and output to train on; implies --do_train
    data_path: Option<PathBuf> = None, alias_of "train_file";
    /// Such rows to evaluate on
    eval_path: Option<PathBuf> = None, alias_of "validation_file";
    /// Most tokens of a prompt (default with --data_path: 1024)
    max_input_length: Option<usize> = None, alias_of "max_source_length";
    /// Most tokens of an answer (default with --data_path: 1024)
    max_output_length: Option<usize> = None, alias_of "max_target_length";
    /// The same as --quantization_bit 8
    int8: bool = false;
    /// The same as --gradient_checkpointing never
    no_gradient_checkpointing: bool = false;
    /// Spread the layers over several cards
    model_parallel: bool = false, unused "the whole model is held by one process";
}

keys! {
    /// Keys of ChatGLM-Efficient-Tuning, as far as they mean the same here.
    pub struct EfficientTuningArgs in "Keys of ChatGLM-Efficient-Tuning";

    /// p_tuning, lora, full, freeze or none
    finetuning_type: Option<Method> = None, alias_of "method";
    /// Begin with a trained adapter, or use it
    checkpoint_dir: Option<PathBuf> = None, alias_of "init_from";
    /// Train on so many rows only
    max_samples: Option<usize> = None, alias_of "max_train_samples";
    /// Beams of beam search
    eval_num_beams: Option<usize> = None, alias_of "num_beams";
    /// Kind of training
    stage: String = "sft".into(), only_default "only supervised fine-tuning (sft) is built";
    /// Part of a frozen model's last layers that trains
    name_module_trainable: Option<String> = None, only_default "--method freeze trains the last layers whole; a part of a layer cannot be chosen";
    /// Name of a data set in dataset_info.json
    dataset: Option<String> = None, only_default "dataset_info.json is not read; give the file as --train_file, --validation_file or --test_file";
    /// Folder of dataset_info.json
    dataset_dir: Option<String> = None, unused "files of rows are given by their paths";
    /// Share of the rows that is kept for evaluation
    dev_ratio: f64 = 0.0, only_default "splitting off a part is not built; give the rows to evaluate on as --validation_file";
    /// Go on with the last LoRA adapter instead of merging it
    resume_lora_training: bool = true, only_default "an adapter is not merged into the base before training; --init_from goes on with it";
    /// Draw the loss curve
    plot_loss: bool = true, unused "it is always drawn, as training_loss.svg";
    /// Number format of bitsandbytes
    quantization_type: Option<String> = None, unused "--quantization_bit is the official INT4 or INT8; --quantization_group refines it";
    /// Quantize bitsandbytes' scales too
    double_quantization: Option<bool> = None, unused "--quantization_bit is the official INT4 or INT8, whose scales are 16-bit floats";
}

keys! {
    /// Keys of `torchrun` and `deepspeed`, which start several processes.
    pub struct LauncherArgs in "Launcher";

    /// Processes on this machine (torchrun)
    nproc_per_node: Option<String> = None;
    /// Graphics cards (deepspeed)
    num_gpus: Option<String> = None;
    /// Machines (torchrun)
    nnodes: Option<String> = None;
    /// Machines (deepspeed)
    num_nodes: Option<String> = None;
    /// Single machine
    standalone: bool = false, unused "one process trains, and no launcher is needed";
    /// Number of this machine
    node_rank: Option<String> = None, unused "one process trains, and no launcher is needed";
    /// Address of the first machine
    master_addr: Option<String> = None, unused "one process trains, and no port is opened";
    /// Port of the first machine
    master_port: Option<String> = None, unused "one process trains, and no port is opened";
    /// Where processes meet
    rdzv_backend: Option<String> = None, unused "one process trains, and no launcher is needed";
    /// Where processes meet
    rdzv_endpoint: Option<String> = None, unused "one process trains, and no launcher is needed";
    /// File of machines (deepspeed)
    hostfile: Option<String> = None, unused "one process trains, and no launcher is needed";
    /// Cards to use (deepspeed)
    include: Option<String> = None, unused "one process trains, on the CPU";
}
