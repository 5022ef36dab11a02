//! One file from the hub to the cache: resumed where it broke, checked, and only then given its name.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use sha2::{Digest, Sha256};

use super::client::{Client, HttpError, Metadata};
use super::show::{Label, Progress, bytes};

/// Breaks in a row, without one new byte between them, after which the server is given up.
const MOST_BREAKS: u32 = 5;
/// Pause after the first break; twice as long after each further one.
const PAUSE: Duration = Duration::from_millis(200);
/// Most bytes of a file whose size the server does not say: none of the large ones.
const LARGEST_UNSAID: u64 = 64 << 20;
const BUFFER: usize = 1 << 20;

/// Where the content of `blob` grows; the name that Python uses, so that each goes on where the other stopped.
pub fn incomplete(blob: &Path) -> PathBuf {
    let mut name = blob.as_os_str().to_owned();
    name.push(".incomplete");
    name.into()
}

/// Fetches a file into `blob`.
///
/// # Errors
/// Names the file, and what was expected and found. What came of a broken transfer stays, to be gone on with.
pub fn fetch(client: &Client, url: &str, blob: &Path, metadata: &Metadata, label: &Label) -> anyhow::Result<()> {
    let mut part = Part::open(&incomplete(blob), metadata.size)?;
    let progress = Progress::new(label, metadata.size);
    let mut resumed = part.have > 0;
    loop {
        part.fill(client, url, metadata.size, &progress).with_context(|| label.file.to_owned())?;
        let found = part.sha256();
        match metadata.sha256() {
            Some(expected) if !expected.eq_ignore_ascii_case(&found) => {
                part.restart()?;
                if !std::mem::take(&mut resumed) {
                    part.remove();
                    bail!(
                        "{}: its SHA-256 is {found}, but the server says {expected}: it was damaged on the way, or this server \
                         has another file. It was thrown away; start again, or use another server (HF_ENDPOINT)",
                        label.file
                    );
                }
                // What an earlier, interrupted run had left may be what was wrong.
                progress.line(&format!("{}: the part that was there is damaged; downloaded again", label.file));
            }
            _ => break,
        }
    }
    part.file.sync_all().with_context(|| part.path.display().to_string())?;
    std::fs::rename(&part.path, blob).with_context(|| blob.display().to_string())?;
    progress.done(label, part.have);
    Ok(())
}

/// What is there of a file.
struct Part {
    path: PathBuf,
    file: File,
    have: u64,
    hash: Sha256,
}

/// How a pass over the network can end early.
enum Failure {
    /// To be tried again.
    Broken(String),
    /// Not worth another try.
    Final(anyhow::Error),
}

impl Part {
    fn open(path: &Path, size: Option<u64>) -> anyhow::Result<Self> {
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = open().with_context(|| path.display().to_string())?;
        let mut part = Self { path: path.to_owned(), file, have: 0, hash: Sha256::new() };
        part.read_back().with_context(|| path.display().to_string())?;
        // Without a size it could not be told when it is whole.
        if size.is_none_or(|size| part.have > size) {
            part.restart()?;
        }
        Ok(part)
    }

    fn read_back(&mut self) -> std::io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(()),
                n => {
                    self.hash.update(&buffer[..n]);
                    self.have += n as u64;
                }
            }
        }
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.have = 0;
        self.hash = Sha256::new();
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map(|_| ()).with_context(|| self.path.display().to_string())
    }

    fn remove(&self) {
        // It is empty; if it stays, it is filled next time.
        let _ = std::fs::remove_file(&self.path);
    }

    fn sha256(&self) -> String {
        self.hash.clone().finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Gets all that is missing, over as many connections as it takes.
    fn fill(&mut self, client: &Client, url: &str, size: Option<u64>, progress: &Progress) -> anyhow::Result<()> {
        let mut breaks = 0;
        let mut best = self.have;
        while size.is_none_or(|size| self.have < size) || self.have == 0 {
            match self.pass(client, url, size, progress) {
                Ok(()) => break,
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Broken(why)) => {
                    // A server that begins anew each time makes no progress, however much it sends.
                    breaks = if self.have > best { 1 } else { breaks + 1 };
                    best = best.max(self.have);
                    if breaks > MOST_BREAKS {
                        bail!(
                            "the transfer broke {breaks} times in a row ({why}). {} of {} are kept; start again to go on from \
                             there",
                            bytes(self.have),
                            size.map_or_else(|| "an unknown size".into(), bytes)
                        );
                    }
                    std::thread::sleep(PAUSE * 2u32.pow(breaks - 1));
                }
            }
        }
        Ok(())
    }

    /// Reads one answer to its end.
    fn pass(&mut self, client: &Client, url: &str, size: Option<u64>, progress: &Progress) -> Result<(), Failure> {
        let answer = match client.content(url, self.have) {
            Ok(answer) => answer,
            Err(HttpError::Unreachable(why)) => return Err(Failure::Broken(why)),
            Err(HttpError::Status(416, _)) if self.have > 0 => {
                self.restart().map_err(Failure::Final)?;
                return Err(Failure::Broken("the server has fewer bytes than it says".into()));
            }
            Err(error) => return Err(Failure::Final(anyhow!("{error}"))),
        };
        if answer.status().as_u16() != 206 && self.have > 0 {
            self.restart().map_err(Failure::Final)?;
        }
        progress.set(self.have);
        let most = size.unwrap_or(LARGEST_UNSAID);
        let mut body = answer.into_body().into_reader();
        let mut buffer = vec![0; BUFFER];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) => return Err(Failure::Broken(error.to_string())),
            };
            if self.have + n as u64 > most {
                // Beyond what was announced no byte is worth keeping.
                self.restart().map_err(Failure::Final)?;
                self.remove();
                return Err(Failure::Final(anyhow!("the server announces {} and sends more", bytes(most))));
            }
            let written = self.file.write_all(&buffer[..n]).with_context(|| self.path.display().to_string());
            written.map_err(Failure::Final)?;
            self.hash.update(&buffer[..n]);
            self.have += n as u64;
            progress.set(self.have);
        }
        match size {
            Some(size) if self.have < size => {
                Err(Failure::Broken(format!("it ended after {} of {size} bytes", self.have)))
            }
            _ => Ok(()),
        }
    }
}
