//! Opening a segment and asking it.

use super::{END_MAGIC, ENTRY_BYTES, HEADER_BYTES, Layout, MAGIC, PACK_BYTES, TRAILER_BYTES, VERSION, filter};
use crate::id::{Digest, PackId, SegmentId};
use crate::limits::{MAX_PACK_RECORDS, MAX_SEGMENT_BYTES, MAX_SEGMENT_PACKS};
use crate::pack::wire::Fields;
use crate::pack::{Error, RecordKey, RecordKind, Result};

/// How much of a segment is checked when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Header, sizes and pack table: a few pages of the file. Damage to filter or entries can then hide a
    /// record, but never give a wrong one, because the footer has the last word.
    Quick,
    /// Also the digest over all bytes, and the order and bounds of all entries: any damage is found.
    Full,
}

/// One pack that a segment covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackEntry {
    /// The pack.
    pub pack_id: PackId,
    /// How many records it has, all of which are in the segment.
    pub record_count: u32,
    /// The pack's size.
    pub size_bytes: u64,
}

/// Where a record may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The pack.
    pub pack_id: PackId,
    /// The record's place among all records of the pack's footer.
    pub ordinal: u32,
}

/// An index segment over bytes that may be a mapped file. No alignment is needed.
#[derive(Debug)]
pub struct Segment<B> {
    bytes: B,
    segment_id: SegmentId,
    pack_count: u32,
    entry_count: u64,
    layout: Layout,
}

fn damaged<T>(offset: u64, reason: &'static str) -> Result<T> {
    Err(Error::Damaged { what: "segment", offset, reason })
}

impl<B: AsRef<[u8]>> Segment<B> {
    /// Opens a segment. The bytes must not change while it is open.
    pub fn open(bytes: B, check: Check) -> Result<Self> {
        let all = bytes.as_ref();
        let size = all.len() as u64;
        let mut fields = Fields(all);
        if fields.array() != Some(MAGIC) {
            return Err(Error::Magic { what: "segment" });
        }
        if all.len() < HEADER_BYTES + TRAILER_BYTES || size > MAX_SEGMENT_BYTES {
            return damaged(0, "its size is out of bounds");
        }
        let (header, _) = all.split_at(HEADER_BYTES);
        let mut fields = Fields(&header[MAGIC.len()..]);
        let short = || Error::Magic { what: "segment" };
        let version = fields.u32().ok_or_else(short)?;
        if version != VERSION {
            return Err(Error::Version { what: "segment", version });
        }
        let flags = fields.u32().ok_or_else(short)?;
        let segment_id = SegmentId(fields.array().ok_or_else(short)?);
        let pack_count = fields.u32().ok_or_else(short)?;
        let reserved = fields.u32().ok_or_else(short)?;
        let entry_count = fields.u64().ok_or_else(short)?;
        if flags != 0 || reserved != 0 {
            return damaged(0, "flags and reserved bytes are zero");
        }
        if pack_count as usize > MAX_SEGMENT_PACKS {
            return damaged(0, "it covers at most 1,048,576 packs");
        }
        let layout = Layout::of(pack_count, entry_count);
        let Some(layout) = layout.filter(|layout| layout.size() == Some(size)) else {
            return damaged(0, "its size is that of its sections");
        };
        let expected = [layout.packs, layout.filter, layout.entries, layout.trailer, 0, 0];
        for expected in expected {
            if fields.u64() != Some(expected) {
                return damaged(0, "its sections follow each other");
            }
        }
        if !all.ends_with(&END_MAGIC) {
            return damaged(layout.trailer, "it ends with its end magic");
        }
        let segment = Self { bytes, segment_id, pack_count, entry_count, layout };
        segment.check_packs()?;
        if check == Check::Full {
            segment.check_all()?;
        }
        Ok(segment)
    }

    fn check_packs(&self) -> Result<()> {
        let mut total = 0u64;
        let mut last: Option<PackId> = None;
        for pack in self.packs() {
            if last.is_some_and(|last| pack.pack_id <= last) {
                return damaged(self.layout.packs, "packs ascend by id");
            }
            if pack.record_count as usize >= MAX_PACK_RECORDS {
                return damaged(self.layout.packs, "a pack has less than 2^24 records");
            }
            total += u64::from(pack.record_count);
            last = Some(pack.pack_id);
        }
        let table = self.section(self.layout.packs, self.layout.filter);
        if table.chunks_exact(PACK_BYTES).any(|pack| pack[20..24] != [0; 4]) {
            return damaged(self.layout.packs, "reserved bytes are zero");
        }
        if total != self.entry_count {
            return damaged(self.layout.packs, "every record of every pack has an entry");
        }
        Ok(())
    }

    fn check_all(&self) -> Result<()> {
        let body = self.section(0, self.layout.trailer);
        let trailer = self.section(self.layout.trailer, self.layout.trailer + 32);
        if Digest::of(body).0 != trailer {
            return damaged(self.layout.trailer, "its digest does not hold");
        }
        let mut last = None;
        for at in 0..self.entry_count {
            let (prefix, pack, ordinal, _) = self.entry(at);
            if last.is_some_and(|last| (prefix, pack, ordinal) <= last) {
                return damaged(self.layout.entries, "entries ascend");
            }
            self.resolve(at)?;
            last = Some((prefix, pack, ordinal));
        }
        Ok(())
    }

    /// The segment's name.
    #[must_use]
    pub fn segment_id(&self) -> SegmentId {
        self.segment_id
    }

    /// How many records it lists.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        self.entry_count
    }

    /// How many packs it covers.
    #[must_use]
    pub fn pack_count(&self) -> u32 {
        self.pack_count
    }

    /// The packs that it covers, ascending by id.
    pub fn packs(&self) -> impl Iterator<Item = PackEntry> {
        (0..self.pack_count).filter_map(|slot| self.pack(slot))
    }

    fn pack(&self, slot: u32) -> Option<PackEntry> {
        let table = self.section(self.layout.packs, self.layout.filter);
        let start = usize::try_from(slot).ok()?.checked_mul(PACK_BYTES)?;
        let mut fields = Fields(table.get(start..)?);
        let pack_id = PackId(fields.array()?);
        let record_count = fields.u32()?;
        fields.u32()?;
        let size_bytes = fields.u64()?;
        Some(PackEntry { pack_id, record_count, size_bytes })
    }

    /// Whether the record can be in one of the packs. `false` is certain, `true` is wrong about once in 120.
    #[must_use]
    pub fn may_contain(&self, key: &RecordKey) -> bool {
        filter::contains(self.section(self.layout.filter, self.layout.entries), key)
    }

    /// Every place where the record may be: all entries of its kind with the same first eight bytes. Whether
    /// it is there, the pack's footer knows. An entry that points outside its pack is an error.
    pub fn lookup(&self, key: &RecordKey) -> Candidates<'_, B> {
        let prefix: [u8; 8] = key.id[..8].try_into().expect("eight bytes");
        let prefix = u64::from_be_bytes(prefix);
        let next = if self.may_contain(key) { self.lower_bound(prefix) } else { self.entry_count };
        Candidates { segment: self, prefix, kind: key.kind, next }
    }

    /// The first entry whose prefix is not below `prefix`.
    ///
    /// Ids are spread evenly, so the place is guessed and the guess widened until it holds the place; what is
    /// left is bisected. In a mapped file this touches two or three pages.
    fn lower_bound(&self, prefix: u64) -> u64 {
        let count = self.entry_count;
        let guess = (u128::from(prefix) * u128::from(count)) >> 64;
        let guess = u64::try_from(guess).expect("less than the count");
        let mut step = 64;
        let (mut low, mut high) = (guess, guess);
        while low > 0 && self.prefix(low - 1) >= prefix {
            low = low.saturating_sub(step);
            step *= 2;
        }
        step = 64;
        while high < count && self.prefix(high) < prefix {
            high = high.saturating_add(step).min(count);
            step *= 2;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.prefix(middle) < prefix {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn prefix(&self, at: u64) -> u64 {
        self.entry(at).0
    }

    /// Prefix, pack slot, ordinal and kind of an entry below the count.
    fn entry(&self, at: u64) -> (u64, u32, u32, RecordKind) {
        let start = self.layout.entries + at * ENTRY_BYTES as u64;
        let bytes = self.section(start, start + ENTRY_BYTES as u64);
        let prefix = u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes"));
        let pack = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
        let ordinal = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], 0]);
        (prefix, pack, ordinal, RecordKind(bytes[15]))
    }

    fn resolve(&self, at: u64) -> Result<Candidate> {
        let (_, pack, ordinal, _) = self.entry(at);
        let pack = self.pack(pack).filter(|_| pack < self.pack_count);
        match pack.filter(|pack| ordinal < pack.record_count) {
            Some(pack) => Ok(Candidate { pack_id: pack.pack_id, ordinal }),
            None => {
                damaged(self.layout.entries + at * ENTRY_BYTES as u64, "an entry points into a pack of the segment")
            }
        }
    }

    /// Bytes between two offsets that opening found to be inside the file.
    fn section(&self, from: u64, to: u64) -> &[u8] {
        let at = |offset| usize::try_from(offset).expect("inside a file that is in memory");
        &self.bytes.as_ref()[at(from)..at(to)]
    }
}

/// Where a record may be, from [`Segment::lookup`].
#[derive(Debug)]
pub struct Candidates<'a, B> {
    segment: &'a Segment<B>,
    prefix: u64,
    kind: RecordKind,
    next: u64,
}

impl<B: AsRef<[u8]>> Iterator for Candidates<'_, B> {
    type Item = Result<Candidate>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.segment.entry_count {
            let at = self.next;
            let (prefix, _, _, kind) = self.segment.entry(at);
            if prefix != self.prefix {
                self.next = self.segment.entry_count;
                return None;
            }
            self.next += 1;
            if kind == self.kind {
                return Some(self.segment.resolve(at));
            }
        }
        None
    }
}
