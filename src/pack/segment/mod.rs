//! Index segments: which pack holds a record.
//!
//! A segment lists every record of some packs by the first eight bytes of its id, with a filter in front that
//! answers most misses. It is derived from the packs' footers and can be thrown away at any time. An answer
//! is a candidate: the pack's footer has the whole id.

mod build;
mod filter;
mod open;

pub use build::SegmentBuilder;
pub use open::{Candidate, Candidates, Check, PackEntry, Segment};

pub(super) const MAGIC: [u8; 8] = *b"cladeseg";
pub(super) const END_MAGIC: [u8; 8] = *b"cladeend";
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 96;
pub(super) const PACK_BYTES: usize = 32;
pub(super) const ENTRY_BYTES: usize = 16;
/// Digest and end magic.
pub(super) const TRAILER_BYTES: usize = 40;

/// Where the sections of a segment are, in bytes from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    packs: u64,
    filter: u64,
    entries: u64,
    trailer: u64,
}

impl Layout {
    /// The one layout for these counts; none where the numbers leave 64 bits.
    fn of(pack_count: u32, entry_count: u64) -> Option<Self> {
        let packs = HEADER_BYTES as u64;
        let filter = packs.checked_add(u64::from(pack_count).checked_mul(PACK_BYTES as u64)?)?;
        let entries = filter.checked_add(filter::filter_bytes(entry_count)?)?;
        let trailer = entries.checked_add(entry_count.checked_mul(ENTRY_BYTES as u64)?)?;
        Some(Self { packs, filter, entries, trailer })
    }

    fn size(&self) -> Option<u64> {
        self.trailer.checked_add(TRAILER_BYTES as u64)
    }
}

#[cfg(test)]
mod tests;
