use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};

use super::error::finite;
use super::{JournalError, Metrics};
use crate::atomic::FileError;

/// CRC-32C, the checksum of TFRecord files.
const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Writes scalars as TensorBoard events.
///
/// Every start of a run gets an event file of its own, so a file that a kill cut off is never appended to. When a run
/// resumes, the new file's name sorts after the old ones and its first event tells TensorBoard to forget what the old ones
/// say about the steps that are done again.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Creates an event file in `dir` (usually `<output_dir>/runs/<name>`), which is created when absent.
    ///
    /// `resumed_at`: steps done before this start; `None` for a new run.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn create(dir: &Path, resumed_at: Option<u64>) -> Result<Self, JournalError> {
        fs::create_dir_all(dir).map_err(FileError::at("create", dir))?;
        let newest = fs::read_dir(dir)
            .map_err(FileError::at("read", dir))?
            .filter_map(|entry| seconds_in_name(entry.ok()?.file_name().to_str()?))
            .max();
        // TensorBoard reads the files of a folder in the order of their names.
        let seconds = (now() as u64).max(newest.map_or(0, |s| s + 1));
        let path = dir.join(format!("events.out.tfevents.{seconds:010}.glmtune.{}", std::process::id()));
        let file = File::create_new(&path).map_err(FileError::at("create", &path))?;
        let mut writer = Self { path, file };
        writer.append(0, &field_bytes(3, b"brain.Event:2"))?;
        if resumed_at.is_some() || newest.is_some() {
            // SessionLog{status: START}: events of this step and later, read so far, are void.
            writer.append(resumed_at.map_or(0, |step| step + 1), &field_bytes(7, &field_varint(1, 1)))?;
        }
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one value, for example `train/loss`, and hands it to the system at once.
    ///
    /// # Errors
    /// When the value is not finite (in f32, the format's precision) or the system refuses.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<(), JournalError> {
        let value = value as f32;
        finite(tag, f64::from(value))?;
        let number = [&[tag_byte(2, 5)], value.to_le_bytes().as_slice()].concat();
        let entry = [field_bytes(1, tag.as_bytes()), number].concat();
        self.append(step, &field_bytes(5, &field_bytes(1, &entry)))
    }

    /// Writes a log entry the way transformers does: `eval_x` becomes `eval/x`, anything else `train/x`; `step` and
    /// `epoch` are not series of their own (`train/epoch` is).
    ///
    /// # Errors
    /// As [`EventWriter::scalar`].
    pub fn log(&mut self, step: u64, entry: &Metrics) -> Result<(), JournalError> {
        for (key, value) in entry.numbers().filter(|(key, _)| *key != "step") {
            let tag = match key.strip_prefix("eval_") {
                Some(rest) => format!("eval/{rest}"),
                None => format!("train/{key}"),
            };
            self.scalar(&tag, step, value)?;
        }
        Ok(())
    }

    /// Appends Event{wall_time, step} with one more field as a record: length, its checksum, data, its checksum.
    fn append(&mut self, step: u64, field: &[u8]) -> Result<(), JournalError> {
        let mut event = vec![tag_byte(1, 1)];
        event.extend(now().to_le_bytes());
        event.extend(field_varint(2, step));
        event.extend(field);
        let length = (event.len() as u64).to_le_bytes();
        let record = [&length[..], &masked_crc(&length), &event, &masked_crc(&event)].concat();
        // One call for the whole record: a live reader never sees a part of it.
        self.file.write_all(&record).map_err(FileError::at("append to", &self.path))?;
        Ok(())
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

fn seconds_in_name(name: &str) -> Option<u64> {
    name.strip_prefix("events.out.tfevents.")?.split('.').next()?.parse().ok()
}

/// TFRecord's masked checksum, so that a checksum of data that holds checksums stays strong.
fn masked_crc(data: &[u8]) -> [u8; 4] {
    CRC32C.checksum(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// Protocol buffers: number and wire type of a field (numbers up to 15).
fn tag_byte(field: u8, wire_type: u8) -> u8 {
    field << 3 | wire_type
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(10);
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

fn field_varint(field: u8, n: u64) -> Vec<u8> {
    [vec![tag_byte(field, 0)], varint(n)].concat()
}

fn field_bytes(field: u8, data: &[u8]) -> Vec<u8> {
    [&[tag_byte(field, 2)], varint(data.len() as u64).as_slice(), data].concat()
}
