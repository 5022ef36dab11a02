//! Random damage to a small valid file: the loader may find nothing wrong, or say what is; it may not panic, hang or fill
//! the memory.

use crate::support::{FORMATS, load, small_base, with_pickle, with_weights};
use glm_model::weights::FileFormat;
use proptest::prelude::*;
use std::fs;
use std::ops::Range;

/// One way to damage bytes.
#[derive(Debug, Clone)]
enum Damage {
    /// Another byte.
    Set(prop::sample::Index, u8),
    /// One bit the other way round.
    Flip(prop::sample::Index, u8),
    /// A run left out.
    Remove(prop::sample::Index, usize),
    /// A run put in.
    Insert(prop::sample::Index, Vec<u8>),
    /// A run that is there again elsewhere.
    Copy(prop::sample::Index, prop::sample::Index, usize),
    /// Everything after a place left out.
    Cut(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    use Damage::{Copy, Cut, Flip, Insert, Remove, Set};
    let index = any::<prop::sample::Index>;
    // Mostly small changes: they come past the first checks.
    prop_oneof![
        4 => (index(), any::<u8>()).prop_map(|(i, b)| Set(i, b)),
        4 => (index(), 0..8u8).prop_map(|(i, bit)| Flip(i, bit)),
        1 => (index(), 1..40usize).prop_map(|(i, n)| Remove(i, n)),
        1 => (index(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(i, bytes)| Insert(i, bytes)),
        1 => (index(), index(), 1..200usize).prop_map(|(i, j, n)| Copy(i, j, n)),
        1 => index().prop_map(Cut),
    ]
}

impl Damage {
    /// `place` narrows where the damage goes: headers are a small part of a file, and where most can go wrong.
    fn apply(&self, bytes: &mut Vec<u8>, place: Range<usize>) {
        let place = place.start.min(bytes.len() - 1)..place.end.min(bytes.len());
        let at = |i: &prop::sample::Index| place.start + i.index(place.len().max(1));
        match self {
            Self::Set(i, b) => bytes[at(i)] = *b,
            Self::Flip(i, bit) => bytes[at(i)] ^= 1 << bit,
            Self::Remove(i, n) => drop(bytes.drain(at(i)..(at(i) + n).min(bytes.len()))),
            Self::Insert(i, new) => drop(bytes.splice(at(i)..at(i), new.iter().copied())),
            Self::Copy(i, j, n) => {
                let part = bytes[at(i)..(at(i) + n).min(bytes.len())].to_vec();
                bytes.splice(at(j)..at(j), part);
            }
            Self::Cut(i) => bytes.truncate(at(i).max(1)),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

/// Most memory that was ever resident, in MiB; `None` where the system does not say.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

fn survives(file: usize, part: usize, damages: &[Damage]) {
    let (format, name) = FORMATS[file];
    let base = small_base(format, u64::MAX);
    let mut bytes = fs::read(base.path().join(name)).unwrap();
    let (length, head) = (bytes.len(), 6000);
    let damaged = |mut bytes: Vec<u8>, place: Range<usize>| {
        damages.iter().for_each(|damage| damage.apply(&mut bytes, place.clone()));
        bytes
    };
    bytes = match part {
        0 => damaged(bytes, 0..head),
        1 => damaged(bytes, length - head..length),
        2 => damaged(bytes, 0..length),
        // With the checksum of the damaged pickle, so that it is read at all.
        _ if format == FileFormat::Torch => with_pickle(&bytes, |pickle| damaged(pickle, 0..usize::MAX)),
        _ => damaged(bytes, 0..200),
    };
    let folder = with_weights(base.path(), name, &bytes);
    if let Err(error) = load(folder.path()) {
        assert!(error.contains(&folder.path().display().to_string()), "no file is named: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_refused_or_read(
        file in 0..2usize,
        part in 0..4usize,
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        survives(file, part, &damages);
        if let Some(peak) = peak_memory() {
            prop_assert!(peak < 512, "{peak} MiB for a file of 30 kB");
        }
    }
}
