//! What adapters add to a running batch; their past rows are joined once for as long as they serve.

use crate::Result;
use glm_data::Segment;
use glm_model::AdapterInputs;
use glm_model::adapter::AdapterSlots;
use std::collections::BTreeMap;
use std::ops::Range;

/// The past rows of the slots that were in use when they were last joined. Joining copies every prefix of a mixed batch,
/// so it is done again only when a slot comes in, not at every token and not when one goes out. Additions to linear
/// layers are shared, not copied; which tokens they are for is said anew at every token.
#[derive(Debug, Default)]
pub(super) struct Joined {
    inputs: AdapterInputs,
    slots: BTreeMap<usize, Range<usize>>,
}

impl Joined {
    /// What the adapters add for these segments.
    pub(super) fn past(&mut self, adapters: &AdapterSlots, segments: &[Segment]) -> Result<&AdapterInputs> {
        let known = |segment: &Segment| segment.slot.is_none_or(|slot| self.slots.contains_key(&slot));
        // What is gone must not hold its memory.
        if segments.iter().all(known) && self.slots.keys().all(|slot| adapters.contains(*slot)) {
            let range = |segment: &Segment| segment.slot.map_or(0..0, |slot| self.slots[&slot].clone());
            self.inputs.ranges = segments.iter().map(range).collect();
            self.inputs.deltas = adapters.deltas(segments)?;
        } else {
            self.inputs = adapters.inputs(segments)?;
            let placed = segments.iter().zip(&self.inputs.ranges);
            self.slots = placed.filter_map(|(segment, range)| Some((segment.slot?, range.clone()))).collect();
        }
        Ok(&self.inputs)
    }
}
