//! The Bloom filter of a segment: 10 bits a key, 7 probes.

use crate::pack::RecordKey;

const BITS_PER_KEY: u64 = 10;
const PROBES: u64 = 7;
/// Spreads the kind over 64 bits: 2^64 divided by the golden ratio.
const KIND_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bytes of the filter of a segment of `entry_count` entries: 10 bits each, rounded up to whole 64 bits.
pub(super) fn filter_bytes(entry_count: u64) -> Option<u64> {
    let words = entry_count.checked_mul(BITS_PER_KEY)?.div_ceil(64).max(1);
    words.checked_mul(8)
}

/// The two numbers from which the probes of a key follow.
pub(super) fn hashes(key: &RecordKey) -> (u64, u64) {
    let word = |at: usize| {
        let bytes: [u8; 8] = key.id[at..at + 8].try_into().expect("eight bytes");
        u64::from_le_bytes(bytes)
    };
    let kind = u64::from(key.kind.0).wrapping_mul(KIND_FACTOR);
    (word(8).wrapping_add(kind), word(16) | 1)
}

/// The bits of a key in a filter of `filter_bytes` bytes, as byte and mask.
fn probes((first, step): (u64, u64), filter_bytes: usize) -> impl Iterator<Item = (usize, u8)> {
    let bits = filter_bytes as u64 * 8;
    (0..PROBES).map(move |i| {
        let bit = first.wrapping_add(step.wrapping_mul(i)) % bits;
        let byte = usize::try_from(bit / 8).expect("less than the filter's length");
        (byte, 1 << (bit % 8))
    })
}

pub(super) fn insert(filter: &mut [u8], hashes: (u64, u64)) {
    for (byte, mask) in probes(hashes, filter.len()) {
        filter[byte] |= mask;
    }
}

/// Whether the key can be in the segment.
pub(super) fn contains(filter: &[u8], key: &RecordKey) -> bool {
    !filter.is_empty() && probes(hashes(key), filter.len()).all(|(byte, mask)| filter[byte] & mask != 0)
}
