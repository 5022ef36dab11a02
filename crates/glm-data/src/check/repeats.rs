//! Rows that ask the same, with the same answer (duplicates) or with different ones (contradictions).

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::report::{Listing, Repeat};
use crate::format::{Conversation, Said};

/// Enough of a SHA-256 that no two texts of a data set share it.
type Key = [u8; 16];

/// Every prompt that was seen: only hashes and lines, so that large files can be checked.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    seen: HashMap<Key, Vec<(Key, usize)>>,
}

impl Repeats {
    /// Takes the last answer of a dialogue and all before it.
    pub(super) fn add(&mut self, conversation: &Conversation, line: usize) {
        let Some(last) = conversation.answers().next_back() else { return };
        let (prompt, answer) = (key(&conversation.messages[..last]), key(&conversation.messages[last..=last]));
        self.seen.entry(prompt).or_default().push((answer, line));
    }

    /// Duplicates and contradictions, in the order of their first lines.
    pub(super) fn finish(self, listed: usize) -> (Listing<Repeat>, Listing<Repeat>) {
        let (mut duplicates, mut contradictions) = (Vec::new(), Vec::new());
        for mut answers in self.seen.into_values().filter(|answers| answers.len() > 1) {
            answers.sort_by_key(|&(_, line)| line);
            let mut by_answer: HashMap<Key, Vec<usize>> = HashMap::new();
            for (answer, line) in &answers {
                by_answer.entry(*answer).or_default().push(*line);
            }
            if by_answer.len() > 1 {
                contradictions.push(Repeat { lines: answers.iter().map(|&(_, line)| line).collect() });
            }
            duplicates.extend(by_answer.into_values().filter(|lines| lines.len() > 1).map(|lines| Repeat { lines }));
        }
        let listing = |mut repeats: Vec<Repeat>| {
            repeats.sort_by(|a, b| a.lines.cmp(&b.lines));
            let mut listing = Listing::new(listed);
            repeats.into_iter().for_each(|repeat| listing.push(repeat));
            listing
        };
        (listing(duplicates), listing(contradictions))
    }
}

fn key(messages: &[Said]) -> Key {
    let mut hash = Sha256::new();
    for said in messages {
        for part in [said.role.name(), &said.metadata, &said.content] {
            // The length keeps texts apart that are the same only when joined.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    let mut key = Key::default();
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}
