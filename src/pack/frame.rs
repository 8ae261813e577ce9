//! Frames: what a header says, and whether decoded bytes are what it says.

use super::wire::Fields;
use super::{Error, RecordKey, RecordKind, Result};
use crate::id::{ChunkId, Digest};
use crate::limits::{
    FRAME_TARGET_BYTES, MAX_CHUNK_BYTES, MAX_DEPTH, MAX_FRAME_BASES, MAX_FRAME_RAW_BYTES, MAX_FRAME_RECORDS,
    MAX_PACK_BYTES,
};

/// What every frame begins with.
pub(super) const MAGIC: [u8; 4] = *b"cfrm";
/// Bytes of a header before the bases: magic, length and the numbers.
pub(super) const FIXED_BYTES: usize = 24;
/// Bytes of the check at a header's end.
const CHECK_BYTES: usize = 16;
const RECORD_BYTES: usize = 44;
const DIGEST_BYTES: usize = 32;
/// The longest header that the limits allow.
pub(super) const MAX_HEADER_BYTES: usize =
    FIXED_BYTES + MAX_FRAME_BASES * 32 + MAX_FRAME_RECORDS * (RECORD_BYTES + DIGEST_BYTES) + CHECK_BYTES;
const FLAG_DIGEST: u8 = 1;

/// One record of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordMeta {
    /// Kind and id.
    pub key: RecordKey,
    /// Where it begins in the frame's plain bytes.
    pub offset: u32,
    /// Its length in plain bytes, at least 1.
    pub len: u32,
    /// BLAKE3 of its plain bytes, exactly where the id is not that already.
    pub digest: Option<Digest>,
}

impl RecordMeta {
    /// The BLAKE3 that the record's plain bytes must have.
    #[must_use]
    pub fn plain_digest(&self) -> Digest {
        self.digest.unwrap_or(Digest(self.key.id))
    }

    /// Where the record lies in the frame's plain bytes.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset as usize..self.offset as usize + self.len as usize
    }
}

/// A frame to be written: how its payload is encoded and which records the plain bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FrameSpec {
    /// The codec's number; what it means is the codec registry's matter.
    pub codec: u8,
    /// 0 without bases, else 1 + the greatest depth of a base.
    pub depth: u8,
    /// The chunks whose plain bytes, one after the other, are the base; at most 64.
    pub bases: Vec<ChunkId>,
    records: Vec<RecordMeta>,
}

impl FrameSpec {
    /// A frame without bases and records.
    #[must_use]
    pub fn new(codec: u8) -> Self {
        Self { codec, ..Self::default() }
    }

    /// A frame that holds `records`, encoded by `codec` against the base `bases`.
    ///
    /// The records must be in order and without gaps, as [`PlainFrame`](super::PlainFrame) gives them;
    /// [`Writer::append`](super::Writer::append) checks it.
    #[must_use]
    pub fn with_records(codec: u8, depth: u8, bases: Vec<ChunkId>, records: Vec<RecordMeta>) -> Self {
        Self { codec, depth, bases, records }
    }

    /// Adds the record that begins where the last one ends. `plain` is its bytes; a digest is computed where
    /// the kind needs one.
    pub fn push(&mut self, key: RecordKey, plain: &[u8]) {
        let digest = (!key.kind.id_is_digest()).then(|| Digest::of(plain));
        // Out-of-range values are found by the check before writing.
        let len = u32::try_from(plain.len()).unwrap_or(u32::MAX);
        self.records.push(RecordMeta { key, offset: self.raw_len(), len, digest });
    }

    /// The records so far.
    #[must_use]
    pub fn records(&self) -> &[RecordMeta] {
        &self.records
    }

    /// The plain bytes of all records.
    #[must_use]
    pub fn raw_len(&self) -> u32 {
        let last = self.records.last();
        last.map_or(0, |record| record.offset.saturating_add(record.len))
    }

    /// Places the frame at `offset`. Refuses what the format cannot hold.
    pub(super) fn place(self, offset: u64, stored_len: usize) -> Result<FrameMeta> {
        let reason = "a payload is at most as long as the plain bytes";
        let limit = |reason| Error::Limit { what: "frame", reason };
        let raw_len = self.raw_len();
        let header_len = header_len(self.bases.len(), &self.records);
        let meta = FrameMeta {
            offset,
            header_len: u32::try_from(header_len).map_err(|_| limit("too many records"))?,
            codec: self.codec,
            depth: self.depth,
            stored_len: u32::try_from(stored_len).map_err(|_| limit(reason))?,
            raw_len,
            bases: self.bases,
            records: self.records,
        };
        meta.check().map_err(limit)?;
        Ok(meta)
    }
}

fn header_len(bases: usize, records: &[RecordMeta]) -> usize {
    let digests = records.iter().filter(|r| r.digest.is_some()).count();
    FIXED_BYTES + bases * 32 + records.len() * RECORD_BYTES + digests * DIGEST_BYTES + CHECK_BYTES
}

/// A frame of a pack, as its header and the footer describe it. Always within the format's limits when it
/// comes from a reader or a [`Writer`](super::Writer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameMeta {
    /// Where the header begins in the pack.
    pub offset: u64,
    /// Bytes of the header; the payload follows it.
    pub header_len: u32,
    /// The codec's number.
    pub codec: u8,
    /// 0 without bases, else 1 + the greatest depth of a base.
    pub depth: u8,
    /// Bytes of the payload.
    pub stored_len: u32,
    /// Plain bytes of all records.
    pub raw_len: u32,
    /// The chunks whose plain bytes, one after the other, are the base.
    pub bases: Vec<ChunkId>,
    /// The records, in order and without gaps.
    pub records: Vec<RecordMeta>,
}

impl FrameMeta {
    /// Where the payload begins in the pack.
    #[must_use]
    pub fn payload_offset(&self) -> u64 {
        self.offset + u64::from(self.header_len)
    }

    /// Where the frame ends in the pack.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.payload_offset() + u64::from(self.stored_len)
    }

    /// The bytes of the pack that hold header and payload.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<u64> {
        self.offset..self.end()
    }

    /// The same frame as a spec, for writing it unchanged into another pack.
    #[must_use]
    pub fn to_spec(&self) -> FrameSpec {
        FrameSpec { codec: self.codec, depth: self.depth, bases: self.bases.clone(), records: self.records.clone() }
    }

    /// The rule of the format that the frame breaks, if any.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let ensure = |holds: bool, rule| if holds { Ok(()) } else { Err(rule) };
        let records = self.records.len();
        ensure((1..=MAX_FRAME_RECORDS).contains(&records), "a frame has 1 to 4,096 records")?;
        ensure(self.bases.len() <= MAX_FRAME_BASES, "a frame has at most 64 bases")?;
        ensure(
            (self.depth == 0) == self.bases.is_empty() && self.depth <= MAX_DEPTH,
            "the depth is 0 exactly without bases, and at most 64",
        )?;
        let max = if records == 1 { MAX_FRAME_RAW_BYTES } else { FRAME_TARGET_BYTES };
        ensure(self.raw_len as usize <= max, "the plain bytes are at most 1 MiB, of a single record 4 MiB")?;
        ensure((1..=self.raw_len).contains(&self.stored_len), "a payload is at most as long as the plain bytes")?;
        let mut end = 0u32;
        for record in &self.records {
            ensure(record.offset == end, "records follow each other")?;
            ensure(record.len > 0, "a record has at least one byte")?;
            ensure(
                record.key.kind != RecordKind::DATA || record.len as usize <= MAX_CHUNK_BYTES,
                "a chunk has at most 256 KiB",
            )?;
            ensure(
                record.digest.is_none() == record.key.kind.id_is_digest(),
                "a digest stands exactly where the id is none",
            )?;
            end = end.checked_add(record.len).ok_or("the records add up to the plain bytes")?;
        }
        ensure(end == self.raw_len, "the records add up to the plain bytes")?;
        ensure(
            self.header_len as usize == header_len(self.bases.len(), &self.records),
            "the header's length is that of its parts",
        )?;
        let size = u64::from(self.header_len) + u64::from(self.stored_len);
        ensure(self.offset <= MAX_PACK_BYTES && self.offset + size <= MAX_PACK_BYTES, "a pack has at most 2 GiB")
    }

    /// Writes the header's fields without magic and check: what a footer has behind the offset.
    pub(super) fn put_body(&self, out: &mut Vec<u8>) {
        out.extend(self.header_len.to_le_bytes());
        let bases = u8::try_from(self.bases.len()).expect("checked: at most 64 bases");
        out.extend([self.codec, self.depth, bases, 0]);
        let records = u32::try_from(self.records.len()).expect("checked: at most 4,096 records");
        out.extend(records.to_le_bytes());
        out.extend(self.stored_len.to_le_bytes());
        out.extend(self.raw_len.to_le_bytes());
        for base in &self.bases {
            out.extend(base.0);
        }
        for record in &self.records {
            let flags = if record.digest.is_some() { FLAG_DIGEST } else { 0 };
            out.extend([record.key.kind.0, flags, 0, 0]);
            out.extend(record.offset.to_le_bytes());
            out.extend(record.len.to_le_bytes());
            out.extend(record.key.id);
            if let Some(digest) = record.digest {
                out.extend(digest.0);
            }
        }
    }

    /// Reads what [`Self::put_body`] writes and checks it. The error is the broken rule.
    pub(super) fn take_body(offset: u64, fields: &mut Fields<'_>) -> Result<Self, &'static str> {
        const SHORT: &str = "it ends early";
        let header_len = fields.u32().ok_or(SHORT)?;
        let [codec, depth, base_count, flags] = fields.array().ok_or(SHORT)?;
        let record_count = fields.u32().ok_or(SHORT)?;
        let stored_len = fields.u32().ok_or(SHORT)?;
        let raw_len = fields.u32().ok_or(SHORT)?;
        if flags != 0 {
            return Err("flags and reserved bytes are zero");
        }
        if usize::from(base_count) > MAX_FRAME_BASES {
            return Err("a frame has at most 64 bases");
        }
        if record_count as usize > MAX_FRAME_RECORDS {
            return Err("a frame has 1 to 4,096 records");
        }
        let mut bases = Vec::with_capacity(usize::from(base_count));
        for _ in 0..base_count {
            bases.push(ChunkId(fields.array().ok_or(SHORT)?));
        }
        let mut records = Vec::with_capacity(record_count as usize);
        for _ in 0..record_count {
            let kind = RecordKind(fields.u8().ok_or(SHORT)?);
            let flags = fields.u8().ok_or(SHORT)?;
            if flags & !FLAG_DIGEST != 0 || fields.u16().ok_or(SHORT)? != 0 {
                return Err("flags and reserved bytes are zero");
            }
            let offset = fields.u32().ok_or(SHORT)?;
            let len = fields.u32().ok_or(SHORT)?;
            let key = RecordKey::new(kind, fields.array().ok_or(SHORT)?);
            let digest = if flags == 0 { None } else { Some(Digest(fields.array().ok_or(SHORT)?)) };
            records.push(RecordMeta { key, offset, len, digest });
        }
        let meta = Self { offset, header_len, codec, depth, stored_len, raw_len, bases, records };
        meta.check()?;
        Ok(meta)
    }

    /// The header's bytes.
    pub(super) fn encode_header(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.header_len as usize);
        out.extend(MAGIC);
        self.put_body(&mut out);
        let check = blake3::hash(&out);
        out.extend(&check.as_bytes()[..CHECK_BYTES]);
        out
    }

    /// Reads a header from the front of `bytes`, which begin at `offset` of the pack. The error is the
    /// broken rule.
    pub(super) fn decode_header(offset: u64, bytes: &[u8]) -> Result<Self, &'static str> {
        let mut fields = Fields(bytes);
        if fields.array() != Some(MAGIC) {
            return Err("it does not begin with its magic");
        }
        let meta = Self::take_body(offset, &mut fields)?;
        let body = bytes.len() - fields.0.len();
        let check = blake3::hash(&bytes[..body]);
        match fields.bytes(CHECK_BYTES) {
            Some(found) if found == &check.as_bytes()[..CHECK_BYTES] => Ok(meta),
            Some(_) => Err("its check does not hold"),
            None => Err("it ends early"),
        }
    }
}

/// Splits the bytes of a whole frame ([`FrameMeta::range`]) and returns the payload, after checking that the
/// header is the one that `meta` describes.
pub fn split_frame<'a>(meta: &FrameMeta, bytes: &'a [u8]) -> Result<&'a [u8]> {
    let mismatch = || Error::FrameMismatch { offset: meta.offset };
    let (header, payload) = bytes.split_at_checked(meta.header_len as usize).ok_or_else(mismatch)?;
    if payload.len() != meta.stored_len as usize || header != meta.encode_header() {
        return Err(mismatch());
    }
    Ok(payload)
}

/// Checks that `plain`, a decoded payload, is what the frame says: its length and the BLAKE3 of every record.
///
/// The records cover all of it, so bytes that pass are right to the last bit.
pub fn verify_frame(meta: &FrameMeta, plain: &[u8]) -> Result<()> {
    if plain.len() != meta.raw_len as usize {
        return Err(Error::FrameLength {
            offset: meta.offset,
            expected_bytes: u64::from(meta.raw_len),
            actual_bytes: plain.len() as u64,
        });
    }
    for record in &meta.records {
        let bytes = plain.get(record.range()).ok_or(Error::FrameMismatch { offset: meta.offset })?;
        let (expected, actual) = (record.plain_digest(), Digest::of(bytes));
        if expected != actual {
            return Err(Error::RecordDigest { key: record.key, offset: meta.offset, expected, actual });
        }
    }
    Ok(())
}
