//! Segmentation of normalised text by the Unigram model of SentencePiece.
//!
//! Scores are added and compared in f32, and of equal ones the longer last piece wins: among segmentations of nearly equal
//! probability this decides. The goldens ask for it; recent releases of the C++ library compare in f64, which splits a row
//! of eight dots otherwise.

/// What an unknown character costs below the worst piece.
const UNKNOWN_PENALTY: f32 = 10.0;
/// Score of a symbol.
const SYMBOL_SCORE: f32 = -0.1;

/// A symbol inside a normalised text: a piece that is taken as a whole, whatever its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) id: u32,
}

/// Pieces and their log probabilities.
#[derive(Debug)]
pub(super) struct Unigram {
    /// Text, score and id, in the order of the bytes, which makes the pieces that begin alike neighbours.
    pieces: Vec<(Box<[u8]>, f32, u32)>,
    unknown_score: f32,
    unk_id: u32,
    /// Ids of the 256 bytes, when unknown characters are spelt in bytes.
    bytes: Option<Vec<u32>>,
}

/// Best way to a position: its score, where its last piece starts, that piece's id.
#[derive(Clone, Copy)]
struct Node {
    score: f32,
    start: usize,
    id: u32,
}

impl Unigram {
    /// `pieces`: text, finite score and id of the ordinary pieces, each text once. `bytes`: ids of all 256 bytes, or `None`
    /// when unknown characters become `unk_id`.
    pub(super) fn new(mut pieces: Vec<(Box<[u8]>, f32, u32)>, unk_id: u32, bytes: Option<Vec<u32>>) -> Self {
        pieces.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let unknown_score = pieces.iter().map(|p| p.1).fold(0.0, f32::min) - UNKNOWN_PENALTY;
        Self { pieces, unknown_score, unk_id, bytes }
    }

    /// Ids of `text`, whose blanks are U+2581. `symbols` are in order and do not overlap.
    pub(super) fn segment(&self, text: &str, symbols: &[Symbol]) -> Vec<u32> {
        let nodes = self.best_paths(text, symbols);
        let mut pieces = Vec::new();
        let mut end = text.len();
        while end > 0 {
            let node = nodes[end].expect("every position that a path passes has a node");
            pieces.push((node.start..end, node.id));
            end = node.start;
        }
        let mut ids = Vec::with_capacity(pieces.len());
        let mut after_unknown = false;
        for (range, id) in pieces.into_iter().rev() {
            let unknown = id == self.unk_id;
            match &self.bytes {
                Some(bytes) if unknown => {
                    ids.extend(text.as_bytes()[range].iter().map(|&byte| bytes[usize::from(byte)]));
                }
                // A run of unknown characters is one token.
                None if unknown && after_unknown => {}
                _ => ids.push(id),
            }
            after_unknown = unknown;
        }
        ids
    }

    /// For every byte position the best path that ends there.
    fn best_paths(&self, text: &str, symbols: &[Symbol]) -> Vec<Option<Node>> {
        let mut nodes = vec![None; text.len() + 1];
        let mut symbols = symbols.iter().peekable();
        let mut start = 0;
        while start < text.len() {
            let score = nodes[start].map_or(0.0, |node: Node| node.score);
            if let Some(symbol) = symbols.next_if(|s| s.start == start) {
                improve(&mut nodes[symbol.end], score + SYMBOL_SCORE, start, symbol.id);
                start = symbol.end;
                continue;
            }
            let limit = symbols.peek().map_or(text.len(), |s| s.start);
            let char_end = start + text[start..].chars().next().map_or(1, char::len_utf8);
            let mut has_char = false;
            for (end, piece_score, id) in self.matches(text.as_bytes(), start, limit) {
                improve(&mut nodes[end], score + piece_score, start, id);
                has_char |= end == char_end;
            }
            if !has_char {
                improve(&mut nodes[char_end], score + self.unknown_score, start, self.unk_id);
            }
            start = char_end;
        }
        nodes
    }

    /// Pieces that `text[start..limit]` begins with, shortest first: where each ends, its score and id.
    fn matches<'a>(
        &'a self,
        text: &'a [u8],
        start: usize,
        limit: usize,
    ) -> impl Iterator<Item = (usize, f32, u32)> + 'a {
        let mut range = &self.pieces[..];
        (start..limit)
            .map_while(move |at| {
                let depth = at - start;
                // A piece of exactly `depth` bytes comes first and has been yielded already.
                if range.first().is_some_and(|p| p.0.len() == depth) {
                    range = &range[1..];
                }
                let from = range.partition_point(|p| p.0[depth] < text[at]);
                let count = range[from..].partition_point(|p| p.0[depth] == text[at]);
                range = &range[from..from + count];
                let first = range.first()?;
                Some((first.0.len() == depth + 1).then_some((at + 1, first.1, first.2)))
            })
            .flatten()
    }
}

/// Keeps the better of two ways to a node; of equal ones the earlier.
fn improve(node: &mut Option<Node>, score: f32, start: usize, id: u32) {
    if node.is_none_or(|old| score > old.score) {
        *node = Some(Node { score, start, id });
    }
}
