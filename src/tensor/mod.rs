//! Layouts of tensor files, found in one forward pass without I/O.
//!
//! [`Scanner`] is shown a file's bytes in order, in pieces of any size, and says which of them are tensor
//! payloads; everything else is plain. It never needs the file's length or a second look, because git's
//! filter reads a pipe. It knows safetensors, GGUF 2 and 3, npy, and npy or PyTorch storages in zip files.
//! The rules are part of chunking profile 1 and are written down in `docs/reference/formats/chunking.md`:
//! a change of what counts as a payload is a new profile.
//!
//! Headers are hostile input. Whatever is doubtful in one makes the bytes plain; nothing here fails.
//! [`describe`] and [`safetensors_problem`] are for people: they name tensors, and say what is wrong.

mod describe;
mod dtype;
mod gguf;
mod npy;
mod safetensors;
mod scan;
mod zip;

pub use describe::{TensorInfo, describe};
pub use safetensors::{SafetensorsProblem, safetensors_header_bytes, safetensors_problem};
pub use scan::{Scanner, View, segments};

use crate::limits;

/// What the elements of a payload are, as far as its header says. A hint for encoders; never part of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Floating-point numbers of this many bytes each (complex numbers count as pairs of floats).
    Float {
        /// 1, 2, 4 or 8.
        bytes: u8,
    },
    /// Integers or booleans of this many bytes each.
    Integer {
        /// 1, 2, 4 or 8.
        bytes: u8,
    },
    /// Blocks of numbers of less than a byte each, or with scales between them.
    Quantised,
    /// The header does not say, or not in a way that is known here.
    Unknown,
}

/// What a stretch of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes without known structure.
    Plain,
    /// One tensor's data, or part of it when the file ends early.
    Payload {
        /// Distance of the fixed cuts from the payload's own start, in bytes; at most
        /// [`limits::MAX_CHUNK_BYTES`], never 0.
        block_bytes: u32,
        /// What the elements are.
        element: Element,
    },
}

/// A stretch of a file. Segments follow each other without gap or overlap from offset 0 to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset after the last byte; greater than `start`.
    pub end: u64,
    /// What the bytes are.
    pub kind: Kind,
}

/// Why a header cannot be described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes start like no layout known here.
    #[error("the file is not of a tensor layout known here")]
    UnknownLayout,
    /// The header goes on after the bytes given. Not an error where the caller can read more.
    #[error("the header goes on after {have_bytes} bytes")]
    HeaderGoesOn {
        /// How many bytes were given.
        have_bytes: u64,
        /// At least so many are needed, counted from the file's start.
        need_bytes: u64,
    },
    /// The header contradicts itself or its layout.
    #[error("the {layout} header is not valid: {reason}")]
    Invalid {
        /// Name of the layout.
        layout: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

/// A payload that a header announced; `end` may lie behind the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Payload {
    start: u64,
    end: u64,
    block_bytes: u32,
    element: Element,
}

impl Payload {
    fn kind(&self) -> Kind {
        Kind::Payload { block_bytes: self.block_bytes, element: self.element }
    }
}

/// The greatest multiple of `unit_bytes` that fits a chunk. A unit that does not fit gets the whole chunk.
fn block_bytes(unit_bytes: u64) -> u32 {
    let max = limits::MAX_CHUNK_BYTES as u64;
    let block = match unit_bytes {
        0 => max,
        unit if unit > max => max,
        unit => max / unit * unit,
    };
    u32::try_from(block).expect("a chunk's length fits 32 bits")
}

/// Sorts by offset and drops empty payloads; `None` when two overlap.
fn in_order(mut payloads: Vec<Payload>) -> Option<Vec<Payload>> {
    payloads.retain(|p| p.start < p.end);
    payloads.sort_by_key(|p| p.start);
    let apart = payloads.windows(2).all(|w| w[0].end <= w[1].start);
    apart.then_some(payloads)
}

#[cfg(test)]
pub(crate) mod tests;
