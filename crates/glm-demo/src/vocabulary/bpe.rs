//! Byte-pair encoding over characters, with the word rules of SentencePiece's trainer.

use std::collections::{BTreeMap, HashMap};

use super::VocabularyError;

/// Blank as SentencePiece writes it; it also stands before every text.
const BLANK: char = '\u{2581}';
/// `<unk>`, `<s>`, `</s>` and the 256 bytes.
pub(super) const FIXED_PIECES: usize = 259;

/// The learnt pieces, best first.
#[derive(Debug)]
pub(super) struct Pieces {
    /// In the order of their merges.
    pub merged: Vec<String>,
    /// Single characters, the most frequent first.
    pub characters: Vec<char>,
}

/// What a character may be joined with. A piece never spans two classes, and digits and line ends stand alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Han,
    Latin,
    Digit,
    Other,
}

fn class(c: char) -> Class {
    match c {
        '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}' => Class::Han,
        _ if c.is_ascii_digit() => Class::Digit,
        _ if c.is_alphabetic() => Class::Latin,
        _ => Class::Other,
    }
}

/// One distinct word: its symbols (indices of the symbol table) and how often it occurs.
struct Word {
    symbols: Vec<usize>,
    count: u64,
}

/// Learns `vocab_size - FIXED_PIECES` pieces of at most `max_chars` characters.
pub(super) fn learn(texts: &[String], vocab_size: usize, max_chars: usize) -> Result<Pieces, VocabularyError> {
    let counts = count_words(texts);
    let characters = by_frequency(&counts);
    let needed = FIXED_PIECES + characters.len();
    if vocab_size < needed {
        return Err(VocabularyError::TooSmall { wanted: vocab_size, needed });
    }

    let mut table = Symbols::default();
    let mut words: Vec<Word> = counts
        .iter()
        .map(|(word, &count)| {
            let symbols = word.chars().map(|c| table.intern(c.to_string())).collect();
            Word { symbols, count }
        })
        .collect();

    let mut merged = Vec::new();
    while merged.len() < vocab_size - needed {
        let Some(best) = most_frequent_pair(&words, &mut table, max_chars) else {
            return Err(VocabularyError::TooLarge { wanted: vocab_size, available: needed + merged.len() });
        };
        for word in &mut words {
            merge(&mut word.symbols, best, &mut table);
        }
        merged.push(table.names[best].clone());
    }
    Ok(Pieces { merged, characters })
}

/// Splits the texts into words: at line ends, before blanks, and wherever the class of characters changes.
fn count_words(texts: &[String]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in texts.iter().flat_map(|text| text.split(['\n', '\r'])).filter(|line| !line.is_empty()) {
        let mut word = String::from(BLANK);
        let mut last: Option<Class> = None;
        for c in line.chars().map(|c| if c == ' ' { BLANK } else { c }) {
            let now = (c != BLANK).then(|| class(c));
            let joins = match (last, now) {
                (_, None) => false,
                // The blank before a word belongs to it, except before a digit.
                (None, Some(class)) => class != Class::Digit,
                (Some(before), Some(class)) => before == class && class != Class::Digit,
            };
            if !joins {
                *counts.entry(std::mem::take(&mut word)).or_default() += 1;
            }
            word.push(c);
            last = now;
        }
        *counts.entry(word).or_default() += 1;
    }
    counts
}

fn by_frequency(counts: &BTreeMap<String, u64>) -> Vec<char> {
    let mut frequency: BTreeMap<char, u64> = BTreeMap::new();
    for (word, count) in counts {
        for c in word.chars() {
            *frequency.entry(c).or_default() += count;
        }
    }
    let mut characters: Vec<(char, u64)> = frequency.into_iter().collect();
    characters.sort_by_key(|&(c, count)| (std::cmp::Reverse(count), c));
    characters.into_iter().map(|(c, _)| c).collect()
}

/// The strings behind symbols, and the symbol that two symbols make together.
#[derive(Default)]
struct Symbols {
    names: Vec<String>,
    ids: HashMap<String, usize>,
    joined: HashMap<(usize, usize), usize>,
}

impl Symbols {
    fn intern(&mut self, name: String) -> usize {
        if let Some(&id) = self.ids.get(&name) {
            return id;
        }
        let id = self.names.len();
        self.ids.insert(name.clone(), id);
        self.names.push(name);
        id
    }

    fn join(&mut self, left: usize, right: usize) -> usize {
        if let Some(&id) = self.joined.get(&(left, right)) {
            return id;
        }
        let id = self.intern(format!("{}{}", self.names[left], self.names[right]));
        self.joined.insert((left, right), id);
        id
    }
}

/// The string that most neighbouring symbols spell, among those within `max_chars` that occur at least twice. Pairs that
/// spell the same string count together, because the encoder, which looks pieces up by their string, merges them all. Of
/// equally frequent strings the shorter, then the one first in code point order, wins.
fn most_frequent_pair(words: &[Word], table: &mut Symbols, max_chars: usize) -> Option<usize> {
    let mut counts: HashMap<usize, u64> = HashMap::new();
    for word in words {
        for pair in word.symbols.windows(2) {
            *counts.entry(table.join(pair[0], pair[1])).or_default() += word.count;
        }
    }
    counts
        .into_iter()
        .map(|(id, count)| (count, id, table.names[id].chars().count()))
        .filter(|&(count, _, chars)| count >= 2 && chars <= max_chars)
        .max_by(|a, b| (a.0, b.2, &table.names[b.1]).cmp(&(b.0, a.2, &table.names[a.1])))
        .map(|(_, id, _)| id)
}

/// Joins, from the left, every two neighbours that spell `target`.
fn merge(symbols: &mut Vec<usize>, target: usize, table: &mut Symbols) {
    let mut out = Vec::with_capacity(symbols.len());
    let mut i = 0;
    while i < symbols.len() {
        if i + 1 < symbols.len() && table.join(symbols[i], symbols[i + 1]) == target {
            out.push(target);
            i += 2;
        } else {
            out.push(symbols[i]);
            i += 1;
        }
    }
    *symbols = out;
}
