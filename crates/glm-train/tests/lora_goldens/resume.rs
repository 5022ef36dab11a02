//! Runs that go on from a checkpoint.

use crate::support::{AS_STORED, FOLDERS, network, rows};
use glm_data::Rng;
use glm_model::adapter::{LoraAdapter, LoraConfig, Site, write_lora};
use glm_testkit::Golden;
use glm_train::{Adapter, Checkpointing, IntervalStrategy, TrainConfig, TrainError, Trainer};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_bits_and_only_with_the_same_settings() {
    for folder in FOLDERS {
        let network = network(&format!("{folder}/model"), AS_STORED);
        let golden = Golden::open(&format!("{folder}/lora/qkv.safetensors"));
        let rows = rows(network.config().variant, &golden, "batch");
        let settings =
            LoraConfig { rank: 2, dropout: 0.2, targets: BTreeSet::from(Site::ALL), ..LoraConfig::default() };
        let config = TrainConfig {
            per_device_train_batch_size: 2,
            gradient_accumulation_steps: 2,
            learning_rate: 1e-2,
            max_steps: Some(4),
            logging_steps: 1,
            evaluation_strategy: IntervalStrategy::Steps,
            save_steps: 2,
            checkpointing: Checkpointing::Auto,
            ..TrainConfig::default()
        };
        let run = |out: &Path, settings: &LoraConfig, resume: Option<&Path>| {
            let lora = LoraAdapter::new(settings.clone(), network.config(), &mut Rng::new(4)).unwrap();
            let adapter = Adapter::Lora(lora);
            let Adapter::Lora(lora) = &adapter else { unreachable!() };
            let base = network.config();
            let save = |folder: &Path| Ok(write_lora(folder, lora, base, "base", &BTreeMap::new())?);
            let trainer = Trainer {
                network: &network,
                adapter: &adapter,
                config: &config,
                rows: &rows,
                eval_rows: &rows,
                output_dir: out,
                tensorboard: None,
                save_adapter: &save,
            };
            let outcome = trainer.run(resume, &AtomicBool::new(false), &mut ())?;
            Ok::<_, TrainError>(std::fs::read(outcome.checkpoint.join("adapter_model.safetensors")).unwrap())
        };
        let (whole, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let expected = run(whole.path(), &settings, None).unwrap();
        let half = whole.path().join("checkpoint-2");
        assert_eq!(run(again.path(), &settings, Some(&half)).unwrap(), expected, "{folder}");
        for (other, named) in [
            (LoraConfig { rank: 3, ..settings.clone() }, "--lora_rank was 2 and is 3"),
            (LoraConfig { alpha: 16.0, ..settings.clone() }, "--lora_alpha"),
            (LoraConfig { dropout: 0.0, ..settings.clone() }, "--lora_dropout"),
            (LoraConfig { use_rslora: true, ..settings.clone() }, "--use_rslora"),
            (LoraConfig { targets: BTreeSet::from([Site::Dense]), ..settings.clone() }, "--lora_target"),
            (LoraConfig { layers: Some(BTreeSet::from([0])), ..settings.clone() }, "blocks with LoRA"),
        ] {
            let error = run(again.path(), &other, Some(&half)).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
