//! Flags that are wrong for the base, the adapter or the checkpoint that they name: they exit with 2 as other mistakes in
//! flags do, and nothing is written.
#![allow(clippy::unwrap_used)] // Helpers of tests, which the lint does not know as tests.

mod support;

use support::World;

const TRAIN: &str = "train --do_train --train_file train.json --model_name_or_path base --max_steps 1 --output_dir no \
    --max_source_length 64 --max_target_length 32 --per_device_train_batch_size 2";

#[test]
fn flags_that_do_not_fit_the_base() {
    let world = World::new();
    for (flags, part) in [
        ("--method lora --lora_target attention", "--lora_target: no linear layer of this ChatGLM2 base"),
        ("--method lora --lora_rank 100000", "--lora_rank: expected 1 to "),
        ("--method freeze --num_layer_trainable 100", "--num_layer_trainable 100: base has 6 layers"),
        ("--pre_seq_len 1000000000", "--pre_seq_len 1000000000: training that prefix needs about"),
        ("--pre_seq_len 4 --max_source_length 3", "max_source_length 3 is too short"),
    ] {
        world.refused(&format!("{TRAIN} {flags}"), &[part]);
        assert!(!world.path("no").exists(), "{flags}");
    }
    world.ok("export --model_name_or_path base --to int4 --out base4");
    let stored = TRAIN.replace("path base", "path base4");
    world.refused(&format!("{stored} --method full"), &["stored in INT4 and cannot train"]);
    world.refused("dev random-base --layers 1 --num_attention_heads 7 --out no", &["7"]);
    // What the files hold is another matter.
    std::fs::write(world.path("broken.json"), "{").unwrap();
    let output = world.run(&TRAIN.replace("train.json", "broken.json --pre_seq_len 4"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn flags_that_do_not_fit_an_adapter_name_the_flag_that_was_given_once() {
    let world = World::new();
    world.ok(&format!("{TRAIN} --output_dir prefix --pre_seq_len 4"));
    let checkpoint = "prefix/checkpoint-1";
    for (flags, place) in [
        (format!("--ptuning_checkpoint {checkpoint} --pre_seq_len 8"), "--ptuning_checkpoint"),
        (format!("--init_from {checkpoint} --method ptuning --prefix_projection"), "--init_from"),
        (format!("--checkpoint_dir {checkpoint} --method lora"), "--checkpoint_dir"),
    ] {
        let words = format!("{TRAIN} {flags}");
        world.refused(&words, &[&format!("error: {place}: ")]);
        let said = world.fails(&words);
        for other in ["--ptuning_checkpoint", "--init_from", "--checkpoint_dir"] {
            // What to give instead may name a flag; what was given is named once.
            let times = said.matches(&format!("{other}: ")).count();
            assert_eq!(times, usize::from(other == place), "{words}\n{said}");
        }
    }
    std::fs::write(world.path("run.toml"), format!("init_from = \"{checkpoint}\"\nmethod = \"lora\"\n")).unwrap();
    world.refused(&format!("{TRAIN} --config run.toml"), &["error: init_from in run.toml: "]);
    std::fs::create_dir(world.path("empty")).unwrap();
    for verb in ["export --to thudm --out no", "verify-adapter --test_file dev.json"] {
        let said = world.fails(&format!("{verb} --model_name_or_path base --adapter empty"));
        assert!(said.contains("error: --adapter: empty") && !said.contains("--init_from"), "{said}");
    }
}

#[test]
fn forms_and_adapters_that_do_not_go_together() {
    let world = World::new();
    world.ok(&format!("{TRAIN} --output_dir prefix --pre_seq_len 4"));
    world.ok(&format!("{TRAIN} --output_dir lora --method lora"));
    let ice_text = glm_testkit::fixture("glm1-tokenizer/ice_text.model");
    world.ok(&format!(
        "dev random-base --variant chatglm --layers 1 --hidden_size 32 --ffn_hidden_size 64 --num_attention_heads 4 \
         --padded_vocab_size 24000 --tokenizer {} --out first",
        ice_text.display()
    ));
    std::fs::create_dir_all(world.path("there/inside")).unwrap();
    std::fs::write(world.path("file"), "x").unwrap();
    let (prefix, lora) = ("--adapter prefix/checkpoint-1", "--adapter lora/checkpoint-1");
    let export = "export --model_name_or_path base --out no";
    for (flags, part) in [
        (format!("{export} {lora} --to bundle"), "thudm and bundle are for prefixes"),
        (format!("{export} {lora} --to thudm"), "thudm and bundle are for prefixes"),
        (format!("{export} {prefix} --to merged"), "a prefix cannot be merged"),
        (format!("{export} {prefix} --to peft"), "--to peft writes LoRA"),
        (format!("{export} --to peft"), "write an adapter: give one as --adapter"),
        (format!("{export} --to merged --adapter base"), "--adapter: base: it is a whole model without an adapter"),
        (format!("{export} --to merged --adapter lora"), "it holds checkpoints, not an adapter"),
        (format!("{export} --to merged --adapter nowhere"), "--adapter nowhere: there is no such file"),
        ("export --model_name_or_path nowhere --out no --to int4".into(), "--model_name_or_path nowhere: "),
        ("export --model_name_or_path first --out no --to gguf".into(), "--to gguf: this is a ChatGLM-6B"),
        (format!("export --model_name_or_path first --out no --to merged {lora}"), "does not fit this base"),
        ("export --model_name_or_path base --out there --to int4".into(), "--out there: it is there already"),
        ("export --model_name_or_path base --out file --to int4".into(), "--out file: it is there already"),
        ("export --model_name_or_path base --out there/inside --to gguf".into(), "it is there already"),
    ] {
        world.refused(&flags, &[part]);
        assert!(!world.path("no").exists(), "{flags}");
    }
    // A folder that is empty is free.
    world.ok("export --model_name_or_path base --out there/inside --to int4");
}

#[test]
fn what_other_verbs_are_given_and_is_not_there_or_does_not_fit() {
    let world = World::new();
    world.ok(&format!("{TRAIN} --output_dir lora --method lora"));
    world.ok("dev random-base --layers 1 --hidden_size 32 --ffn_hidden_size 64 --num_attention_heads 4 --out other");
    std::fs::copy(world.path("base/tokenizer.model"), world.path("other/tokenizer.model")).unwrap();
    let verify = "verify-adapter --model_name_or_path";
    let plan = "plan --pre_seq_len 4 --train_file";
    for (words, part) in [
        (format!("{verify} base --adapter nowhere --test_file dev.json"), "--adapter nowhere: there is no such file"),
        (format!("{verify} base --adapter lora/checkpoint-1 --test_file none.json"), "--test_file none.json: there is"),
        (format!("{verify} ./nowhere --adapter lora --test_file dev.json"), "--model_name_or_path ./nowhere: there is"),
        (format!("{verify} other --adapter lora/checkpoint-1 --test_file dev.json"), "does not fit this base"),
        (format!("{plan} none.json --model_name_or_path base"), "--train_file none.json: there is no such file"),
        (
            format!("{plan} base --model_name_or_path base"),
            "--train_file base: expected a file of rows, found a folder",
        ),
        (format!("{plan} train.json --model_name_or_path ./nowhere"), "--model_name_or_path ./nowhere: there is no"),
        ("data check base".into(), "base: expected a file of rows, found a folder"),
        ("data convert base rows.jsonl".into(), "base: expected a file of rows, found a folder"),
    ] {
        world.refused(&words, &[part]);
    }
    // A plan writes nothing, and what lies in the folder of its run is no matter.
    world.ok("plan --train_file train.json --model_name_or_path base --method lora --output_dir lora --no_measure");
}

#[test]
fn an_adapter_given_as_the_base_is_recognised() {
    let world = World::new();
    world.ok(&format!("{TRAIN} --output_dir prefix --pre_seq_len 4"));
    world.ok(&format!("{TRAIN} --output_dir lora --method lora"));
    let named = world.json("lora/checkpoint-1/adapter_config.json")["base_model_name_or_path"].clone();
    let base = named.as_str().filter(|name| !name.is_empty()).unwrap_or("BASE");
    let lora = format!("give --model_name_or_path {base} --lora_checkpoint lora/checkpoint-1");
    let prefix = "give --model_name_or_path BASE --ptuning_checkpoint prefix/checkpoint-1";
    for verb in
        ["chat", "evaluate --test_file dev.json --output_dir no", "plan --train_file train.json --pre_seq_len 4"]
    {
        let said = |run: &str| format!("--model_name_or_path {run}/checkpoint-1: it holds only a");
        world.refused(
            &format!("{verb} --model_name_or_path lora/checkpoint-1"),
            &[&said("lora"), "LoRA adapter", &lora],
        );
        world.refused(&format!("{verb} --model_name_or_path prefix/checkpoint-1"), &[&said("prefix"), prefix]);
    }
    for (verb, kind) in [
        ("export --to merged --out no", "lora"),
        ("export --to merged --out no", "prefix"),
        ("verify-adapter --adapter lora/checkpoint-1 --test_file dev.json", "lora"),
    ] {
        let advice = format!(" --adapter {kind}/checkpoint-1");
        world.refused(&format!("{verb} --model_name_or_path {kind}/checkpoint-1"), &["it holds only a", &advice]);
    }
    // As peft alone writes it, trained on a model of the hub; and a name that is meant for the terminal.
    for (name, shown) in [("THUDM/chatglm2-6b", "THUDM/chatglm2-6b"), ("\u{1b}[2J", "BASE"), ("", "BASE")] {
        let config = serde_json::json!({"peft_type": "LORA", "base_model_name_or_path": name});
        let folder = world.path("peft");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
        std::fs::copy(
            world.path("lora/checkpoint-1/adapter_model.safetensors"),
            folder.join("adapter_model.safetensors"),
        )
        .unwrap();
        let lora = format!("give --model_name_or_path {shown} --lora_checkpoint peft");
        world.refused("chat --model_name_or_path peft", &[&lora]);
    }
}
