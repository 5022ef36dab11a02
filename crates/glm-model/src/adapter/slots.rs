//! Adapters in use side by side: every segment of a batch names the slot of its own, or none.

use super::lora::LoraAdapter;
use super::open::LoadedAdapter;
use super::prefix::PrefixEncoder;
use crate::glm::{AdapterInputs, BlockDeltas, Delta};
use crate::{ModelError, Result};
use candle_core::{Device, Tensor};
use glm_data::Segment;
use std::collections::BTreeSet;

/// Adapters ready for inference, one a slot.
#[derive(Debug, Clone, Default)]
pub struct AdapterSlots {
    slots: Vec<Slot>,
}

#[derive(Debug, Clone)]
enum Slot {
    /// Keys and values, `[rows, key_value]`, one tensor a block.
    Prefix(Vec<Tensor>),
    /// Additions to linear layers, one entry a block.
    Lora(Vec<BlockDeltas>),
}

impl AdapterSlots {
    /// Adds a prefix and returns its slot.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn add(&mut self, encoder: &PrefixEncoder) -> Result<usize> {
        let rows = encoder.key_values()?.detach();
        let layers = (0..encoder.config().num_layers).map(|i| encoder.layer(&rows, i)).collect::<Result<_>>()?;
        self.slots.push(Slot::Prefix(layers));
        Ok(self.slots.len() - 1)
    }

    /// Adds a LoRA adapter and returns its slot.
    pub fn add_lora(&mut self, adapter: &LoraAdapter) -> usize {
        self.slots.push(Slot::Lora(adapter.deltas()));
        self.slots.len() - 1
    }

    /// Adds any adapter and returns its slot.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn add_loaded(&mut self, adapter: &LoadedAdapter) -> Result<usize> {
        match adapter {
            LoadedAdapter::Prefix(encoder) => self.add(encoder),
            LoadedAdapter::Lora(adapter) => Ok(self.add_lora(adapter)),
        }
    }

    /// Number of slots in use.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no slot is in use.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn past(&self, slot: usize) -> &[Tensor] {
        match self.slots.get(slot) {
            Some(Slot::Prefix(layers)) => layers,
            Some(Slot::Lora(_)) | None => &[],
        }
    }

    /// Number of past rows of a slot; 0 when its adapter has none.
    pub fn rows(&self, slot: usize) -> usize {
        self.past(slot).first().map_or(0, |layer| layer.dims()[0])
    }

    /// The slots that the segments name, sorted.
    fn used(&self, segments: &[Segment]) -> Result<BTreeSet<usize>> {
        let used: BTreeSet<usize> = segments.iter().filter_map(|s| s.slot).collect();
        match used.last() {
            Some(slot) if *slot >= self.slots.len() => {
                Err(ModelError::Setting(format!("adapter slot {slot} is empty; {} are in use", self.slots.len())))
            }
            _ => Ok(used),
        }
    }

    /// What the adapters add to a batch whose segments may use different slots or none.
    ///
    /// # Errors
    /// When a segment names a slot that does not exist.
    pub fn inputs(&self, segments: &[Segment]) -> Result<AdapterInputs> {
        let used = self.used(segments)?;
        let mut offsets = vec![0; self.slots.len()];
        let mut rows = 0;
        for &slot in &used {
            offsets[slot] = rows;
            rows += self.rows(slot);
        }
        let with_rows: Vec<&[Tensor]> = used.iter().map(|s| self.past(*s)).filter(|past| !past.is_empty()).collect();
        let past = match with_rows.as_slice() {
            [] => Vec::new(),
            [past] => past.to_vec(),
            many => (0..many[0].len())
                .map(|i| Ok(Tensor::cat(&many.iter().map(|past| &past[i]).collect::<Vec<_>>(), 0)?))
                .collect::<Result<_>>()?,
        };
        let range = |slot: Option<usize>| slot.map_or(0..0, |s| offsets[s]..offsets[s] + self.rows(s));
        let ranges = segments.iter().map(|s| range(s.slot)).collect();
        Ok(AdapterInputs { past, ranges, deltas: self.deltas(segments)? })
    }

    /// The additions to linear layers alone: cheap, for they are shared and only their tokens differ from batch to batch.
    ///
    /// # Errors
    /// When a segment names a slot that does not exist.
    pub fn deltas(&self, segments: &[Segment]) -> Result<Vec<BlockDeltas>> {
        let mut blocks = Vec::new();
        for slot in self.used(segments)? {
            let Slot::Lora(layers) = &self.slots[slot] else { continue };
            let mine = |segment: &&Segment| segment.slot == Some(slot);
            let rows = if segments.iter().all(|segment| mine(&segment)) {
                None
            } else {
                let tokens = segments.iter().filter(mine).flat_map(|s| s.start as u32..(s.start + s.len) as u32);
                Some(Tensor::new(tokens.collect::<Vec<u32>>(), &Device::Cpu)?)
            };
            blocks.resize_with(layers.len().max(blocks.len()), BlockDeltas::default);
            for (block, sites) in blocks.iter_mut().zip(layers) {
                for (all, own) in block.iter_mut().zip(sites) {
                    all.extend(own.iter().map(|delta| Delta { rows: rows.clone(), ..delta.clone() }));
                }
            }
        }
        Ok(blocks)
    }
}
