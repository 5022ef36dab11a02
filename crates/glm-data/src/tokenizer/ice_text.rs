//! Encoding with `ice_text.model`, the Unigram vocabulary of ChatGLM-6B.
//!
//! Line breaks, tabs and runs of blanks have tokens of their own. Everything else goes through the normalisation table of
//! the file, which makes full-width punctuation ASCII, and the Unigram model.

use sentencepiece_model::Type;

use super::charsmap::CharsMap;
use super::model_file::{BLANK, ModelFile, Piece};
use super::specials;
use super::unigram::{Symbol, Unigram};

const NEWLINE: &str = "<n>";
const TAB: &str = "<|tab|>";
/// Longest run of blanks that is one token.
const MAX_BLANKS: usize = 80;

/// The encoder. Its ids are those of the file; image tokens are not its business.
#[derive(Debug)]
pub(super) struct IceText {
    unigram: Unigram,
    charsmap: CharsMap,
    collapse_blanks: bool,
    /// Pieces that are taken as a whole where symbols are recognised in a text, longest first.
    symbols: Vec<(Box<str>, u32)>,
    newline: u32,
    tab: u32,
    /// `blanks[0]` is a run of two.
    blanks: Vec<u32>,
}

impl IceText {
    /// Builds the encoder and makes the whitespace pieces of `file` decode to the whitespace that they stand for.
    pub(super) fn new(file: &mut ModelFile) -> Result<Self, String> {
        let normalizer = file.model.normalizer().ok_or("the normalizer settings are missing")?;
        let charsmap = CharsMap::parse(normalizer.precompiled_charsmap())?;
        let collapse_blanks = normalizer.remove_extra_whitespaces();
        let (mut pieces, mut symbols) = (Vec::new(), Vec::new());
        for (id, piece) in file.model.pieces().iter().enumerate() {
            let (text, score, id) = (piece.piece(), piece.score(), id as u32);
            match piece.r#type() {
                Type::UserDefined => symbols.push((text.into(), id)),
                Type::Normal if is_symbol(text) => symbols.push((text.into(), id)),
                Type::Normal if !score.is_finite() || score > 0.0 => {
                    return Err(format!("piece {id} ({text:?}) has the score {score}, expected a log probability"));
                }
                Type::Normal => pieces.push((text.as_bytes().into(), score, id)),
                _ => {}
            }
        }
        symbols.sort_by_key(|(text, _): &(Box<str>, u32)| std::cmp::Reverse(text.len()));
        let mut whitespace = |name: &str, text: &str| {
            let id = file.id_of(name)?;
            file.pieces[id as usize] = Piece::literal(text);
            file.max_piece_chars = file.max_piece_chars.max(text.len());
            Ok::<_, String>(id)
        };
        let newline = whitespace(NEWLINE, "\n")?;
        let tab = whitespace(TAB, "\t")?;
        let blanks = (2..=MAX_BLANKS).map(|n| whitespace(&format!("<|blank_{n}|>"), &" ".repeat(n)));
        let blanks = blanks.collect::<Result<_, _>>()?;
        let unigram = Unigram::new(pieces, file.unk_id, byte_ids(file)?);
        Ok(Self { unigram, charsmap, collapse_blanks, symbols, newline, tab, blanks })
    }

    /// Ids of `text`. With `specials`, pieces such as `[gMASK]` are recognised in it; otherwise they are characters.
    pub(super) fn encode(&self, text: &str, specials: bool) -> Vec<u32> {
        let (normalized, symbols) = self.normalize(text, specials);
        self.unigram.segment(&normalized, &symbols)
    }

    /// The text as the Unigram model sees it, and where symbols stand in it.
    fn normalize(&self, text: &str, specials: bool) -> (String, Vec<Symbol>) {
        let (mut out, mut symbols) = (String::with_capacity(text.len() + 3), Vec::<Symbol>::new());
        let mut rest = text;
        let mut after_blank = self.collapse_blanks;
        let mut plain = 0;
        while !rest.is_empty() {
            if plain == 0 {
                plain = plain_len(rest);
            }
            if let Some((id, taken)) = self.symbol(rest, specials) {
                start_text(&mut out);
                let start = out.len();
                // A place holder: the id is known.
                out.push_str(&rest[..taken]);
                symbols.push(Symbol { start, end: out.len(), id });
                rest = &rest[taken..];
                plain = plain.saturating_sub(taken);
                after_blank = false;
                continue;
            }
            let (mut piece, taken) = self.charsmap.first(&rest[..plain]);
            rest = &rest[taken..];
            plain -= taken;
            // Blanks before the text are dropped before it counts as text at all.
            if self.collapse_blanks && out.is_empty() && piece == " " {
                continue;
            }
            start_text(&mut out);
            if after_blank {
                piece = piece.trim_start_matches(' ');
            }
            if !piece.is_empty() {
                out.extend(piece.chars().map(|c| if c == ' ' { BLANK } else { c }));
                after_blank = self.collapse_blanks && piece.ends_with(' ');
            }
        }
        let last_symbol = symbols.last().map_or(0, |s| s.end);
        while self.collapse_blanks && out.len() > last_symbol && out.ends_with(BLANK) {
            out.pop();
        }
        (out, symbols)
    }

    /// The symbol with which `text` begins, and the number of bytes that it takes.
    fn symbol(&self, text: &str, specials: bool) -> Option<(u32, usize)> {
        match text.as_bytes() {
            [b'\n', ..] => Some((self.newline, 1)),
            [b'\t', ..] => Some((self.tab, 1)),
            [b' ', b' ', ..] => {
                let run = text.bytes().take(MAX_BLANKS).take_while(|&b| b == b' ').count();
                Some((self.blanks[run - 2], run))
            }
            _ if specials => {
                let found = self.symbols.iter().find(|(symbol, _)| text.starts_with(&**symbol));
                found.map(|(symbol, id)| (*id, symbol.len()))
            }
            _ => None,
        }
    }
}

/// The dummy blank goes before the first thing that counts as text.
fn start_text(out: &mut String) {
    if out.is_empty() {
        out.push(BLANK);
    }
}

/// Bytes before the next whitespace token; the normalisation must not look beyond.
fn plain_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let stops = |i: usize| matches!(bytes[i], b'\n' | b'\t') || bytes[i..].starts_with(b"  ");
    (0..bytes.len()).find(|&i| stops(i)).unwrap_or(bytes.len())
}

/// Whether a piece is a symbol even where the file calls it an ordinary piece.
fn is_symbol(text: &str) -> bool {
    specials::CHATGLM.contains(&text) || text == NEWLINE || text == TAB || text.starts_with("<|blank_")
}

/// Ids of all bytes, or `None` when the file does not spell unknown characters in bytes.
fn byte_ids(file: &ModelFile) -> Result<Option<Vec<u32>>, String> {
    if !file.model.trainer().is_some_and(|t| t.byte_fallback()) {
        return Ok(None);
    }
    let mut ids = [None; 256];
    for (id, piece) in file.pieces.iter().enumerate() {
        if let Piece::Byte(byte) = piece {
            ids[usize::from(*byte)].get_or_insert(id as u32);
        }
    }
    let missing =
        |byte: usize| format!("it spells unknown characters in bytes, but has no piece for the byte {byte:#04x}");
    ids.iter().enumerate().map(|(byte, id)| id.ok_or_else(|| missing(byte))).collect::<Result<_, _>>().map(Some)
}
