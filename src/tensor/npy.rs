//! npy: magic, version, header length, a Python dictionary as text, data.

use super::dtype::{self, Dtype};
use super::{Payload, block_bytes};

/// The first six bytes.
pub(super) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Longest header text that is looked at, in bytes; NumPy itself stops at 10,000.
const MAX_HEADER_BYTES: usize = 65_535;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) descr: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<u64>,
    pub(super) payload_bytes: u64,
}

impl Header {
    /// The payload that starts at `start`, unless it is empty or too long for any file.
    pub(super) fn payload(&self, start: u64) -> Option<Payload> {
        let end = start.checked_add(self.payload_bytes)?;
        (start < end && end < u64::MAX).then_some(Payload {
            start,
            end,
            block_bytes: block_bytes(self.dtype.unit_bytes),
            element: self.dtype.element,
        })
    }
}

/// Where a header stands after some bytes.
pub(super) enum Progress {
    /// So many bytes more are needed.
    Needs(usize),
    /// It is whole, and the payload follows.
    Header(Header),
    /// It is not a header that is known here.
    Unknown,
}

/// Collects a header. Asks for exact byte counts, so that what it consumes never depends on the feeding.
#[derive(Debug)]
pub(super) struct Reader {
    seen: Vec<u8>,
    want: usize,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { seen: Vec::new(), want: MAGIC.len() + 2 }
    }

    /// Takes bytes from the front of `window`; says how many, and where the header stands.
    pub(super) fn feed(&mut self, window: &[u8]) -> (usize, Progress) {
        let mut used = 0;
        loop {
            let take = (self.want - self.seen.len()).min(window.len() - used);
            self.seen.extend_from_slice(&window[used..used + take]);
            used += take;
            if self.seen.len() < self.want {
                return (used, Progress::Needs(self.want - self.seen.len()));
            }
            match next_want(&self.seen) {
                Some(want) if want > self.want => self.want = want,
                Some(_) => {
                    let header = header_text(&self.seen).and_then(parse);
                    return (used, header.map_or(Progress::Unknown, Progress::Header));
                }
                None => return (used, Progress::Unknown),
            }
        }
    }
}

/// How many bytes of the header's length field there are, by major version.
fn length_bytes(major: u8) -> Option<usize> {
    match major {
        1 => Some(2),
        2 | 3 => Some(4),
        _ => None,
    }
}

/// How many bytes the header has as far as `seen` tells; `None` when it is none that is looked at.
fn next_want(seen: &[u8]) -> Option<usize> {
    let rest = seen.strip_prefix(MAGIC)?;
    let field = length_bytes(*rest.first()?)?;
    let fixed = MAGIC.len() + 2 + field;
    let Some(raw) = seen.get(MAGIC.len() + 2..fixed) else {
        return Some(fixed);
    };
    let length = raw.iter().rev().fold(0usize, |n, &b| n << 8 | usize::from(b));
    (length > 0 && length <= MAX_HEADER_BYTES).then_some(fixed + length)
}

fn header_text(seen: &[u8]) -> Option<&str> {
    let field = length_bytes(*seen.get(MAGIC.len())?)?;
    std::str::from_utf8(seen.get(MAGIC.len() + 2 + field..)?).ok()
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`: these three keys in any order, each
/// once, nothing else.
fn parse(text: &str) -> Option<Header> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let (mut descr, mut order, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, after) = quoted(rest)?;
        let after = after.trim_start().strip_prefix(':')?.trim_start();
        let after = match key {
            "descr" if descr.is_none() => {
                let (value, after) = quoted(after)?;
                descr = Some(value);
                after
            }
            "fortran_order" if order.is_none() => {
                order = Some(());
                after.strip_prefix("False").or_else(|| after.strip_prefix("True"))?
            }
            "shape" if shape.is_none() => {
                let (inside, after) = after.strip_prefix('(')?.split_once(')')?;
                shape = Some(dimensions(inside)?);
                after
            }
            _ => return None,
        };
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    order?;
    let (descr, shape) = (descr?, shape?);
    let dtype = dtype::npy(descr)?;
    Some(Header { descr: descr.to_owned(), payload_bytes: dtype.total_bytes(&shape)?, dtype, shape })
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

fn dimensions(inside: &str) -> Option<Vec<u64>> {
    let inside = inside.trim();
    if inside.is_empty() {
        return Some(Vec::new());
    }
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    let digits = |d: &str| d.bytes().all(|b| b.is_ascii_digit()) && !d.is_empty();
    inside.split(',').map(|d| Some(d.trim()).filter(|d| digits(d))?.parse().ok()).collect()
}
