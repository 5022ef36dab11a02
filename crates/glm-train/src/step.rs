//! One pass through the network: losses and gradients of one or several micro batches.
//!
//! Micro batches of the same optimizer step may go through together, since their gradients are added up anyway: weights
//! are then unpacked once for all of them. Each keeps the mean over its own targets as its loss.
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
use glm_model::Network;
use glm_model::glm::{BlockInputs, Pass};
use glm_model::ops::{self, Dropout};
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

impl Loss {
    fn of(losses: &[f32]) -> Self {
        let mean = losses.iter().map(|l| f64::from(*l)).sum::<f64>() / losses.len() as f64;
        Self { mean: mean as f32, targets: losses.len() }
    }
}

/// How a pass is run.
#[derive(Debug, Clone, Copy)]
pub struct StepOptions {
    /// Blocks whose activations are kept; the others, from the first on, are recomputed.
    pub kept_blocks: usize,
    /// Factor on the losses before the backward pass: 1 / gradient_accumulation_steps.
    pub scale: f64,
    /// Number of the optimizer step, for error messages.
    pub step: u64,
}

/// Keys and values that a prefix puts in front of each block.
struct Past {
    /// All blocks, on the tape of the prefix, `[pre_seq_len, width of all blocks]`.
    rows: Tensor,
    /// One leaf a block, `[pre_seq_len, key_value]`.
    leaves: Vec<Var>,
    /// Rows that each segment sees.
    ranges: Vec<Range<usize>>,
    /// Dropout of each block. Without it all segments see the same rows.
    dropout: Option<Vec<Dropout>>,
}

impl Past {
    fn new(adapter: &Adapter, segments: usize, rng: &mut Rng) -> Result<Option<Self>> {
        let Adapter::Prefix { encoder, dropout } = adapter else { return Ok(None) };
        let (rows, sizes) = (encoder.key_values()?, encoder.config());
        let detached = rows.detach();
        let leaf = |i: usize| Ok(Var::from_tensor(&encoder.layer(&detached, i)?)?);
        let leaves = (0..sizes.num_layers).map(leaf).collect::<Result<_>>()?;
        let own = |_| Dropout { rate: *dropout, seed: rng.next_u64() };
        let dropout = (*dropout > 0.0).then(|| (0..sizes.num_layers).map(own).collect());
        let length = sizes.pre_seq_len;
        let range = |i: usize| if dropout.is_some() { i * length..(i + 1) * length } else { 0..length };
        Ok(Some(Self { rows, leaves, ranges: (0..segments).map(range).collect(), dropout }))
    }

    /// The rows of a block, on the tape of its leaf.
    fn block(&self, i: usize) -> Result<Tensor> {
        let leaf = self.leaves[i].as_tensor();
        let Some(dropout) = &self.dropout else { return Ok(leaf.clone()) };
        let ((length, width), segments) = (leaf.dims2()?, self.ranges.len());
        let own = leaf.unsqueeze(0)?.broadcast_as((segments, length, width))?.reshape((segments * length, width))?;
        Ok(ops::dropout(&own, dropout[i])?)
    }
}

/// Adds the gradients of some micro batches, which go through the network together, to `gradients` and returns their
/// losses.
///
/// # Errors
/// When a batch has no target, a loss is not finite (nothing is added then), or shapes do not fit.
pub fn accumulate(
    network: &Network,
    adapter: &Adapter,
    batches: &[Batch],
    options: StepOptions,
    rng: &mut Rng,
    gradients: &mut Gradients,
) -> Result<Vec<Loss>> {
    let parameters = adapter.parameters(network);
    let batch = &Batch::join(batches);
    let targets = Targets::new(&batch.supervised())?;
    let counts = target_counts(batches, options.step)?;
    let past = Past::new(adapter, batch.segments.len(), rng)?;
    let deltas = match adapter {
        Adapter::Lora(adapter) => adapter.training_deltas(rng),
        Adapter::Prefix { .. } | Adapter::Full => Vec::new(),
    };
    let pass = Pass::new(network.config(), batch, past.as_ref().map_or(&[], |p| &p.ranges));
    let blocks = network.blocks();
    let forward = |i: usize, input: &Tensor| -> Result<Tensor> {
        let past = past.as_ref().map(|past| past.block(i)).transpose()?;
        // Behind the attention of the last block only the rows of targets lead to the loss.
        let read = Some(&targets.positions).filter(|_| i + 1 == blocks.len());
        let inputs = BlockInputs { past: past.as_ref(), deltas: deltas.get(i), read };
        Ok(blocks[i].forward(input, inputs, &pass, None)?)
    };
    let first_kept = blocks.len().saturating_sub(options.kept_blocks);

    let embedded = network.embed(&batch.ids)?;
    let mut x = embedded.detach();
    // The first block that needs a backward pass: nothing trains below it.
    let mut lowest = if embedded.track_op() { 0 } else { blocks.len() };
    let mut inputs = Vec::with_capacity(blocks.len());
    let mut kept = Vec::with_capacity(blocks.len());
    for i in 0..blocks.len() {
        let input = if i >= lowest { leaf(&x)? } else { x.clone() };
        let y = forward(i, &input)?;
        x = y.detach();
        if y.track_op() {
            lowest = lowest.min(i);
            inputs.push(input);
            kept.push((i >= first_kept).then_some(y));
        }
    }

    let top = leaf(&x)?;
    let factors: Vec<f32> =
        counts.iter().flat_map(|count| std::iter::repeat_n((options.scale / *count as f64) as f32, *count)).collect();
    let (loss, of_targets) = network.loss(&top, &targets.labels, &factors)?;
    let losses = means(&of_targets, &counts, batches, options.step)?;
    let store = loss.backward()?;
    gradients.add(parameters, &store)?;
    let mut gradient = gradient_of(&store, &top)?;
    drop(store);

    let mut past_gradients = Vec::with_capacity(blocks.len());
    for (i, (input, y)) in (lowest..blocks.len()).zip(inputs.into_iter().zip(kept)).rev() {
        let y = match y {
            Some(y) => y,
            None => forward(i, &input)?,
        };
        let store = ops::seeded(&y, &gradient)?.backward()?;
        gradients.add(parameters, &store)?;
        gradients.blocks += 1;
        if let Some(past) = &past {
            past_gradients.push(gradient_of(&store, past.leaves[i].as_tensor())?);
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
    Ok(losses)
}

/// Targets of each batch.
fn target_counts(batches: &[Batch], step: u64) -> Result<Vec<usize>> {
    let count = |batch: &Batch| match batch.supervised().len() {
        0 => Err(stop(batch, step, "no position of the micro batch has a label, so its loss would be 0/0".into())),
        count => Ok(count),
    };
    batches.iter().map(count).collect()
}

/// The mean loss of each batch.
fn means(losses: &[f32], counts: &[usize], batches: &[Batch], step: u64) -> Result<Vec<Loss>> {
    let mut first = 0;
    let mean = |(batch, targets): (&Batch, &usize)| {
        let own = &losses[first..first + targets];
        first += targets;
        let loss = Loss::of(own);
        if loss.mean.is_finite() { Ok(loss) } else { Err(stop(batch, step, format!("the loss is {}", loss.mean))) }
    };
    batches.iter().zip(counts).map(mean).collect()
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
    Ok(Some(Loss::of(&network.losses(&hidden, &labels)?)))
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

fn stop(batch: &Batch, step: u64, what: String) -> TrainError {
    TrainError::NonFinite { step, what, rows: rows(&batch.sources()) }
}

fn leaf(x: &Tensor) -> Result<Tensor> {
    Ok(Var::from_tensor(x)?.as_tensor().clone())
}

fn gradient_of(store: &GradStore, leaf: &Tensor) -> Result<Tensor> {
    let gradient =
        store.get(leaf).ok_or_else(|| candle_core::Error::Msg("a leaf of the tape got no gradient".into()))?;
    Ok(gradient.detach())
}
