//! Adapters in use side by side: every segment of a batch names the slot of its own, or none.

use super::lora::LoraAdapter;
use super::open::LoadedAdapter;
use super::prefix::PrefixEncoder;
use crate::glm::{AdapterInputs, BlockDeltas, Delta};
use crate::{ModelError, Result};
use candle_core::{Device, Tensor};
use glm_data::Segment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

/// Adapters ready for inference, one a slot. They may come and go while others are used.
#[derive(Debug, Default)]
pub struct AdapterSlots {
    /// `None`: it is gone. Numbers are not given again.
    slots: RwLock<Vec<Option<Arc<Slot>>>>,
}

#[derive(Debug)]
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
    pub fn add(&self, encoder: &PrefixEncoder) -> Result<usize> {
        let rows = encoder.key_values()?.detach();
        let layers = (0..encoder.config().num_layers).map(|i| encoder.layer(&rows, i)).collect::<Result<_>>()?;
        Ok(self.push(Slot::Prefix(layers)))
    }

    /// Adds a LoRA adapter and returns its slot.
    pub fn add_lora(&self, adapter: &LoraAdapter) -> usize {
        self.push(Slot::Lora(adapter.deltas()))
    }

    /// Adds any adapter and returns its slot.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn add_loaded(&self, adapter: &LoadedAdapter) -> Result<usize> {
        match adapter {
            LoadedAdapter::Prefix(encoder) => self.add(encoder),
            LoadedAdapter::Lora(adapter) => Ok(self.add_lora(adapter)),
        }
    }

    fn push(&self, slot: Slot) -> usize {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.push(Some(Arc::new(slot)));
        slots.len() - 1
    }

    /// Empties a slot. A batch that still names it fails.
    pub fn remove(&self, slot: usize) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get_mut(slot) {
            *slot = None;
        }
    }

    fn get(&self, slot: usize) -> Option<Arc<Slot>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).get(slot).cloned().flatten()
    }

    /// Whether a slot is in use.
    pub fn contains(&self, slot: usize) -> bool {
        self.get(slot).is_some()
    }

    /// Number of slots in use.
    pub fn len(&self) -> usize {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).iter().flatten().count()
    }

    /// Whether no slot is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of past rows of a slot; 0 when its adapter has none.
    pub fn rows(&self, slot: usize) -> usize {
        self.get(slot).map_or(0, |slot| slot.rows())
    }

    /// The slots that the segments name, sorted.
    fn used(&self, segments: &[Segment]) -> Result<Vec<(usize, Arc<Slot>)>> {
        let used: BTreeSet<usize> = segments.iter().filter_map(|s| s.slot).collect();
        let filled = |slot: usize| match self.get(slot) {
            Some(filled) => Ok((slot, filled)),
            None => Err(ModelError::Setting(format!("adapter slot {slot} is empty; {} are in use", self.len()))),
        };
        used.into_iter().map(filled).collect()
    }

    /// What the adapters add to a batch whose segments may use different slots or none.
    ///
    /// # Errors
    /// When a segment names a slot that does not exist.
    pub fn inputs(&self, segments: &[Segment]) -> Result<AdapterInputs> {
        let used = self.used(segments)?;
        let mut places = BTreeMap::new();
        let mut rows = 0;
        for (slot, filled) in &used {
            places.insert(*slot, rows..rows + filled.rows());
            rows += filled.rows();
        }
        let with_rows: Vec<&[Tensor]> = used.iter().map(|(_, s)| s.past()).filter(|past| !past.is_empty()).collect();
        let past = match with_rows.as_slice() {
            [] => Vec::new(),
            [past] => past.to_vec(),
            many => (0..many[0].len())
                .map(|i| Ok(Tensor::cat(&many.iter().map(|past| &past[i]).collect::<Vec<_>>(), 0)?))
                .collect::<Result<_>>()?,
        };
        let range = |slot: Option<usize>| slot.and_then(|slot| places.get(&slot).cloned()).unwrap_or(0..0);
        let ranges = segments.iter().map(|s| range(s.slot)).collect();
        Ok(AdapterInputs { past, ranges, deltas: self.deltas(segments)? })
    }

    /// The additions to linear layers alone: cheap, for they are shared and only their tokens differ from batch to batch.
    ///
    /// # Errors
    /// When a segment names a slot that does not exist.
    pub fn deltas(&self, segments: &[Segment]) -> Result<Vec<BlockDeltas>> {
        let mut blocks = Vec::new();
        for (slot, filled) in self.used(segments)? {
            let Slot::Lora(layers) = &*filled else { continue };
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

impl Slot {
    fn past(&self) -> &[Tensor] {
        match self {
            Self::Prefix(layers) => layers,
            Self::Lora(_) => &[],
        }
    }

    fn rows(&self) -> usize {
        self.past().first().map_or(0, |layer| layer.dims()[0])
    }
}
