//! Reversible encodings of chunks and frames.
//!
//! [`encode`] chooses: a cheap look at samples says whether bytes can shrink at all, and what is given up costs
//! next to nothing. What it returns is never longer than the plain bytes and has been decoded and compared.
//! [`decode`] trusts nothing: lengths are checked before memory is taken, and the length demanded is exact. It
//! does not check content; readers compare the result's BLAKE3 with the id they asked for.
//!
//! Encoded bytes are not identity: another version may encode the same chunk otherwise, and any encoding that
//! decodes to the chunk is valid. `docs/reference/formats/codecs.md` describes the payloads.

mod predict;
mod zstandard;

use std::borrow::Cow;

use crate::limits;

/// How a payload was encoded: the one-byte registry of `docs/reference/formats/codecs.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// The plain bytes themselves.
    Raw,
    /// One zstd frame.
    Zstd,
}

impl Codec {
    /// The number that formats store.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Zstd => 1,
        }
    }
}

impl TryFrom<u8> for Codec {
    type Error = Error;

    fn try_from(number: u8) -> Result<Self, Error> {
        match number {
            0 => Ok(Self::Raw),
            1 => Ok(Self::Zstd),
            number => Err(Error::UnknownCodec { number }),
        }
    }
}

/// What the caller knows about bytes before they are encoded. A wrong hint costs size or time, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Text, tables, metadata, or not known.
    Plain,
    /// Floating-point numbers of this many bytes each.
    Float {
        /// 1, 2, 4 or 8.
        bytes: u8,
    },
    /// Numbers of an unknown or quantised type.
    Opaque,
}

/// Encoded bytes with what it takes to decode them; the plain length is the caller's to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encoded<'a> {
    /// How they were encoded.
    pub codec: Codec,
    /// The bytes to store, at most as many as the plain ones. Borrowed when they are the plain ones.
    pub payload: Cow<'a, [u8]>,
}

/// Why a payload cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The number stands for no codec known here; a newer clade may have written it.
    #[error("codec {number} is not known to this version of clade")]
    UnknownCodec {
        /// The number.
        number: u8,
    },
    /// The plain length is announced to be more than any frame holds.
    #[error("a payload announces {raw_bytes} plain bytes, at most {max_bytes} are allowed")]
    TooLong {
        /// The announced length.
        raw_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// The payload decodes to another length than announced.
    #[error("a {codec:?} payload of {stored_bytes} bytes decodes to {actual_bytes}, not {expected_bytes}")]
    WrongLength {
        /// How it was encoded.
        codec: Codec,
        /// Length of the payload.
        stored_bytes: usize,
        /// The announced plain length.
        expected_bytes: usize,
        /// The length found.
        actual_bytes: usize,
    },
    /// The payload is not one of its codec, or decodes to more than announced.
    #[error("a {codec:?} payload of {stored_bytes} bytes for {expected_bytes} plain ones is damaged")]
    Damaged {
        /// How it was encoded.
        codec: Codec,
        /// Length of the payload.
        stored_bytes: usize,
        /// The announced plain length.
        expected_bytes: usize,
    },
    /// A base was given for a codec that uses none: whatever named the base is damaged.
    #[error("a {codec:?} payload has no base, one of {base_bytes} bytes was given")]
    UnexpectedBase {
        /// How it was encoded.
        codec: Codec,
        /// Length of the base.
        base_bytes: usize,
    },
}

/// Encodes `plain` without a base, in the smallest form that is worth its decoding.
///
/// Bytes longer than [`limits::MAX_FRAME_RAW_BYTES`], which no reader would take, come back raw; splitting them
/// is the caller's job. Thread-safe; each thread keeps its working memory of about 2 MiB.
///
/// ```
/// use clade::codec::{Codec, Hint, decode, encode};
/// let plain = b"to be or not to be, ".repeat(100);
/// let encoded = encode(Hint::Plain, &plain);
/// assert_eq!(encoded.codec, Codec::Zstd);
/// let back = decode(encoded.codec, &encoded.payload, plain.len(), None)?;
/// assert_eq!(back, plain);
/// # Ok::<(), clade::codec::Error>(())
/// ```
#[must_use]
pub fn encode(hint: Hint, plain: &[u8]) -> Encoded<'_> {
    let raw = Encoded { codec: Codec::Raw, payload: Cow::Borrowed(plain) };
    if plain.len() > limits::MAX_FRAME_RAW_BYTES {
        return raw;
    }
    let Some(level) = predict::level(hint, plain) else {
        return raw;
    };
    let Some(payload) = zstandard::encode(level, plain) else {
        return raw;
    };
    let encoded = Encoded { codec: Codec::Zstd, payload: Cow::Owned(payload) };
    // A fault of memory or of the library must not become a chunk that nobody can read.
    match decode(encoded.codec, &encoded.payload, plain.len(), None) {
        Ok(back) if back == plain => encoded,
        _ => raw,
    }
}

/// Decodes `payload` into exactly `raw_bytes` plain bytes. `base` is the concatenation of the plain bases that
/// the frame names, and `None` when it names none.
///
/// # Errors
/// Every way in which the arguments do not fit each other; the payload may be hostile.
pub fn decode(codec: Codec, payload: &[u8], raw_bytes: usize, base: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    if raw_bytes > limits::MAX_FRAME_RAW_BYTES {
        return Err(Error::TooLong { raw_bytes, max_bytes: limits::MAX_FRAME_RAW_BYTES });
    }
    if let Some(base) = base {
        let base_bytes = base.len();
        return Err(Error::UnexpectedBase { codec, base_bytes });
    }
    let plain = match codec {
        Codec::Raw if payload.len() == raw_bytes => Some(payload.to_vec()),
        Codec::Raw => {
            return Err(Error::WrongLength {
                codec,
                stored_bytes: payload.len(),
                expected_bytes: raw_bytes,
                actual_bytes: payload.len(),
            });
        }
        Codec::Zstd => zstandard::decode(payload, raw_bytes),
    };
    match plain {
        Some(plain) if plain.len() == raw_bytes => Ok(plain),
        Some(plain) => Err(Error::WrongLength {
            codec,
            stored_bytes: payload.len(),
            expected_bytes: raw_bytes,
            actual_bytes: plain.len(),
        }),
        None => Err(Error::Damaged { codec, stored_bytes: payload.len(), expected_bytes: raw_bytes }),
    }
}

#[cfg(test)]
mod tests;
