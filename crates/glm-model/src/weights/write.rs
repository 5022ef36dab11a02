//! What all writers of weight files share: the tensors are named first, and the bytes of each are asked for when its turn
//! comes, so that no more than a part of one tensor need ever be in memory.

use super::ElementType;
use std::io::{self, Write};

/// A tensor that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTensor {
    /// Full name.
    pub name: String,
    /// Element type.
    pub dtype: ElementType,
    /// Shape, row-major.
    pub shape: Vec<usize>,
}

impl NewTensor {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of bytes.
    pub fn bytes(&self) -> u64 {
        self.elements() as u64 * self.dtype.size() as u64
    }
}

/// Writes the bytes of the tensor of that index: little-endian, row-major, [`NewTensor::bytes`] of them.
pub type Content<'a> = dyn FnMut(usize, &mut dyn Write) -> io::Result<()> + 'a;

/// Asks for one tensor's bytes and makes sure that there are as many as its shape says: one too few would shift all that
/// follow.
pub(super) fn write_content(
    out: &mut dyn Write,
    index: usize,
    tensor: &NewTensor,
    content: &mut Content<'_>,
) -> io::Result<()> {
    let mut counted = Counted { out, bytes: 0 };
    content(index, &mut counted)?;
    if counted.bytes == tensor.bytes() {
        return Ok(());
    }
    let reason = format!("tensor {}: {} bytes were given, expected {}", tensor.name, counted.bytes, tensor.bytes());
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
}

struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
