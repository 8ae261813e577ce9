//! The footer: every frame header again, in one place, under one digest.

use super::frame::FrameMeta;
use super::wire::Fields;
use super::writer::{HEADER_BYTES, check_key};
use super::{Error, RecordMeta, Result};
use crate::id::{Digest, PackId};
use crate::limits::{MAX_PACK_BYTES, MAX_PACK_FOOTER_BYTES, MAX_PACK_RECORDS};

const MAGIC: [u8; 4] = *b"cftr";
const END_MAGIC: [u8; 8] = *b"cladeend";
const FIXED_BYTES: usize = 48;
/// Bytes of the tail, the last thing in a finished pack.
pub const TAIL_BYTES: usize = 48;

/// The last bytes of a pack: where its footer is and what its digest must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// Bytes of the footer, which ends where the tail begins.
    pub footer_len: u64,
    /// BLAKE3 of the footer.
    pub footer_digest: Digest,
}

impl Tail {
    /// Reads the last [`TAIL_BYTES`] bytes of a pack of `pack_bytes` bytes.
    pub fn decode(bytes: &[u8; TAIL_BYTES], pack_bytes: u64) -> Result<Self> {
        let none = |reason| Error::NoFooter { reason };
        let (len, rest) = bytes.split_first_chunk::<8>().expect("48 is more than 8");
        let (digest, end) = rest.split_first_chunk::<32>().expect("40 is more than 32");
        if end != END_MAGIC {
            return Err(none("the end magic is missing"));
        }
        let footer_len = u64::from_le_bytes(*len);
        let room = pack_bytes.checked_sub((HEADER_BYTES + TAIL_BYTES) as u64);
        if room.is_none_or(|room| footer_len > room)
            || footer_len < FIXED_BYTES as u64
            || footer_len > MAX_PACK_FOOTER_BYTES
            || pack_bytes > MAX_PACK_BYTES
        {
            return Err(none("its length is out of bounds"));
        }
        Ok(Self { footer_len, footer_digest: Digest(*digest) })
    }

    /// Where the footer begins in a pack of `pack_bytes` bytes, for which this tail was read.
    #[must_use]
    pub fn footer_offset(&self, pack_bytes: u64) -> u64 {
        pack_bytes.saturating_sub(self.footer_len + TAIL_BYTES as u64)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = self.footer_len.to_le_bytes().to_vec();
        out.extend(self.footer_digest.0);
        out.extend(END_MAGIC);
        out
    }
}

/// What a pack holds. A record's ordinal is its place among all records of the pack, in frame order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    pack_id: PackId,
    frames: Vec<FrameMeta>,
    /// The ordinal of each frame's first record.
    firsts: Vec<u32>,
    record_count: u32,
}

impl Footer {
    /// A footer over `frames`, which follow each other from the pack's header on.
    pub(super) fn new(pack_id: PackId, frames: Vec<FrameMeta>) -> Result<Self, &'static str> {
        let mut firsts = Vec::with_capacity(frames.len());
        let mut records = 0usize;
        let mut end = HEADER_BYTES as u64;
        for frame in &frames {
            if frame.offset != end {
                return Err("frames follow each other from the pack's header on");
            }
            end = frame.end();
            firsts.push(u32::try_from(records).map_err(|_| "a pack has less than 2^24 records")?);
            records += frame.records.len();
            if records >= MAX_PACK_RECORDS {
                return Err("a pack has less than 2^24 records");
            }
        }
        if frames.is_empty() {
            return Err("a pack has at least one frame");
        }
        Ok(Self {
            pack_id,
            frames,
            firsts,
            record_count: u32::try_from(records).map_err(|_| "a pack has less than 2^24 records")?,
        })
    }

    /// The pack's name, as the pack itself states it.
    #[must_use]
    pub fn pack_id(&self) -> PackId {
        self.pack_id
    }

    /// All frames, in order of their offsets.
    #[must_use]
    pub fn frames(&self) -> &[FrameMeta] {
        &self.frames
    }

    /// How many records all frames have.
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.record_count
    }

    /// The record with the given ordinal, and its frame.
    #[must_use]
    pub fn record(&self, ordinal: u32) -> Option<(&FrameMeta, &RecordMeta)> {
        let at = self.firsts.partition_point(|&first| first <= ordinal);
        let at = at.checked_sub(1)?;
        let frame = self.frames.get(at)?;
        let record = frame.records.get((ordinal - self.firsts[at]) as usize)?;
        Some((frame, record))
    }

    /// All records in order of their ordinals, with their frames.
    pub fn records(&self) -> impl Iterator<Item = (&FrameMeta, &RecordMeta)> {
        let one = |frame| move |record| (frame, record);
        self.frames.iter().flat_map(move |frame| frame.records.iter().map(one(frame)))
    }

    /// Where the last frame ends and the footer begins.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.frames.last().map_or(HEADER_BYTES as u64, FrameMeta::end)
    }

    /// Footer and tail, as they end a pack.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(super::writer::VERSION.to_le_bytes());
        out.extend(self.pack_id.0);
        out.extend([0; 16]);
        let frames = u32::try_from(self.frames.len()).expect("no more frames than records");
        out.extend(frames.to_le_bytes());
        out.extend(self.record_count.to_le_bytes());
        for frame in &self.frames {
            out.extend(frame.offset.to_le_bytes());
            frame.put_body(&mut out);
        }
        let tail = Tail { footer_len: out.len() as u64, footer_digest: Digest::of(&out) };
        out.extend(tail.encode());
        out
    }

    /// Reads a footer of a pack of `pack_bytes` bytes. `bytes` are exactly those that `tail` tells of.
    ///
    /// The pack's header is not looked at; [`read_footer`](super::read_footer) does that too.
    pub fn decode(bytes: &[u8], tail: &Tail, pack_bytes: u64) -> Result<Self> {
        let offset = tail.footer_offset(pack_bytes);
        let damaged = |reason| Error::Damaged { what: "pack footer", offset, reason };
        if bytes.len() as u64 != tail.footer_len || Digest::of(bytes) != tail.footer_digest {
            return Err(damaged("its digest does not hold"));
        }
        let short = || damaged("it ends early");
        let mut fields = Fields(bytes);
        if fields.array() != Some(MAGIC) {
            return Err(damaged("it does not begin with its magic"));
        }
        let version = fields.u32().ok_or_else(short)?;
        if version != super::writer::VERSION {
            return Err(Error::Version { what: "pack footer", version });
        }
        let pack_id = PackId(fields.array().ok_or_else(short)?);
        check_key(pack_id, fields.array().ok_or_else(short)?)?;
        let frame_count = fields.u32().ok_or_else(short)?;
        let record_count = fields.u32().ok_or_else(short)?;
        // Each frame takes more than this many bytes, so a hostile count cannot size the list.
        let most = bytes.len() / super::frame::FIXED_BYTES;
        if frame_count as usize > most {
            return Err(short());
        }
        let mut frames = Vec::with_capacity(frame_count as usize);
        for _ in 0..frame_count {
            let at = fields.u64().ok_or_else(short)?;
            frames.push(FrameMeta::take_body(at, &mut fields).map_err(damaged)?);
        }
        if !fields.0.is_empty() {
            return Err(damaged("bytes follow the last frame"));
        }
        let footer = Self::new(pack_id, frames).map_err(damaged)?;
        if footer.record_count != record_count {
            return Err(damaged("the record count is that of the frames"));
        }
        if footer.offset() != offset {
            return Err(damaged("it begins where the last frame ends"));
        }
        Ok(footer)
    }
}
