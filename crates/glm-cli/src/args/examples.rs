//! Examples at the end of the help texts.

/// For `glmtune --help`.
pub const TOP: &str = "\
Examples:
  glmtune demo
  glmtune train run.toml --learning_rate 1e-2
  glmtune chat --model_name_or_path THUDM/chatglm2-6b --quantization_bit 4
  glmtune inspect THUDM/chatglm2-6b

Exit codes: 0 done; 2 the flags or the configuration file are wrong, by themselves or for the base, the adapter, the
checkpoint or the memory that there is; 1 anything else went wrong; 130 stopped by a signal.";

/// For `glmtune train --help`.
pub const TRAIN: &str = "\
Examples:
  glmtune train --do_train --train_file AdvertiseGen/train.json --prompt_column content --response_column summary \\
      --model_name_or_path THUDM/chatglm2-6b --output_dir output/adgen --max_source_length 64 --max_target_length 128 \\
      --per_device_train_batch_size 1 --gradient_accumulation_steps 16 --max_steps 3000 --learning_rate 2e-2 \\
      --pre_seq_len 128 --quantization_bit 4
  glmtune train --do_train --train_file rows.json --model_name_or_path THUDM/chatglm3-6b --output_dir output/lora \\
      --quantization_bit 4 --method lora --learning_rate 1e-3 --max_steps 1000
  glmtune train --train_args_file chatglm_6b_lora.json --model_name_or_path chatglm-6b --data_path train.jsonl
  glmtune train run.toml --resume_from_checkpoint auto
  glmtune train args.json --dry_run

Names may be written with underscores or dashes; --do_train, --do_train True and --do_train=true are the same.";

/// For `glmtune evaluate --help`.
pub const EVALUATE: &str = "\
Example:
  glmtune evaluate --test_file AdvertiseGen/dev.json --model_name_or_path THUDM/chatglm2-6b \\
      --ptuning_checkpoint output/adgen/checkpoint-3000 --output_dir output/adgen --quantization_bit 4";

/// For `glmtune chat --help`.
pub const CHAT: &str = "\
In the conversation: a line is a question, and /help lists what else can be typed: /use NAME lets another adapter answer,
/compare lets base and adapters answer side by side, /again, /undo, /set, /save FILE. clear forgets the history, stop leaves,
Ctrl-C stops an answer. A line \"\"\" begins and ends a question of several lines. Without a terminal, standard input holds a
question or command a line, and standard output gets the answers alone.

Examples:
  glmtune chat --model_name_or_path THUDM/chatglm2-6b --ptuning_checkpoint output/adgen/checkpoint-3000 --quantization_bit 4
  glmtune chat --model_name_or_path THUDM/chatglm3-6b --lora_checkpoint output/lora/checkpoint-1000 --no_history
  glmtune chat --model_name_or_path THUDM/chatglm2-6b --adapter before=output/adgen/checkpoint-1000 \\
      --adapter after=output/adgen/checkpoint-3000";

/// For `glmtune dev random-base --help`.
pub const RANDOM_BASE: &str = "\
Example (the true widths of ChatGLM2-6B, two layers):
  glmtune dev random-base --variant chatglm2 --layers 2 --tokenizer tokenizer.model --out random-chatglm2";

/// Of `bench`.
pub const BENCH: &str =
    "Without a base, kernels run at the sizes of ChatGLM2-6B, and the rest on the tiny base of the demo.

Examples:
  glmtune bench
  glmtune bench --model_name_or_path THUDM/chatglm2-6b --quantization_bit 4 --pre_seq_len 128
  glmtune bench --model_name_or_path THUDM/chatglm2-6b --parts decoding --blocks 28 --json";

/// Of `plan`.
pub const PLAN: &str = "Examples:
  glmtune plan --model_name_or_path THUDM/chatglm2-6b --train_file train.json --pre_seq_len 128 --quantization_bit 4 --max_steps 3000
  glmtune plan run.toml --lora_rank 8 --json";

/// Of `export`.
pub const EXPORT: &str = "Examples:
  glmtune export --model_name_or_path THUDM/chatglm2-6b --adapter output/lora/checkpoint-3000 --to merged --out chatglm2-mine
  glmtune export --model_name_or_path THUDM/chatglm2-6b --adapter output/lora/checkpoint-3000 --to gguf --gguf_type q4_0 --out mine.gguf
  glmtune export --model_name_or_path THUDM/chatglm2-6b --adapter output/adgen/checkpoint-3000 --to bundle --out adgen.bundle";

/// Of `replay`.
pub const REPLAY: &str = "Rows become prompts as in the run that the adapter lies in, unless flags say otherwise. Exit code 1: something differs.

Example:
  glmtune replay --model_name_or_path THUDM/chatglm2-6b --quantization_bit 4 --adapter output/adgen/checkpoint-3000 \\
      --test_file AdvertiseGen/dev.json --max_samples 100";

/// Of `serve`.
pub const SERVE: &str = "The page is at the address that is printed; the API below it at /v1, as OpenAI's.

Examples:
  glmtune serve --model_name_or_path THUDM/chatglm2-6b --quantization_bit 4 --adapter adgen=output/adgen/checkpoint-3000
  glmtune serve --model_name_or_path THUDM/chatglm2-6b --quantization_bit 4 --adapter_dir adapters --runs_dir output
  glmtune serve --model_name_or_path THUDM/chatglm2-6b --quantization_bit 4 --watch adgen=output/adgen --watch_file dev.json
  GLMTUNE_API_KEY=secret glmtune serve --model_name_or_path THUDM/chatglm3-6b --host 0.0.0.0 --port 8080";
