//! What a run must have in common with the checkpoint that it goes on from.

use super::Trainer;
use crate::adapter::Adapter;
use glm_model::adapter::LoraAdapter;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const WEIGHTS: &str = "the weights that train";

/// A way to train.
struct Method {
    name: &'static str,
    /// Names in an identity, of which the first is no other method's.
    settings: &'static [&'static str],
}

const METHODS: [Method; 3] = [
    Method { name: "P-Tuning v2", settings: &["--pre_seq_len", "--prefix_projection"] },
    Method { name: "LoRA", settings: &["--lora_rank", "--lora_target"] },
    Method { name: "the base's own weights", settings: &[WEIGHTS] },
];

/// What must be the same when a run goes on: otherwise its order of rows, its arithmetic or its meaning would change.
/// The length of the run, and when it logs, evaluates and saves, may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Hash of the tokens and labels of all training rows, in order.
    rows_hash: String,
    /// Everything else: what it is called, and its value.
    settings: BTreeMap<String, String>,
}

impl Identity {
    /// The identity of a run.
    pub fn new(trainer: &Trainer<'_>) -> Self {
        let c = trainer.config;
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut eat = |value: u64| hash = (hash ^ value).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        for row in trainer.rows {
            eat(row.ids.len() as u64);
            row.ids.iter().for_each(|id| eat(u64::from(*id)));
            row.labels.iter().for_each(|label| eat(*label as u64));
        }
        let (dropout, own) = match trainer.adapter {
            Adapter::Prefix { encoder, dropout } => {
                let sizes = encoder.config();
                let own = vec![
                    ("--pre_seq_len", sizes.pre_seq_len.to_string()),
                    ("--prefix_projection", sizes.prefix_projection.to_string()),
                ];
                (*dropout, own)
            }
            Adapter::Lora(adapter) => (0.0, lora_settings(adapter)),
            Adapter::Full => (0.0, vec![(WEIGHTS, trainer.network.trains().to_string())]),
        };
        let settings = [
            ("the base's fingerprint", trainer.network.fingerprint().to_owned()),
            ("the form of the base's weights", trainer.network.held_as()),
            ("--compute", format!("{:?}", trainer.network.compute()).to_lowercase()),
            ("the number of training rows", trainer.rows.len().to_string()),
            ("--per_device_train_batch_size", c.per_device_train_batch_size.to_string()),
            ("--gradient_accumulation_steps", c.gradient_accumulation_steps.to_string()),
            ("--seed", c.seed.to_string()),
            ("--data_seed", c.data_seed.map_or("that of --seed".into(), |seed| seed.to_string())),
            ("--learning_rate", c.learning_rate.to_string()),
            ("--lr_scheduler_type", format!("{:?}", c.lr_scheduler_type)),
            ("--warmup_steps", c.warmup_steps.to_string()),
            ("--warmup_ratio", c.warmup_ratio.to_string()),
            ("--optim", format!("{:?}", c.optim)),
            ("--weight_decay", c.weight_decay.to_string()),
            ("--adam_beta1", c.adam_beta1.to_string()),
            ("--adam_beta2", c.adam_beta2.to_string()),
            ("--adam_epsilon", c.adam_epsilon.to_string()),
            ("--max_grad_norm", c.max_grad_norm.to_string()),
            ("--prefix_dropout", dropout.to_string()),
        ];
        let settings = settings.into_iter().chain(own).map(|(name, value)| (name.to_owned(), value)).collect();
        Self { rows_hash: format!("{hash:016x}"), settings }
    }

    /// Why a run that is `other` cannot go on from a checkpoint of this one, and what to do.
    pub fn refusal(&self, other: &Self) -> Option<String> {
        let advice = "Resume with what the run began with, or start a new run in another --output_dir";
        let difference = || Some(format!("cannot go on from here: {}. {advice}", self.difference(other)?));
        self.other_method(other).or_else(difference)
    }

    /// [`Identity::refusal`] of a run that is `other` when that trains by another method.
    pub fn other_method(&self, other: &Self) -> Option<String> {
        let (held, asked) = (self.method()?, other.method()?);
        let own = |of: &Self, method: &Method| {
            let settings =
                method.settings.iter().filter_map(|name| Some(format!("{name} {}", of.settings.get(*name)?)));
            settings.collect::<Vec<_>>().join(", ")
        };
        (held.name != asked.name).then(|| {
            format!(
                "it holds a run of {} ({}), and the flags ask for {} ({}). To go on with it, give the flags that it began \
                 with; to train {}, start a new run in another --output_dir",
                held.name,
                own(self, held),
                asked.name,
                own(other, asked),
                asked.name
            )
        })
    }

    /// What trains, by the settings that only it has.
    fn method(&self) -> Option<&'static Method> {
        METHODS.iter().find(|method| self.settings.contains_key(method.settings[0]))
    }

    fn difference(&self, other: &Self) -> Option<String> {
        for (name, now) in &other.settings {
            match self.settings.get(name) {
                Some(before) if before == now => {}
                before => return Some(format!("{name} was {} and is {now} now", before.map_or("not known", |b| b))),
            }
        }
        if let Some((name, before)) = self.settings.iter().find(|(name, _)| !other.settings.contains_key(*name)) {
            return Some(format!("{name} was {before} and is not set now"));
        }
        (self.rows_hash != other.rows_hash)
            .then(|| "the training rows, their lengths or their columns have changed".to_owned())
    }
}

/// All that decides what a LoRA adapter computes and how it is trained.
fn lora_settings(adapter: &LoraAdapter) -> Vec<(&'static str, String)> {
    let config = adapter.config();
    let targets: Vec<&str> = config.targets.iter().map(|site| site.name()).collect();
    let layers = config.layers.as_ref().map_or("all".into(), |layers| format!("{layers:?}"));
    vec![
        ("--lora_rank", config.rank.to_string()),
        ("--lora_alpha", config.alpha.to_string()),
        ("--lora_dropout", config.dropout.to_string()),
        ("--use_rslora", config.use_rslora.to_string()),
        ("--lora_target", targets.join(",")),
        ("the blocks with LoRA", layers),
    ]
}
