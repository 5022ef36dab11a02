//! One micro batch: loss and gradients.
//!
//! The tape is cut at every block: a block's input and past rows are leaves, and its backward pass starts from the
//! gradient of its output. Kept and recomputed blocks therefore run the same operations and give the same gradients;
//! the policy only decides whether a block's tape is held until then or made again. Below the lowest block that something
//! trainable enters there is no tape, and no backward pass.

use crate::adapter::Adapter;
use crate::error::{Result, TrainError, rows};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use glm_data::{Batch, Rng};
use glm_model::glm::{BlockInputs, Pass};
use glm_model::{Network, ops};
use std::ops::Range;

/// Gradients of all trainable tensors, in the order of [`Adapter::parameters`].
#[derive(Debug, Clone, Default)]
pub struct Gradients {
    values: Vec<Vec<f32>>,
    blocks: usize,
}

impl Gradients {
    /// Zeros for the tensors of an adapter.
    pub fn zeros(parameters: &[(String, Var)]) -> Self {
        Self { values: parameters.iter().map(|(_, var)| vec![0.0; var.elem_count()]).collect(), blocks: 0 }
    }

    /// Sets everything to 0.
    pub fn clear(&mut self) {
        self.values.iter_mut().for_each(|v| v.fill(0.0));
        self.blocks = 0;
    }

    /// Blocks that were gone through backward for these gradients, over all micro batches.
    pub fn backward_blocks(&self) -> usize {
        self.blocks
    }

    /// One slice a tensor.
    pub fn slices(&self) -> impl Iterator<Item = &[f32]> {
        self.values.iter().map(Vec::as_slice)
    }

    /// One mutable slice a tensor.
    pub fn slices_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.iter_mut().map(Vec::as_mut_slice)
    }

    fn add(&mut self, parameters: &[(String, Var)], store: &GradStore) -> Result<()> {
        for ((_, var), values) in parameters.iter().zip(&mut self.values) {
            if let Some(gradient) = store.get(var.as_tensor()) {
                ops::with_floats(gradient, |g| values.iter_mut().zip(g).for_each(|(v, g)| *v += g))?;
            }
        }
        Ok(())
    }
}

/// Mean loss over the targets of a batch, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Mean cross entropy.
    pub mean: f32,
    /// Number of targets.
    pub targets: usize,
}

/// How one micro batch is run.
#[derive(Debug, Clone, Copy)]
pub struct StepOptions {
    /// Blocks whose activations are kept; the others, from the first on, are recomputed.
    pub kept_blocks: usize,
    /// Factor on the loss before the backward pass: 1 / gradient_accumulation_steps.
    pub scale: f64,
    /// Number of the optimizer step, for error messages.
    pub step: u64,
}

/// Keys and values that the adapter puts in front of each block.
struct Past {
    /// All blocks, on the tape of the adapter.
    rows: Tensor,
    /// One leaf a block.
    leaves: Vec<Var>,
    ranges: Vec<Range<usize>>,
}

fn past(adapter: &Adapter, segments: usize, rng: &mut Rng) -> Result<Option<Past>> {
    let Adapter::Prefix { encoder, dropout } = adapter else { return Ok(None) };
    let rows = encoder.expand(segments, *dropout, rng)?;
    let detached = rows.detach();
    let leaves = (0..encoder.config().num_layers)
        .map(|i| Ok(Var::from_tensor(&encoder.layer(&detached, i)?)?))
        .collect::<Result<_>>()?;
    Ok(Some(Past { rows, leaves, ranges: (0..segments).map(|i| encoder.expanded_rows(i)).collect() }))
}

/// Adds the gradients of one micro batch to `gradients` and returns its loss.
///
/// # Errors
/// When the batch has no target, the loss is not finite (nothing is added then), or shapes do not fit.
pub fn accumulate(
    network: &Network,
    adapter: &Adapter,
    batch: &Batch,
    options: StepOptions,
    rng: &mut Rng,
    gradients: &mut Gradients,
) -> Result<Loss> {
    let parameters = adapter.parameters(network);
    let targets = targets(batch, options.step)?;
    let past = past(adapter, batch.segments.len(), rng)?;
    let deltas = match adapter {
        Adapter::Lora(adapter) => adapter.training_deltas(rng),
        Adapter::Prefix { .. } | Adapter::Full => Vec::new(),
    };
    let leaf_of = |i: usize| past.as_ref().map(|p| p.leaves[i].as_tensor());
    let pass = Pass::new(network.config(), batch, past.as_ref().map_or(&[], |p| &p.ranges));
    let blocks = network.blocks();
    // Behind the attention of the last block only the rows of targets lead to the loss.
    let inputs_of = |i: usize| BlockInputs {
        past: leaf_of(i),
        deltas: deltas.get(i),
        read: Some(&targets.positions).filter(|_| i + 1 == blocks.len()),
    };
    let first_kept = blocks.len().saturating_sub(options.kept_blocks);

    let embedded = network.embed(&batch.ids)?;
    let mut x = embedded.detach();
    // The first block that needs a backward pass: nothing trains below it.
    let mut lowest = if embedded.track_op() { 0 } else { blocks.len() };
    let mut inputs = Vec::with_capacity(blocks.len());
    let mut kept = Vec::with_capacity(blocks.len());
    for (i, block) in blocks.iter().enumerate() {
        let input = if i >= lowest { leaf(&x)? } else { x.clone() };
        let y = block.forward(&input, inputs_of(i), &pass, None)?;
        x = y.detach();
        if y.track_op() {
            lowest = lowest.min(i);
            inputs.push(input);
            kept.push((i >= first_kept).then_some(y));
        }
    }

    let top = leaf(&x)?;
    let (loss, value) = head(network, &top, batch, &targets.labels, options.step)?;
    let store = (loss * options.scale)?.backward()?;
    gradients.add(parameters, &store)?;
    let mut gradient = gradient_of(&store, &top)?;

    let mut past_gradients = Vec::with_capacity(blocks.len());
    for (i, (input, y)) in (lowest..blocks.len()).zip(inputs.into_iter().zip(kept)).rev() {
        let y = match y {
            Some(y) => y,
            None => blocks[i].forward(&input, inputs_of(i), &pass, None)?,
        };
        let store = ops::seeded(&y, &gradient)?.backward()?;
        gradients.add(parameters, &store)?;
        gradients.blocks += 1;
        if let Some(leaf) = leaf_of(i) {
            past_gradients.push(gradient_of(&store, leaf)?);
        }
        if input.is_variable() {
            gradient = gradient_of(&store, &input)?;
        }
    }
    if embedded.track_op() {
        gradients.add(parameters, &ops::seeded(&embedded, &gradient)?.backward()?)?;
    }
    if let Some(past) = past {
        past_gradients.reverse();
        let gradient = Tensor::cat(&past_gradients, 1)?;
        gradients.add(parameters, &ops::seeded(&past.rows, &gradient)?.backward()?)?;
    }
    Ok(value)
}

/// Mean loss of a batch without gradient. `None` when it has no target.
///
/// # Errors
/// When shapes do not fit.
pub fn evaluate(network: &Network, past: &glm_model::AdapterInputs, batch: &Batch) -> Result<Option<Loss>> {
    let supervised = batch.supervised();
    if supervised.is_empty() {
        return Ok(None);
    }
    let Targets { positions, labels } = Targets::new(&supervised)?;
    let hidden = network.forward_at(batch, past, Some(&positions))?;
    let losses = ops::token_losses(&network.logits(&hidden)?, &labels)?;
    let mean = losses.iter().map(|l| f64::from(*l)).sum::<f64>() / losses.len() as f64;
    Ok(Some(Loss { mean: mean as f32, targets: losses.len() }))
}

/// Where the loss is read.
struct Targets {
    /// Packed positions, `[N]`, `u32`.
    positions: Tensor,
    labels: Vec<u32>,
}

impl Targets {
    fn new(targets: &[glm_data::Target]) -> Result<Self> {
        let positions: Vec<u32> = targets.iter().map(|t| t.position).collect();
        let labels = targets.iter().map(|t| t.label).collect();
        Ok(Self { positions: Tensor::new(positions, &candle_core::Device::Cpu)?, labels })
    }
}

fn targets(batch: &Batch, step: u64) -> Result<Targets> {
    let targets = batch.supervised();
    if targets.is_empty() {
        return Err(stop(batch, step, "no position of the micro batch has a label, so its loss would be 0/0".into()));
    }
    Targets::new(&targets)
}

fn stop(batch: &Batch, step: u64, what: String) -> TrainError {
    TrainError::NonFinite { step, what, rows: rows(&batch.sources()) }
}

fn head(network: &Network, top: &Tensor, batch: &Batch, labels: &[u32], step: u64) -> Result<(Tensor, Loss)> {
    let loss = ops::cross_entropy(&network.logits(top)?, labels.to_vec())?;
    let mean = loss.to_scalar::<f32>()?;
    if !mean.is_finite() {
        return Err(stop(batch, step, format!("the loss is {mean}")));
    }
    Ok((loss, Loss { mean, targets: labels.len() }))
}

fn leaf(x: &Tensor) -> Result<Tensor> {
    Ok(Var::from_tensor(x)?.as_tensor().clone())
}

fn gradient_of(store: &GradStore, leaf: &Tensor) -> Result<Tensor> {
    let gradient =
        store.get(leaf).ok_or_else(|| candle_core::Error::Msg("a leaf of the tape got no gradient".into()))?;
    Ok(gradient.detach())
}
