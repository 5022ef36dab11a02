//! AdamW in the two forms that the official scripts use, with a state that can be saved and loaded exactly.

use glm_model::variant::NormKind;
use thiserror::Error;

use super::update::{self, Scalars, Slices};
use crate::{Optim, TrainConfig};

/// Why an optimizer step or a loaded state was refused.
#[derive(Debug, Error, PartialEq)]
pub enum OptimError {
    /// The parameters are not those that the optimizer was made for.
    #[error(
        "optimizer expects {expected} trainable tensors, found {found}; the adapter differs from the one at the start"
    )]
    Count {
        /// Tensors at the start.
        expected: usize,
        /// Tensors now.
        found: usize,
    },
    /// A tensor came at another tensor's place.
    #[error("optimizer expects tensor {expected} at place {place}, found {found}; keep the order of the start")]
    Name {
        /// Index in the list of parameters.
        place: usize,
        /// Name at the start.
        expected: String,
        /// Name now.
        found: String,
    },
    /// A tensor, its gradient or its moments have another length.
    #[error("{tensor}: expected {expected} elements, found {found}; this state belongs to an adapter of another size")]
    Length {
        /// Parameter, gradient or moment.
        tensor: String,
        /// Elements at the start.
        expected: usize,
        /// Elements found.
        found: usize,
    },
    /// A saved state lacks a moment.
    #[error("optimizer state lacks {tensor}; the checkpoint belongs to another adapter or optimizer")]
    Missing {
        /// Name of the moment.
        tensor: String,
    },
    /// A saved state holds something that no parameter owns.
    #[error(
        "optimizer state holds {tensor}, which no trainable tensor owns; the checkpoint belongs to another adapter"
    )]
    Extra {
        /// Name of the moment.
        tensor: String,
    },
}

/// Hyper-parameters of [`AdamW`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Which form.
    pub form: Optim,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment: before bias correction in the `hf` form, after it in torch's.
    pub eps: f64,
    /// Decoupled weight decay of the tensors that decay.
    pub weight_decay: f64,
}

impl From<&TrainConfig> for AdamWConfig {
    fn from(config: &TrainConfig) -> Self {
        Self {
            form: config.optim,
            beta1: config.adam_beta1,
            beta2: config.adam_beta2,
            eps: config.adam_epsilon,
            weight_decay: config.weight_decay,
        }
    }
}

/// One trainable tensor in one step.
#[derive(Debug)]
pub struct ParamSlice<'a> {
    /// Full name, the same in every step.
    pub name: &'a str,
    /// Elements, updated in place.
    pub value: &'a mut [f32],
    /// Gradient, after accumulation and clipping; as many elements as `value`.
    pub grad: &'a [f32],
    /// Whether weight decay applies ([`decays`]).
    pub decay: bool,
}

/// Which normalisation layers a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norms {
    /// `torch.nn.LayerNorm` (ChatGLM-6B): its weights do not decay.
    LayerNorm,
    /// RMSNorm of the model's own making (ChatGLM2, ChatGLM3): its weights decay, as transformers does not know the class.
    RmsNorm,
}

impl From<NormKind> for Norms {
    fn from(kind: NormKind) -> Self {
        match kind {
            NormKind::Layer => Self::LayerNorm,
            NormKind::Rms => Self::RmsNorm,
        }
    }
}

/// Whether transformers' Trainer applies weight decay to the tensor called `name`: not to names that contain `bias` and not
/// to LayerNorm weights.
pub fn decays(name: &str, norms: Norms) -> bool {
    match norms {
        _ if name.contains("bias") => false,
        Norms::RmsNorm => true,
        Norms::LayerNorm => !name.split('.').any(|part| part.ends_with("layernorm")),
    }
}

struct Moments {
    name: String,
    exp_avg: Vec<f32>,
    exp_avg_sq: Vec<f32>,
}

/// AdamW over a fixed list of tensors.
///
/// Follows PyTorch 2's CPU arithmetic operation by operation: equal gradients give the same moments to the bit, and
/// parameters that differ by rounding at most. The rate comes with every step, so that schedules stay outside. Parameters are updated even at rate 0 (the moments move).
pub struct AdamW {
    config: AdamWConfig,
    step: u64,
    moments: Vec<Moments>,
}

impl AdamW {
    /// An optimizer at step 0 for tensors given by name and number of elements.
    pub fn new<'a>(config: AdamWConfig, tensors: impl IntoIterator<Item = (&'a str, usize)>) -> Self {
        let moments = tensors
            .into_iter()
            .map(|(name, len)| Moments { name: name.to_owned(), exp_avg: vec![0.0; len], exp_avg_sq: vec![0.0; len] })
            .collect();
        Self { config, step: 0, moments }
    }

    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Updates all parameters in place with rate `lr`.
    ///
    /// # Errors
    /// When names, order or lengths are not those of [`AdamW::new`]; nothing is changed then.
    pub fn step(&mut self, lr: f64, params: &mut [ParamSlice<'_>]) -> Result<(), OptimError> {
        self.check(params)?;
        self.step += 1;
        let AdamWConfig { form, beta1, beta2, eps, weight_decay } = self.config;
        for (param, moments) in params.iter_mut().zip(&mut self.moments) {
            let weight_decay = if param.decay { weight_decay } else { 0.0 };
            let scalars = Scalars { lr, beta1, beta2, eps, weight_decay, step: self.step };
            let slices = Slices {
                value: &mut *param.value,
                grad: param.grad,
                exp_avg: &mut moments.exp_avg,
                exp_avg_sq: &mut moments.exp_avg_sq,
            };
            match form {
                Optim::AdamwTorch => update::torch(slices, &scalars),
                Optim::AdamwHf => update::hf(slices, &scalars),
            }
        }
        Ok(())
    }

    fn check(&self, params: &[ParamSlice<'_>]) -> Result<(), OptimError> {
        if params.len() != self.moments.len() {
            return Err(OptimError::Count { expected: self.moments.len(), found: params.len() });
        }
        for (place, (param, moments)) in params.iter().zip(&self.moments).enumerate() {
            if param.name != moments.name {
                let (expected, found) = (moments.name.clone(), param.name.to_owned());
                return Err(OptimError::Name { place, expected, found });
            }
            check_len(param.name, moments.exp_avg.len(), param.value.len())?;
            if param.grad.len() != param.value.len() {
                check_len(&format!("gradient of {}", param.name), param.value.len(), param.grad.len())?;
            }
        }
        Ok(())
    }

    /// The moments as named tensors, `exp_avg.<name>` and `exp_avg_sq.<name>`; with [`AdamW::steps_done`] the whole state.
    pub fn state(&self) -> impl Iterator<Item = (String, &[f32])> {
        self.moments.iter().flat_map(|m| {
            [
                (format!("exp_avg.{}", m.name), m.exp_avg.as_slice()),
                (format!("exp_avg_sq.{}", m.name), m.exp_avg_sq.as_slice()),
            ]
        })
    }

    /// Takes over a state that [`AdamW::state`] gave, in any order.
    ///
    /// # Errors
    /// When a moment is missing, superfluous or of another length; nothing is changed then.
    pub fn load_state<'a>(
        &mut self,
        step: u64,
        tensors: impl IntoIterator<Item = (&'a str, &'a [f32])>,
    ) -> Result<(), OptimError> {
        let mut found: std::collections::BTreeMap<_, _> = tensors.into_iter().collect();
        let mut loaded = Vec::with_capacity(self.moments.len());
        for m in &self.moments {
            let mut take = |kind: &str| {
                let tensor = format!("{kind}.{}", m.name);
                let Some(values) = found.remove(tensor.as_str()) else { return Err(OptimError::Missing { tensor }) };
                check_len(&tensor, m.exp_avg.len(), values.len())?;
                Ok(values.to_vec())
            };
            loaded.push((take("exp_avg")?, take("exp_avg_sq")?));
        }
        if let Some(tensor) = found.keys().next() {
            return Err(OptimError::Extra { tensor: (*tensor).to_owned() });
        }
        self.step = step;
        for (m, (exp_avg, exp_avg_sq)) in self.moments.iter_mut().zip(loaded) {
            (m.exp_avg, m.exp_avg_sq) = (exp_avg, exp_avg_sq);
        }
        Ok(())
    }
}

fn check_len(tensor: &str, expected: usize, found: usize) -> Result<(), OptimError> {
    if expected == found {
        return Ok(());
    }
    Err(OptimError::Length { tensor: tensor.to_owned(), expected, found })
}
