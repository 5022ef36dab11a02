//! Keys and values of finished answers, so that a conversation's unchanged beginning is not read again.

use glm_infer::Past;
use std::collections::VecDeque;

/// Fewer tokens than these are not worth a search's memory.
const LEAST: usize = 16;

/// Most pasts: each of them is looked at in every step and for every request.
const MOST: usize = 256;

/// The pasts of the last answers, least lately used first.
#[derive(Debug, Default)]
pub struct KeptPasts {
    pasts: VecDeque<Past>,
}

impl KeptPasts {
    /// Bytes that they occupy.
    pub fn bytes(&self) -> usize {
        self.pasts.iter().map(Past::bytes).sum()
    }

    /// Keeps a past. One that begins it says nothing more and goes.
    pub fn keep(&mut self, past: Past) {
        if past.len() < LEAST {
            return;
        }
        self.pasts.retain(|kept| kept.slot() != past.slot() || !past.ids().starts_with(kept.ids()));
        self.pasts.push_back(past);
        if self.pasts.len() > MOST {
            self.pasts.pop_front();
        }
    }

    /// What a row with this prompt and slot may begin with. A past that the row goes on with whole is moved: it comes back
    /// longer. Of another one the first tokens are copied.
    pub fn begin(&mut self, slot: Option<usize>, prompt: &[u32]) -> Option<Past> {
        let useful = |past: &Past| past.useful(slot, prompt);
        let best = (0..self.pasts.len()).max_by_key(|&i| useful(&self.pasts[i]))?;
        let shared = useful(&self.pasts[best]);
        if shared < LEAST {
            return None;
        }
        let past = self.pasts.remove(best)?;
        if shared == past.len() {
            return Some(past);
        }
        let beginning = past.first(shared);
        self.pasts.push_back(past);
        Some(beginning)
    }

    /// Gives up the one that was not used for longest; whether there was one.
    pub fn drop_oldest(&mut self) -> bool {
        self.pasts.pop_front().is_some()
    }

    /// Forgets those of slots for which `stays` does not hold.
    pub fn retain(&mut self, stays: impl Fn(Option<usize>) -> bool) {
        self.pasts.retain(|past| stays(past.slot()));
    }
}
