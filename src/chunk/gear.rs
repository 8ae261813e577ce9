//! Content-defined cuts: gear hash, two masks, fixed limits.

use gearhash::{DEFAULT_TABLE, Hasher};

use crate::id::Digest;
use crate::limits;

/// Least length of a chunk that is cut by content.
pub(super) const MIN_BYTES: usize = 16 * 1024;
/// Up to this length the strict mask decides, from here on the loose one.
pub(super) const NORMAL_BYTES: usize = 64 * 1024;
/// Greatest length of a chunk.
pub(super) const MAX_BYTES: usize = limits::MAX_CHUNK_BYTES;
/// How many bytes the hash depends on: its 64 bits shift by one at each byte.
pub(super) const HASH_BYTES: usize = 64;

/// Mask of the highest `bits`.
const fn high(bits: u32) -> u64 {
    u64::MAX << (64 - bits)
}

pub(super) const STRICT_MASK: u64 = high(18);
pub(super) const LOOSE_MASK: u64 = high(14);

/// Length of the chunk at the front of `bytes`, which are all there are up to the segment's end, or at least
/// [`MAX_BYTES`].
pub(super) fn cut(bytes: &[u8]) -> usize {
    let end = bytes.len().min(MAX_BYTES);
    if end <= MIN_BYTES {
        return end;
    }
    let mut hasher = Hasher::default();
    // The hash at each candidate is that of the 64 bytes before it, whatever the chunk's start.
    hasher.update(&bytes[MIN_BYTES - HASH_BYTES..MIN_BYTES - 1]);
    let normal = NORMAL_BYTES.min(end);
    if let Some(used) = hasher.next_match(&bytes[MIN_BYTES - 1..normal], STRICT_MASK) {
        return MIN_BYTES - 1 + used;
    }
    if let Some(used) = hasher.next_match(&bytes[normal..end], LOOSE_MASK) {
        return normal + used;
    }
    end
}

/// BLAKE3 of the gear table, its 256 numbers as little-endian `u64`: what the documentation of profile 1 states.
#[must_use]
pub fn table_digest() -> Digest {
    let mut hasher = blake3::Hasher::new();
    for number in &DEFAULT_TABLE {
        hasher.update(&number.to_le_bytes());
    }
    hasher.finalize().into()
}
