//! Opening a data file: is it text, and in which encoding?

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use encoding_rs::{DecoderResult, GBK};

use super::row::Encoding;
use crate::error::DataError;

const CHUNK: usize = 1 << 16;
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// A data file whose encoding is known, to be opened as often as needed.
#[derive(Debug)]
pub(super) struct TextFile<'a> {
    file: &'a Path,
    /// In UTF-8, there may be invalid bytes that the row parsers will meet.
    encoding: Encoding,
    first: Option<u8>,
}

impl<'a> TextFile<'a> {
    /// Reads the file once to find out its encoding. With `lenient`, invalid bytes are left to the row parsers.
    pub(super) fn inspect(file: &'a Path, lenient: bool) -> Result<Self, DataError> {
        let failed = |source| DataError::Io { file: file.into(), source };
        let mut handle = File::open(file).map_err(failed)?;
        if !handle.metadata().map_err(failed)?.is_file() {
            let reason = "it is not a regular file, which data must be in since it is read more than once";
            return Err(DataError::Format { file: file.into(), reason: reason.into() });
        }
        let scan = Scan::run(&mut handle).map_err(failed)?;
        if let Some(kind) = foreign_kind(&scan.head) {
            let reason = format!("it is {kind}, not text; expected JSON, JSON lines or CSV in UTF-8");
            return Err(DataError::Format { file: file.into(), reason });
        }
        let bom = scan.head.starts_with(BOM);
        let mut encoding = if bom { Encoding::Utf8Bom } else { Encoding::Utf8 };
        if let Some((line, offset)) = scan.first_invalid {
            // In Chinese text in GBK nearly every character is invalid UTF-8; in broken UTF-8 most are valid.
            let resembles_gbk = scan.invalid > scan.multibyte;
            if resembles_gbk && decodes_as_gbk(file).map_err(failed)? {
                encoding = Encoding::Gbk;
            } else if !lenient {
                let hint = if resembles_gbk {
                    "it may be GBK with damaged characters; convert the file to UTF-8 (iconv -f GBK -t UTF-8)"
                } else {
                    "repair the row, or allow broken rows to be skipped (lenient)"
                };
                return Err(DataError::Encoding { file: file.into(), line, offset, hint: hint.into() });
            }
        }
        Ok(Self { file, encoding, first: scan.first_significant })
    }

    /// The first byte that is neither byte order mark nor whitespace.
    pub(super) fn first_byte(&self) -> Option<u8> {
        self.first
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What the user should know about the encoding.
    pub(super) fn note(&self) -> Option<String> {
        (self.encoding == Encoding::Gbk).then(|| format!("{}: read as GBK, since it is not UTF-8", self.file.display()))
    }

    /// The text from its beginning, without byte order mark.
    pub(super) fn open(&self) -> Result<Box<dyn BufRead>, DataError> {
        let open = || -> io::Result<Box<dyn BufRead>> {
            let mut handle = File::open(self.file)?;
            if self.encoding == Encoding::Utf8Bom {
                handle.seek(SeekFrom::Start(BOM.len() as u64))?;
            }
            Ok(match self.encoding {
                Encoding::Utf8 | Encoding::Utf8Bom => Box::new(BufReader::with_capacity(CHUNK, handle)),
                Encoding::Gbk => Box::new(BufReader::with_capacity(CHUNK, GbkReader::new(handle))),
            })
        };
        open().map_err(|source| self.io_error(source))
    }

    pub(super) fn io_error(&self, source: io::Error) -> DataError {
        DataError::Io { file: self.file.into(), source }
    }

    pub(super) fn format_error(&self, reason: &str) -> DataError {
        DataError::Format { file: self.file.into(), reason: reason.into() }
    }
}

/// What one pass over the bytes finds out.
#[derive(Debug, Default)]
struct Scan {
    head: Vec<u8>,
    first_significant: Option<u8>,
    /// 1-based line and 0-based byte of the first byte that is not UTF-8.
    first_invalid: Option<(usize, u64)>,
    invalid: u64,
    /// Valid characters of more than one byte.
    multibyte: u64,
}

impl Scan {
    fn run(reader: &mut impl Read) -> io::Result<Self> {
        let mut scan = Self::default();
        let mut buffer: Vec<u8> = Vec::with_capacity(CHUNK + 4);
        let (mut line, mut offset) = (1, 0u64);
        loop {
            let carried = buffer.len();
            let ended = reader.by_ref().take(CHUNK as u64).read_to_end(&mut buffer)? == 0;
            if offset == 0 {
                scan.head = buffer[..buffer.len().min(8)].to_vec();
            }
            if scan.first_significant.is_none() {
                let start = if offset == 0 && buffer.starts_with(BOM) { BOM.len() } else { 0 };
                scan.first_significant = buffer[start..].iter().copied().find(|b| !b.is_ascii_whitespace());
            }
            let mut done = 0;
            while done < buffer.len() {
                let (valid, invalid) = match std::str::from_utf8(&buffer[done..]) {
                    Ok(text) => (text.len(), 0),
                    // A character cut by the end of the chunk is looked at again with the next one.
                    Err(e) => (e.valid_up_to(), e.error_len().unwrap_or(if ended { carried.max(1) } else { 0 })),
                };
                let part = &buffer[done..done + valid];
                scan.multibyte += part.iter().filter(|&&b| b >= 0xC0).count() as u64;
                if scan.first_invalid.is_none() {
                    line += part.iter().filter(|&&b| b == b'\n').count();
                    if invalid > 0 {
                        scan.first_invalid = Some((line, offset + (done + valid) as u64));
                    }
                }
                scan.invalid += u64::from(invalid > 0);
                done = (done + valid + invalid).min(buffer.len());
                if invalid == 0 {
                    break;
                }
            }
            offset += done as u64;
            buffer.drain(..done);
            if ended {
                return Ok(scan);
            }
        }
    }
}

/// Well-known beginnings of files that users mistake for data files.
fn foreign_kind(head: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 6] = [
        (b"\x1f\x8b", "a gzip archive"),
        (b"PK\x03\x04", "a zip archive (or an Excel file)"),
        (b"PAR1", "a Parquet file"),
        (b"\xFF\xFE", "UTF-16 text"),
        (b"\xFE\xFF", "UTF-16 text"),
        (b"\x28\xB5\x2F\xFD", "a zstd archive"),
    ];
    KINDS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, kind)| *kind)
}

fn decodes_as_gbk(file: &Path) -> io::Result<bool> {
    match io::copy(&mut GbkReader::new(File::open(file)?), &mut io::sink()) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(false),
        Err(e) => Err(e),
    }
}

/// Decodes GBK to UTF-8 on the way; bytes that are not GBK are an error of kind `InvalidData`.
struct GbkReader<R> {
    inner: R,
    decoder: encoding_rs::Decoder,
    input: Vec<u8>,
    output: Vec<u8>,
    taken: usize,
    ended: bool,
}

impl<R: Read> GbkReader<R> {
    fn new(inner: R) -> Self {
        let decoder = GBK.new_decoder_without_bom_handling();
        Self { inner, decoder, input: Vec::new(), output: Vec::new(), taken: 0, ended: false }
    }

    /// Decodes the next chunk into an output that has all been taken.
    fn refill(&mut self) -> io::Result<()> {
        self.input.clear();
        self.ended = self.inner.by_ref().take(CHUNK as u64).read_to_end(&mut self.input)? == 0;
        // At most three bytes of UTF-8 come from each byte of GBK; with room for all, one call decodes everything.
        let room = self.decoder.max_utf8_buffer_length_without_replacement(self.input.len());
        self.output.resize(room.unwrap_or(4 * CHUNK), 0);
        let (result, _, written) =
            self.decoder.decode_to_utf8_without_replacement(&self.input, &mut self.output, self.ended);
        self.output.truncate(written);
        self.taken = 0;
        match result {
            DecoderResult::InputEmpty => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not GBK")),
        }
    }
}

impl<R: Read> Read for GbkReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.output.len() && !self.ended {
            self.refill()?;
        }
        let n = buffer.len().min(self.output.len() - self.taken);
        buffer[..n].copy_from_slice(&self.output[self.taken..self.taken + n]);
        self.taken += n;
        Ok(n)
    }
}
