//! GGUF 2 and 3, little-endian: magic, version, counts, key-value pairs, tensor infos, padding, data.
//!
//! The header's length stands nowhere, so [`Reader`] walks it token by token and keeps only what it needs:
//! the alignment, and each tensor's name, dimensions, type and offset.

use super::{Payload, TensorInfo, block_bytes, dtype, in_order};
use crate::limits;

/// The first four bytes.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";

const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 20;
const ALIGNMENT_KEY: &[u8] = b"general.alignment";
const MAX_DIMENSIONS: u32 = 8;
const TYPE_U32: u32 = 4;
const TYPE_STRING: u32 = 8;
const TYPE_ARRAY: u32 = 9;

/// Which token comes next; each has a fixed length or one that the token before it gave.
#[derive(Debug, Clone, Copy)]
enum Token {
    Start,
    KeyLength,
    Key,
    ValueType,
    Alignment,
    StringLength,
    ArrayHead,
    NameLength,
    Name,
    DimensionCount,
    Tail,
}

/// Where a header stands after some bytes.
pub(super) enum Progress {
    /// At least so many bytes more are needed.
    Needs(u64),
    /// It is whole; the tensors are known.
    Header(Vec<TensorInfo>),
    /// It is not a header that is known here.
    Unknown,
}

/// Walks a header. What it consumes does not depend on the feeding.
#[derive(Debug)]
pub(super) struct Reader {
    token: Token,
    /// The token's bytes so far, and how many it has.
    seen: Vec<u8>,
    want: usize,
    /// Bytes to pass over before the token.
    skip: u64,
    /// Offset of the next byte.
    pos: u64,
    pairs_left: u64,
    tensors_left: u64,
    strings_left: u64,
    key_is_alignment: bool,
    alignment: Option<u64>,
    name: Vec<u8>,
    dimensions: usize,
    tensors: Vec<Raw>,
}

#[derive(Debug)]
struct Raw {
    name: Vec<u8>,
    shape: Vec<u64>,
    number: u32,
    offset: u64,
}

enum Next {
    Go,
    End,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            token: Token::Start,
            seen: Vec::new(),
            want: 24,
            skip: 0,
            pos: 0,
            pairs_left: 0,
            tensors_left: 0,
            strings_left: 0,
            key_is_alignment: false,
            alignment: None,
            name: Vec::new(),
            dimensions: 0,
            tensors: Vec::new(),
        }
    }

    /// Takes bytes from the front of `window`; says how many, and where the header stands.
    pub(super) fn feed(&mut self, window: &[u8]) -> (usize, Progress) {
        let mut used = 0;
        loop {
            let left = window.len() - used;
            if self.skip > 0 {
                let take = usize::try_from(self.skip).map_or(left, |skip| skip.min(left));
                used += take;
                self.pos += take as u64;
                self.skip -= take as u64;
                if self.skip > 0 {
                    return (used, Progress::Needs(self.skip));
                }
                continue;
            }
            let take = (self.want - self.seen.len()).min(left);
            self.seen.extend_from_slice(&window[used..used + take]);
            used += take;
            self.pos += take as u64;
            if self.seen.len() < self.want {
                return (used, Progress::Needs((self.want - self.seen.len()) as u64));
            }
            let token = std::mem::take(&mut self.seen);
            match self.accept(&token) {
                Some(Next::Go) => {}
                Some(Next::End) => {
                    return (used, self.finish().map_or(Progress::Unknown, Progress::Header));
                }
                None => return (used, Progress::Unknown),
            }
            let known = self.pos.checked_add(self.skip);
            let known = known.and_then(|p| p.checked_add(self.want as u64));
            if known.is_none_or(|p| p > limits::MAX_TENSOR_HEADER_BYTES as u64) {
                return (used, Progress::Unknown);
            }
        }
    }

    fn expect(&mut self, token: Token, bytes: usize) -> Next {
        self.token = token;
        self.want = bytes;
        Next::Go
    }

    /// What comes after a pair or a tensor info.
    fn turn(&mut self) -> Next {
        if self.pairs_left > 0 {
            self.pairs_left -= 1;
            self.expect(Token::KeyLength, 8)
        } else if self.tensors_left > 0 {
            self.tensors_left -= 1;
            self.expect(Token::NameLength, 8)
        } else {
            Next::End
        }
    }

    /// What comes after a string in a value.
    fn next_string(&mut self) -> Next {
        if self.strings_left == 0 {
            return self.turn();
        }
        self.strings_left -= 1;
        self.expect(Token::StringLength, 8)
    }

    fn accept(&mut self, token: &[u8]) -> Option<Next> {
        Some(match self.token {
            Token::Start => {
                let version = u32_at(token, 4)?;
                if !token.starts_with(MAGIC) || !matches!(version, 2 | 3) {
                    return None;
                }
                self.tensors_left = u64_at(token, 8)?;
                self.pairs_left = u64_at(token, 16)?;
                self.turn()
            }
            Token::KeyLength => {
                let length = u64_at(token, 0)?;
                self.key_is_alignment = false;
                if length == ALIGNMENT_KEY.len() as u64 {
                    self.expect(Token::Key, ALIGNMENT_KEY.len())
                } else {
                    self.skip = length;
                    self.expect(Token::ValueType, 4)
                }
            }
            Token::Key => {
                self.key_is_alignment = token == ALIGNMENT_KEY;
                self.expect(Token::ValueType, 4)
            }
            Token::ValueType => match u32_at(token, 0)? {
                TYPE_U32 if self.key_is_alignment => self.expect(Token::Alignment, 4),
                _ if self.key_is_alignment => return None,
                TYPE_STRING => self.next_after(1),
                TYPE_ARRAY => self.expect(Token::ArrayHead, 12),
                scalar => {
                    self.skip = scalar_bytes(scalar)?;
                    self.turn()
                }
            },
            Token::Alignment => {
                let value = u64::from(u32_at(token, 0)?);
                let fits = value.is_power_of_two() && value <= MAX_ALIGNMENT;
                if !fits || self.alignment.is_some() {
                    return None;
                }
                self.alignment = Some(value);
                self.turn()
            }
            Token::StringLength => {
                self.skip = u64_at(token, 0)?;
                self.next_string()
            }
            Token::ArrayHead => {
                let count = u64_at(token, 4)?;
                match u32_at(token, 0)? {
                    TYPE_STRING => self.next_after(count),
                    scalar => {
                        self.skip = scalar_bytes(scalar)?.checked_mul(count)?;
                        self.turn()
                    }
                }
            }
            Token::NameLength => {
                let length = usize::try_from(u64_at(token, 0)?).ok()?;
                if length > limits::MAX_TENSOR_HEADER_BYTES {
                    return None;
                }
                self.expect(Token::Name, length)
            }
            Token::Name => {
                self.name = token.to_vec();
                self.expect(Token::DimensionCount, 4)
            }
            Token::DimensionCount => {
                let count = u32_at(token, 0)?;
                if count > MAX_DIMENSIONS {
                    return None;
                }
                self.dimensions = count as usize;
                self.expect(Token::Tail, self.dimensions * 8 + 12)
            }
            Token::Tail => {
                let shape = (0..self.dimensions).map(|i| u64_at(token, i * 8));
                let shape: Vec<u64> = shape.collect::<Option<_>>()?;
                self.tensors.push(Raw {
                    name: std::mem::take(&mut self.name),
                    shape,
                    number: u32_at(token, self.dimensions * 8)?,
                    offset: u64_at(token, self.dimensions * 8 + 4)?,
                });
                self.turn()
            }
        })
    }

    fn next_after(&mut self, strings: u64) -> Next {
        self.strings_left = strings;
        self.next_string()
    }

    /// The tensors with absolute offsets. A tensor of an unknown type has no known length and is left out.
    fn finish(&mut self) -> Option<Vec<TensorInfo>> {
        let alignment = self.alignment.unwrap_or(DEFAULT_ALIGNMENT);
        let data_start = self.pos.checked_next_multiple_of(alignment)?;
        let mut out = Vec::new();
        for raw in std::mem::take(&mut self.tensors) {
            if raw.offset % alignment != 0 {
                return None;
            }
            let Some((type_name, dtype)) = dtype::gguf(raw.number) else {
                continue;
            };
            let row = raw.shape.first().copied().unwrap_or(1);
            if row % dtype.unit_elements != 0 {
                return None;
            }
            let start = data_start.checked_add(raw.offset)?;
            out.push(TensorInfo {
                name: String::from_utf8_lossy(&raw.name).into_owned(),
                dtype: type_name.to_owned(),
                start,
                end: start.checked_add(dtype.total_bytes(&raw.shape)?)?,
                element: dtype.element,
                unit_bytes: dtype.unit_bytes,
                shape: raw.shape,
            });
        }
        Some(out)
    }
}

/// Where the payloads are; `None` when two overlap.
pub(super) fn payloads(tensors: &[TensorInfo]) -> Option<Vec<Payload>> {
    let of = |t: &TensorInfo| Payload {
        start: t.start,
        end: t.end,
        block_bytes: block_bytes(t.unit_bytes),
        element: t.element,
    };
    in_order(tensors.iter().map(of).collect())
}

fn scalar_bytes(number: u32) -> Option<u64> {
    Some(match number {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => return None,
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let (raw, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u32::from_le_bytes(*raw))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let (raw, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u64::from_le_bytes(*raw))
}
