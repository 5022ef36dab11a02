use std::fs;
use std::path::Path;

use glm_train::journal::{EventWriter, JournalError, Metrics};

/// CRC-32C bit by bit, on purpose without the library that the writer uses.
fn crc32c(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0x82f6_3b78 } else { c >> 1 })
    };
    !data.iter().fold(!0, step)
}

fn masked(data: &[u8]) -> u32 {
    let crc = crc32c(data);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Splits a TFRecord file, checking both checksums of every record.
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(u32::from_le_bytes(bytes[8..12].try_into().unwrap()), masked(&bytes[..8]));
        let data = &bytes[12..12 + length];
        assert_eq!(u32::from_le_bytes(bytes[12 + length..16 + length].try_into().unwrap()), masked(data));
        out.push(data.to_vec());
        bytes = &bytes[16 + length..];
    }
    out
}

#[derive(Debug)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// Decodes one protocol-buffer message into its fields.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut n = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        n
    }
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let length = match key & 7 {
            0 => {
                out.push((key >> 3, Field::Number(varint(&mut bytes))));
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        out.push((key >> 3, Field::Bytes(bytes[..length].to_vec())));
        bytes = &bytes[length..];
    }
    out
}

fn bytes_of(fields: &[(u64, Field)], number: u64) -> Option<&[u8]> {
    fields.iter().find_map(|(n, f)| match f {
        Field::Bytes(b) if *n == number => Some(b.as_slice()),
        _ => None,
    })
}

/// What an event says: step, and a text for its kind.
fn event(record: &[u8]) -> (u64, String) {
    let event = fields(record);
    let step = event.iter().find_map(|(n, f)| match f {
        Field::Number(step) if *n == 2 => Some(*step),
        _ => None,
    });
    let wall = f64::from_le_bytes(bytes_of(&event, 1).unwrap().try_into().unwrap());
    assert!(wall > 1.6e9, "wall time {wall}");
    let text = if let Some(version) = bytes_of(&event, 3) {
        String::from_utf8(version.to_vec()).unwrap()
    } else if let Some(session) = bytes_of(&event, 7) {
        format!("session {:?}", fields(session))
    } else {
        let value = fields(bytes_of(&fields(bytes_of(&event, 5).unwrap()), 1).unwrap());
        let number = f32::from_le_bytes(bytes_of(&value, 2).unwrap().try_into().unwrap());
        format!("{}={number}", String::from_utf8(bytes_of(&value, 1).unwrap().to_vec()).unwrap())
    };
    (step.unwrap_or(0), text)
}

fn events(path: &Path) -> Vec<(u64, String)> {
    records(&fs::read(path).unwrap()).iter().map(|r| event(r)).collect()
}

#[test]
fn the_checksum_is_crc32c() {
    // The check value of the standard.
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn scalars_are_in_the_file_as_soon_as_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(&dir.path().join("runs/a"), None).unwrap();
    writer.scalar("train/loss", 1, 8.25).unwrap();
    let first = vec![(0, "brain.Event:2".to_owned()), (1, "train/loss=8.25".to_owned())];
    assert_eq!(events(writer.path()), first);
    writer.scalar("eval/loss", 3_000_000, 2e-5).unwrap();
    assert_eq!(events(writer.path())[2], (3_000_000, "eval/loss=0.00002".to_owned()));
}

#[test]
fn a_log_entry_becomes_series() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path(), None).unwrap();
    let mut entry = Metrics::new();
    for (key, value) in [("loss", 2.0), ("learning_rate", 0.5), ("epoch", 1.5), ("eval_loss", 3.0)] {
        entry.set_float(key, value).unwrap();
    }
    entry.set_int("step", 7);
    writer.log(7, &entry).unwrap();
    let found: Vec<String> = events(writer.path()).into_iter().skip(1).map(|e| e.1).collect();
    assert_eq!(found, ["train/epoch=1.5", "eval/loss=3", "train/learning_rate=0.5", "train/loss=2"]);
}

#[test]
fn a_resumed_run_begins_a_later_file_that_voids_repeated_steps() {
    let dir = tempfile::tempdir().unwrap();
    let mut old = EventWriter::create(dir.path(), None).unwrap();
    old.scalar("train/loss", 30, 1.0).unwrap();
    // The kill tore the last record.
    let bytes = fs::read(old.path()).unwrap();
    fs::write(old.path(), &bytes[..bytes.len() - 5]).unwrap();
    let mut new = EventWriter::create(dir.path(), Some(20)).unwrap();
    new.scalar("train/loss", 30, 1.0).unwrap();
    assert!(new.path() > old.path());
    assert_eq!(fs::read(old.path()).unwrap().len(), bytes.len() - 5);
    let expected = [(0, "brain.Event:2"), (21, "session [(1, Number(1))]"), (30, "train/loss=1")];
    assert_eq!(events(new.path()), expected.map(|(step, text)| (step, text.to_owned())));
}

#[test]
fn values_that_are_not_finite_are_refused_by_tag() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path(), None).unwrap();
    // 1e39 is finite, but not in f32.
    for bad in [f64::NAN, f64::INFINITY, 1e39] {
        let result = writer.scalar("train/loss", 1, bad);
        assert!(matches!(result, Err(JournalError::NonFinite { key, .. }) if key == "train/loss"));
    }
    assert_eq!(events(writer.path()).len(), 1);
}
