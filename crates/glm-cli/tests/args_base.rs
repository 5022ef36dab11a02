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
