//! What `train` trains: told from the flags, with contradictions refused.

use super::adapter::{AdapterConfig, check_prefix, prefix_asked};
use super::origin::Origin;
use super::peers;
use crate::args::sources::Given;
use crate::args::types::{BaseDtype, Method};
use crate::args::usage::{Remark, UsageError, refuse};
use crate::args::value::FlagValue;
use crate::args::verbs::TrainKeys;

const LORA_KEYS: [&str; 6] =
    ["lora_checkpoint", "lora_rank", "lora_alpha", "lora_dropout", "lora_target", "use_rslora"];

/// What a run of `train` trains or uses; `None`: the bare base.
///
/// # Errors
/// Names the keys that contradict one another, or that are missing.
pub fn resolve(
    given: &Given<TrainKeys>,
    do_train: bool,
    remarks: &mut Vec<Remark>,
) -> Result<Option<AdapterConfig>, UsageError> {
    let keys = &given.keys;
    let (model, own) = (&keys.model, &keys.method);
    let files = keys.adapter.files(model.ptuning_checkpoint.as_deref());
    check_prefix(given, model)?;
    files.only_one(given)?;
    let prefix = prefix_asked(given, model);
    let asked = |name: &&str| given.has(name) && (*name != "use_rslora" || own.use_rslora);
    let lora = LORA_KEYS.into_iter().find(asked);
    let method = method(given, do_train, prefix, lora, remarks)?;
    if given.has("num_layer_trainable") && method != Some(Method::Freeze) {
        refuse!("{} needs --method freeze", given.place("num_layer_trainable"));
    }
    let init_from = files.named().map(|(key, path)| Origin::new(path, given.place(key)));
    let fresh = init_from.is_none();
    if !do_train && fresh && matches!(method, Some(Method::Ptuning | Method::Lora)) {
        let (key, kind, flag) = match method {
            Some(Method::Lora) => (lora, "LoRA", "--lora_checkpoint"),
            _ => (prefix, "prefix", "--ptuning_checkpoint"),
        };
        let place = given.place(key.unwrap_or("method"));
        if keys.task.do_train {
            refuse!(
                "{} 0 trains nothing, and {place} without {flag} would use an untrained, random {kind}: give more than 0, or \
                 the checkpoint of a trained {kind} as {flag}",
                given.place("num_train_epochs")
            );
        }
        refuse!(
            "{place} without {flag} would use an untrained, random {kind}: give the checkpoint, or leave it out to use the \
             bare base"
        );
    }
    Ok(match (method, init_from) {
        (Some(Method::Ptuning), init_from) => {
            if fresh && model.pre_seq_len.is_none() {
                refuse!("{} needs --pre_seq_len: 128 is usual", given.place(prefix.unwrap_or("method")));
            }
            Some(AdapterConfig::Ptuning {
                init_from,
                pre_seq_len: model.pre_seq_len,
                prefix_projection: (fresh || given.has("prefix_projection")).then_some(model.prefix_projection),
                dropout: keys.our_training.prefix_dropout,
            })
        }
        (Some(Method::Lora), init_from) => {
            check_lora(given)?;
            let told = |name: &str| fresh || given.has(name);
            Some(AdapterConfig::Lora {
                init_from,
                rank: told("lora_rank").then_some(own.lora_rank),
                alpha: told("lora_alpha").then_some(own.lora_alpha),
                dropout: told("lora_dropout").then_some(own.lora_dropout),
                target: told("lora_target").then(|| own.lora_target.clone()),
                use_rslora: told("use_rslora").then_some(own.use_rslora),
            })
        }
        (Some(Method::Full | Method::Freeze), _) if !do_train => None,
        (Some(Method::Full), _) => {
            check_full(given)?;
            Some(AdapterConfig::Full)
        }
        (Some(Method::Freeze), _) => {
            check_full(given)?;
            if own.num_layer_trainable == 0 {
                refuse!("{}: expected 1 or more, found 0", given.place("num_layer_trainable"));
            }
            Some(AdapterConfig::Freeze { num_layer_trainable: own.num_layer_trainable })
        }
        (Some(Method::None) | None, Some(init_from)) => {
            Some(AdapterConfig::FromFile { init_from, prefix_dropout: keys.our_training.prefix_dropout })
        }
        (Some(Method::None) | None, None) => None,
    })
}

/// The method, named or told from the other keys; `None` when files or nothing decide.
fn method(
    given: &Given<TrainKeys>,
    do_train: bool,
    prefix: Option<&'static str>,
    lora: Option<&'static str>,
    remarks: &mut Vec<Remark>,
) -> Result<Option<Method>, UsageError> {
    if let (Some(prefix), Some(lora)) = (prefix, lora) {
        refuse!(
            "{} and {} contradict each other: the one asks for a prefix, the other for LoRA; one adapter is trained at a \
             time, so leave one out",
            given.place(prefix),
            given.place(lora)
        );
    }
    let Some(named) = given.keys.method.method else {
        return Ok(match (prefix, lora) {
            (Some(_), _) => Some(Method::Ptuning),
            (_, Some(_)) => Some(Method::Lora),
            _ if given.has("init_from") => None,
            _ if do_train => Some(peers::method_without_keys(given, remarks)),
            _ => None,
        });
    };
    let other = match named {
        Method::Ptuning => lora,
        Method::Lora => prefix,
        Method::None if do_train => {
            refuse!(
                "{} none trains nothing: leave out --do_train, or choose ptuning, lora, full or freeze",
                given.place("method")
            )
        }
        Method::Full | Method::Freeze | Method::None => {
            prefix.or(lora).or_else(|| given.has("init_from").then_some("init_from"))
        }
    };
    match other {
        Some(other) => {
            refuse!(
                "{} {} and {} contradict each other: leave one of them out",
                given.place("method"),
                named.show(),
                given.place(other)
            )
        }
        None => Ok(Some(named)),
    }
}

fn check_lora(given: &Given<TrainKeys>) -> Result<(), UsageError> {
    let own = &given.keys.method;
    if own.lora_rank == 0 {
        refuse!("{}: expected 1 or more, found 0", given.place("lora_rank"));
    }
    if own.lora_alpha <= 0.0 {
        refuse!("{}: expected more than 0, found {}", given.place("lora_alpha"), own.lora_alpha);
    }
    if !(0.0..1.0).contains(&own.lora_dropout) {
        refuse!("{}: expected 0 or more and below 1, found {}", given.place("lora_dropout"), own.lora_dropout);
    }
    Ok(())
}

/// Weights that train are not quantized, and kept in f32 even where they are used in bf16.
fn check_full(given: &Given<TrainKeys>) -> Result<(), UsageError> {
    if let Some(key) = ["quantization_bit", "quantization_group", "int8"].into_iter().find(|key| given.has(key))
        && (given.keys.model.quantization_bit.is_some() || given.keys.chatglm_tuning.int8)
    {
        let how = match given.keys.method.method {
            Some(_) => format!("{} asks for it", given.place("method")),
            None => {
                "without --pre_seq_len, --method or a --lora_ key all weights train, as in the official script".into()
            }
        };
        refuse!(
            "{}: weights that train cannot be held in INT4 or INT8 ({how}). Leave it out, or train an adapter over the \
             quantized base: --pre_seq_len 128 for a prefix, --method lora for LoRA",
            given.place(key)
        );
    }
    if given.keys.base.output_layer_bit.is_some() {
        refuse!(
            "{}: all weights train, the output layer too, so it cannot be quantized",
            given.place("output_layer_bit")
        );
    }
    match given.keys.base.base_dtype {
        BaseDtype::Auto | BaseDtype::F32 | BaseDtype::Bf16 => Ok(()),
        BaseDtype::F16 => refuse!(
            "{} f16: weights that train are held in f32, as officially; 16-bit floats would lose small updates. Give f32, \
             or bf16 for weights in bf16 with masters in f32",
            given.place("base_dtype")
        ),
    }
}
