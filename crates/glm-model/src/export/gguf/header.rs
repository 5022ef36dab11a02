//! What a GGUF file says of itself, of any program and any model. candle's reader stops at an alignment of 0 and at types
//! that it does not know, and keeps whole vocabularies; here nothing is kept but counts and two names.

use crate::{ModelError, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// First bytes of every GGUF file.
pub const GGUF_MAGIC: &[u8; 4] = b"GGUF";
/// Longest name that is taken; the specification allows keys 65535 bytes.
const LONGEST: u64 = 1 << 16;
/// Arrays in arrays: no known file has any.
const DEEPEST: u32 = 4;
/// Most dimensions of a tensor in ggml.
const MOST_DIMENSIONS: u32 = 4;
const ARCHITECTURE: &str = "general.architecture";
const NAME: &str = "general.name";
const ALIGNMENT: &str = "general.alignment";

/// ggml's types: number, name, values of a block, bytes of a block.
const TYPES: [(u32, &str, u64, u64); 29] = [
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 36),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
];

/// What a GGUF file holds, by its header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GgufSummary {
    /// Version of the format.
    pub version: u32,
    /// `general.architecture`.
    pub architecture: Option<String>,
    /// `general.name`.
    pub name: Option<String>,
    /// Number of keys.
    pub keys: u64,
    /// Number of tensors.
    pub tensors: u64,
    /// Number of values in all tensors.
    pub values: u64,
    /// How many tensors have each type.
    pub types: BTreeMap<String, u64>,
    /// Bytes of the file.
    pub bytes: u64,
}

impl GgufSummary {
    /// Reads the header of a file, with little memory whatever it says.
    ///
    /// # Errors
    /// Names the file, and what is broken or cut off.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(ModelError::io(path))?;
        let bytes = file.metadata().map_err(ModelError::io(path))?.len();
        let mut header = Header { file: BufReader::new(file), at: 0, bytes };
        header.summary().map_err(|reason| {
            ModelError::file(path, format!("not a whole GGUF file: {reason}; copy, download or export it again"))
        })
    }
}

type Found<T> = Result<T, String>;

struct Header {
    file: BufReader<File>,
    at: u64,
    bytes: u64,
}

impl Header {
    fn summary(&mut self) -> Found<GgufSummary> {
        if self.take::<4>()? != *GGUF_MAGIC {
            return Err("it does not begin with GGUF".into());
        }
        let version = self.u32()?;
        if !matches!(version, 2 | 3) {
            return Err(format!("its version is {version}, expected 2 or 3, in little-endian numbers"));
        }
        let (tensors, keys) = (self.u64()?, self.u64()?);
        let mut found = GgufSummary { version, keys, tensors, bytes: self.bytes, ..GgufSummary::default() };
        let mut alignment = 32;
        for _ in 0..keys {
            let key = self.text()?;
            match (key.as_str(), self.u32()?) {
                (ARCHITECTURE, 8) => found.architecture = Some(self.text()?),
                (NAME, 8) => found.name = Some(self.text()?),
                (ALIGNMENT, 4) => alignment = u64::from(self.u32()?),
                (_, kind) => self.skip_value(kind, 0)?,
            }
        }
        let mut end = 0u64;
        for _ in 0..tensors {
            end = end.max(self.tensor(&mut found)?);
        }
        let data = match alignment {
            0 => return Err(format!("{ALIGNMENT} is 0")),
            n => self.at.checked_next_multiple_of(n),
        };
        let end = if tensors == 0 { Some(self.at) } else { data.and_then(|data| data.checked_add(end)) };
        match end {
            Some(end) if end <= self.bytes => Ok(found),
            Some(end) => Err(format!("its tensors end at byte {end}, and the file at byte {}", self.bytes)),
            None => Err("its tensors end past any file".into()),
        }
    }

    /// Counts a tensor; returns where it ends, from the beginning of the data.
    fn tensor(&mut self, found: &mut GgufSummary) -> Found<u64> {
        let name = self.text()?;
        let dimensions = self.u32()?;
        if dimensions > MOST_DIMENSIONS {
            return Err(format!("tensor {name} has {dimensions} dimensions, expected at most {MOST_DIMENSIONS}"));
        }
        let mut values = Some(1u64);
        for _ in 0..dimensions {
            let size = self.u64()?;
            values = values.and_then(|values| values.checked_mul(size));
        }
        let (kind, offset) = (self.u32()?, self.u64()?);
        let known = TYPES.iter().find(|(number, ..)| *number == kind);
        *found.types.entry(known.map_or_else(|| format!("type {kind}"), |known| known.1.to_owned())).or_default() += 1;
        let values = values.and_then(|values| Some((values, found.values.checked_add(values)?)));
        let Some((values, sum)) = values else { return Err(format!("tensor {name} is larger than any file")) };
        found.values = sum;
        // Of a type that is not known, the place alone can be checked.
        let bytes = known.map_or(Some(0), |(_, _, block, bytes)| values.div_ceil(*block).checked_mul(*bytes));
        bytes.and_then(|bytes| offset.checked_add(bytes)).ok_or_else(|| format!("tensor {name} ends past any file"))
    }

    /// Passes over a value of that type.
    fn skip_value(&mut self, kind: u32, depth: u32) -> Found<()> {
        match (kind, scalar(kind)) {
            (_, Some(size)) => self.skip(Some(size)),
            (8, _) => {
                let length = self.u64()?;
                self.skip(Some(length))
            }
            (9, _) if depth < DEEPEST => {
                let (kind, length) = (self.u32()?, self.u64()?);
                match scalar(kind) {
                    Some(size) => self.skip(length.checked_mul(size)),
                    // Each takes some bytes of the file, so that this ends.
                    None => (0..length).try_for_each(|_| self.skip_value(kind, depth + 1)),
                }
            }
            (9, _) => Err("its arrays lie in each other too deep".into()),
            _ => Err(format!("a key has the type {kind}, which is not known")),
        }
    }

    /// A text without control characters, which could play tricks on a terminal.
    fn text(&mut self) -> Found<String> {
        let length = self.u64()?;
        if length > LONGEST.min(self.bytes - self.at) {
            return Err(format!("a name has {length} bytes at byte {}", self.at));
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).replace(char::is_control, "\u{fffd}"))
    }

    fn skip(&mut self, bytes: Option<u64>) -> Found<()> {
        match bytes.and_then(|bytes| self.at.checked_add(bytes)).filter(|end| *end <= self.bytes) {
            Some(end) => {
                let far = end - self.at;
                let moved = match i64::try_from(far) {
                    Ok(far) => self.file.seek_relative(far),
                    Err(_) => self.file.seek(SeekFrom::Start(end)).map(|_| ()),
                };
                self.at = end;
                moved.map_err(|error| error.to_string())
            }
            None => Err(self.cut_off()),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Found<()> {
        self.file.read_exact(bytes).map_err(|_| self.cut_off())?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn cut_off(&self) -> String {
        format!("its header goes on past byte {}, where the file ends", self.bytes)
    }

    fn take<const N: usize>(&mut self) -> Found<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Found<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Found<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

/// Bytes of a value of a type that has a fixed size.
fn scalar(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
