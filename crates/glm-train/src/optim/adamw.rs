//! AdamW in the two forms that the official scripts use, with a state that can be saved and loaded exactly.

use glm_model::variant::NormKind;
use std::collections::BTreeMap;
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

/// What the moments are called, in the order in which they are written.
pub(crate) const KINDS: [&str; 2] = ["exp_avg", "exp_avg_sq"];

struct Moments {
    name: String,
    exp_avg: Vec<f32>,
    exp_avg_sq: Vec<f32>,
}

impl Moments {
    fn check(&self, place: usize, param: &ParamSlice<'_>) -> Result<(), OptimError> {
        if param.name != self.name {
            let (expected, found) = (self.name.clone(), param.name.to_owned());
            return Err(OptimError::Name { place, expected, found });
        }
        check_len(param.name, self.exp_avg.len(), param.value.len())?;
        if param.grad.len() != param.value.len() {
            check_len(&format!("gradient of {}", param.name), param.value.len(), param.grad.len())?;
        }
        Ok(())
    }
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
        let mut step = self.begin_step(lr);
        for param in params {
            step.update(param)?;
        }
        step.finish()
    }

    /// Begins a step at rate `lr` that takes the tensors one after the other, so that the caller need not hold a copy of all.
    pub fn begin_step(&mut self, lr: f64) -> Step<'_> {
        self.step += 1;
        Step { optimizer: self, lr, next: 0 }
    }

    fn check(&self, params: &[ParamSlice<'_>]) -> Result<(), OptimError> {
        if params.len() != self.moments.len() {
            return Err(OptimError::Count { expected: self.moments.len(), found: params.len() });
        }
        params
            .iter()
            .zip(&self.moments)
            .enumerate()
            .try_for_each(|(place, (param, moments))| moments.check(place, param))
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

    /// Takes over a state that [`AdamW::state`] gave, one moment after the other: `held` are the names and lengths that it
    /// has, in any order, and `read` fills a moment of that name.
    ///
    /// # Errors
    /// When a moment is missing, superfluous or of another length; nothing is changed then. And those of `read`.
    pub fn load_state<'a, E: From<OptimError>>(
        &mut self,
        step: u64,
        held: impl IntoIterator<Item = (&'a str, usize)>,
        mut read: impl FnMut(&str, &mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut held: BTreeMap<_, _> = held.into_iter().collect();
        for m in &self.moments {
            for kind in KINDS {
                let tensor = format!("{kind}.{}", m.name);
                let Some(len) = held.remove(tensor.as_str()) else { return Err(OptimError::Missing { tensor }.into()) };
                check_len(&tensor, m.exp_avg.len(), len)?;
            }
        }
        if let Some(tensor) = held.keys().next() {
            return Err(OptimError::Extra { tensor: (*tensor).to_owned() }.into());
        }
        for m in &mut self.moments {
            for (kind, values) in KINDS.into_iter().zip([&mut m.exp_avg, &mut m.exp_avg_sq]) {
                read(&format!("{kind}.{}", m.name), values)?;
            }
        }
        self.step = step;
        Ok(())
    }
}

/// A step in the making; see [`AdamW::begin_step`].
pub struct Step<'a> {
    optimizer: &'a mut AdamW,
    lr: f64,
    next: usize,
}

impl Step<'_> {
    /// Updates the next tensor in place.
    ///
    /// # Errors
    /// When it is not the next one, or of another length; it is not changed then.
    pub fn update(&mut self, param: &mut ParamSlice<'_>) -> Result<(), OptimError> {
        let AdamW { config, step, moments } = &mut *self.optimizer;
        let expected = moments.len();
        let Some(moments) = moments.get_mut(self.next) else {
            return Err(OptimError::Count { expected, found: self.next + 1 });
        };
        moments.check(self.next, param)?;
        let AdamWConfig { form, beta1, beta2, eps, weight_decay } = *config;
        let weight_decay = if param.decay { weight_decay } else { 0.0 };
        let scalars = Scalars { lr: self.lr, beta1, beta2, eps, weight_decay, step: *step };
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
        self.next += 1;
        Ok(())
    }

    /// Ends the step.
    ///
    /// # Errors
    /// When a tensor was left out.
    pub fn finish(self) -> Result<(), OptimError> {
        let (expected, found) = (self.optimizer.moments.len(), self.next);
        if expected == found { Ok(()) } else { Err(OptimError::Count { expected, found }) }
    }
}

fn check_len(tensor: &str, expected: usize, found: usize) -> Result<(), OptimError> {
    if expected == found {
        return Ok(());
    }
    Err(OptimError::Length { tensor: tensor.to_owned(), expected, found })
}
