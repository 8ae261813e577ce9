//! Building a segment from footers.

use super::{ENTRY_BYTES, Layout, MAGIC, VERSION, filter};
use crate::id::{PackId, SegmentId};
use crate::limits::{MAX_PACK_RECORDS, MAX_SEGMENT_BYTES, MAX_SEGMENT_PACKS};
use crate::pack::{Error, Footer, RecordKey, Result};

#[derive(Debug, Clone, Copy)]
struct Key {
    prefix: u64,
    pack: u32,
    ordinal: u32,
    kind: u8,
    hashes: (u64, u64),
}

/// Collects the records of packs and makes a segment of them. Memory: 40 bytes a record, and the segment.
#[derive(Debug, Default)]
pub struct SegmentBuilder {
    packs: Vec<(PackId, u32, u64)>,
    keys: Vec<Key>,
}

fn limit<T>(reason: &'static str) -> Result<T> {
    Err(Error::Limit { what: "segment", reason })
}

impl SegmentBuilder {
    /// A builder without packs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds all records of a pack of `size_bytes` bytes.
    pub fn add_footer(&mut self, footer: &Footer, size_bytes: u64) -> Result<()> {
        let keys = footer.records().map(|(_, record)| record.key);
        self.add_pack(footer.pack_id(), size_bytes, keys)
    }

    /// Adds a pack whose records are `keys`, in order of their ordinals.
    pub fn add_pack(
        &mut self,
        pack_id: PackId,
        size_bytes: u64,
        keys: impl IntoIterator<Item = RecordKey>,
    ) -> Result<()> {
        if self.packs.len() >= MAX_SEGMENT_PACKS {
            return limit("a segment covers at most 1,048,576 packs");
        }
        let pack = u32::try_from(self.packs.len()).expect("checked just before");
        let before = self.keys.len();
        for (ordinal, key) in keys.into_iter().enumerate() {
            let fits = u32::try_from(ordinal).ok();
            let fits = fits.filter(|&ordinal| (ordinal as usize) < MAX_PACK_RECORDS - 1);
            let Some(ordinal) = fits else {
                self.keys.truncate(before);
                return limit("a pack has less than 2^24 records");
            };
            let prefix: [u8; 8] = key.id[..8].try_into().expect("eight bytes");
            self.keys.push(Key {
                prefix: u64::from_be_bytes(prefix),
                pack,
                ordinal,
                kind: key.kind.0,
                hashes: filter::hashes(&key),
            });
        }
        let count = u32::try_from(self.keys.len() - before).expect("less than 2^24");
        self.packs.push((pack_id, count, size_bytes));
        Ok(())
    }

    /// How many records were added.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.keys.len()
    }

    /// The segment's bytes. The same packs give the same bytes but for the id, in whatever order they came; a
    /// pack added twice is refused.
    pub fn finish(mut self, segment_id: SegmentId) -> Result<Vec<u8>> {
        // Slots follow the pack ids, so that the order of adding leaves no trace.
        let count = self.packs.len();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&at| self.packs[at].0);
        if order.windows(2).any(|w| self.packs[w[0]].0 == self.packs[w[1]].0) {
            return limit("a pack is in a segment once");
        }
        let mut slots = vec![0u32; count];
        for (slot, &at) in order.iter().enumerate() {
            slots[at] = u32::try_from(slot).expect("no more slots than packs");
        }
        for key in &mut self.keys {
            key.pack = slots[key.pack as usize];
        }
        self.keys.sort_unstable_by_key(|k| (k.prefix, k.pack, k.ordinal));

        let pack_count = u32::try_from(count).expect("at most 1,048,576");
        let entry_count = self.keys.len() as u64;
        let layout =
            Layout::of(pack_count, entry_count).filter(|l| l.size().is_some_and(|size| size <= MAX_SEGMENT_BYTES));
        let Some(layout) = layout else {
            return limit("a segment has at most 4 GiB");
        };
        let size = |bytes: u64| usize::try_from(bytes).or_else(|_| limit("it exceeds memory"));
        let mut out = Vec::with_capacity(size(layout.trailer)? + super::TRAILER_BYTES);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        out.extend(segment_id.0);
        out.extend(pack_count.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        for number in [entry_count, layout.packs, layout.filter, layout.entries, layout.trailer, 0, 0] {
            out.extend(number.to_le_bytes());
        }
        for &at in &order {
            let (pack_id, records, size_bytes) = self.packs[at];
            out.extend(pack_id.0);
            out.extend(records.to_le_bytes());
            out.extend(0u32.to_le_bytes());
            out.extend(size_bytes.to_le_bytes());
        }
        let filter_at = out.len();
        out.resize(size(layout.entries)?, 0);
        for key in &self.keys {
            filter::insert(&mut out[filter_at..], key.hashes);
        }
        for key in &self.keys {
            let mut entry = [0u8; ENTRY_BYTES];
            entry[..8].copy_from_slice(&key.prefix.to_be_bytes());
            entry[8..12].copy_from_slice(&key.pack.to_le_bytes());
            entry[12..15].copy_from_slice(&key.ordinal.to_le_bytes()[..3]);
            entry[15] = key.kind;
            out.extend(entry);
        }
        let digest = blake3::hash(&out);
        out.extend(digest.as_bytes());
        out.extend(super::END_MAGIC);
        Ok(out)
    }
}
