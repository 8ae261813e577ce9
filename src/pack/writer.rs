//! Writing packs front to back.

use std::io::Write;

use super::footer::Footer;
use super::frame::{FrameMeta, FrameSpec};
use super::read::{ReadAt, read_range};
use super::scan::scan;
use super::wire::Fields;
use super::{Error, Result};
use crate::id::{Digest, PackId, to_hex};
use crate::limits::{MAX_PACK_BYTES, MAX_PACK_FOOTER_BYTES, MAX_PACK_RECORDS};

const MAGIC: [u8; 8] = *b"cladepak";
pub(super) const VERSION: u32 = 1;
/// Bytes of a pack's header, before its first frame.
pub const HEADER_BYTES: usize = 48;
/// How much is read at a time when an existing pack is hashed.
const HASH_WINDOW_BYTES: u64 = 4 << 20;

fn encode_header(pack_id: PackId) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend(0u32.to_le_bytes());
    out.extend(pack_id.0);
    out.extend([0; 16]);
    out
}

/// Refuses a pack that is encrypted.
pub(super) fn check_key(pack_id: PackId, key_id: [u8; 16]) -> Result<()> {
    if key_id == [0; 16] { Ok(()) } else { Err(Error::Encrypted { pack_id, key_id: to_hex(&key_id) }) }
}

/// Reads a pack's header and returns the name that it states.
pub fn read_pack_header<R: ReadAt + ?Sized>(pack: &R) -> Result<PackId> {
    let not = || Error::Magic { what: "pack" };
    if pack.len_bytes() < HEADER_BYTES as u64 {
        return Err(not());
    }
    let bytes = read_range(pack, 0, HEADER_BYTES)?;
    let mut fields = Fields(&bytes);
    if fields.array() != Some(MAGIC) {
        return Err(not());
    }
    let version = fields.u32().ok_or_else(not)?;
    if version != VERSION {
        return Err(Error::Version { what: "pack", version });
    }
    let flags = fields.u32().ok_or_else(not)?;
    let pack_id = PackId(fields.array().ok_or_else(not)?);
    check_key(pack_id, fields.array().ok_or_else(not)?)?;
    if flags != 0 {
        return Err(Error::Damaged { what: "pack header", offset: 0, reason: "flags are zero" });
    }
    Ok(pack_id)
}

/// A finished pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// What it holds.
    pub footer: Footer,
    /// Its size.
    pub size_bytes: u64,
    /// BLAKE3 of the whole file.
    pub digest: Digest,
}

/// Writes one pack. Nothing is buffered here and nothing made durable: that is the business of whoever gives
/// the `Write`.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    pack_id: PackId,
    hasher: blake3::Hasher,
    len_bytes: u64,
    record_count: usize,
    footer_bytes: u64,
    frames: Vec<FrameMeta>,
    poisoned: bool,
}

impl<W: Write> Writer<W> {
    /// Begins a pack: writes its header.
    pub fn new(out: W, pack_id: PackId) -> Result<Self> {
        let mut writer = Self::empty(out, pack_id);
        writer.put(&encode_header(pack_id))?;
        Ok(writer)
    }

    /// Continues an unfinished pack whose present bytes are `existing` and to whose end `out` appends.
    ///
    /// `existing` must be header and whole frames to the last byte: a torn end is first cut off at
    /// [`Scan::valid_len`](super::Scan::valid_len). The frames are taken over by their headers alone; whoever
    /// does not trust their payloads verifies them before.
    pub fn resume<R: ReadAt + ?Sized>(out: W, existing: &R) -> Result<Self> {
        let found = scan(existing)?;
        let len_bytes = existing.len_bytes();
        let Some(pack_id) = found.pack_id else {
            return Err(Error::Magic { what: "pack" });
        };
        if found.finished {
            return Err(Error::Limit { what: "pack", reason: "a finished pack takes no more frames" });
        }
        if found.torn || found.valid_len != len_bytes {
            return Err(Error::Torn { len_bytes, valid_bytes: found.valid_len });
        }
        let mut writer = Self::empty(out, pack_id);
        while writer.len_bytes < len_bytes {
            let len = HASH_WINDOW_BYTES.min(len_bytes - writer.len_bytes);
            let len = usize::try_from(len).expect("at most a window");
            let bytes = read_range(existing, writer.len_bytes, len)?;
            writer.hasher.update(&bytes);
            writer.len_bytes += len as u64;
        }
        for frame in found.frames {
            writer.note(frame)?;
        }
        Ok(writer)
    }

    fn empty(out: W, pack_id: PackId) -> Self {
        Self {
            out,
            pack_id,
            hasher: blake3::Hasher::new(),
            len_bytes: 0,
            record_count: 0,
            footer_bytes: 96,
            frames: Vec::new(),
            poisoned: false,
        }
    }

    /// Writes one frame: the payload is `spec`'s records, encoded by its codec. Returns what was written.
    ///
    /// A frame that breaks a limit of the format is refused and leaves the pack as it was. After a write
    /// error the writer is of no more use: cut the file back to [`Self::len_bytes`] and resume.
    pub fn append(&mut self, spec: FrameSpec, payload: &[u8]) -> Result<&FrameMeta> {
        let meta = spec.place(self.len_bytes, payload.len())?;
        self.admit(&meta)?;
        self.put(&meta.encode_header())?;
        if let Err(error) = self.put(payload) {
            self.len_bytes = meta.offset;
            return Err(error);
        }
        self.note(meta)?;
        Ok(self.frames.last().expect("just pushed"))
    }

    /// Ends the pack with footer and tail. A pack without frames is refused.
    pub fn finish(mut self) -> Result<(W, Finished)> {
        let frames = std::mem::take(&mut self.frames);
        let footer = Footer::new(self.pack_id, frames).map_err(|reason| Error::Limit { what: "pack", reason })?;
        self.put(&footer.encode())?;
        let finished = Finished { footer, size_bytes: self.len_bytes, digest: self.hasher.finalize().into() };
        Ok((self.out, finished))
    }

    /// The pack's name.
    #[must_use]
    pub fn pack_id(&self) -> PackId {
        self.pack_id
    }

    /// The frames so far.
    #[must_use]
    pub fn frames(&self) -> &[FrameMeta] {
        &self.frames
    }

    /// How many records the frames so far have.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.record_count
    }

    /// Bytes of header and frames so far.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// What the pack's size would be if it were finished now.
    #[must_use]
    pub fn finished_bytes(&self) -> u64 {
        self.len_bytes + self.footer_bytes
    }

    /// Where the bytes go, for flushing and syncing between frames.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Flushes what the `Write` holds back.
    pub fn flush(&mut self) -> Result<()> {
        let offset = self.len_bytes;
        self.out.flush().map_err(|source| {
            self.poisoned = true;
            Error::Io { action: "flushing", offset, source }
        })
    }

    fn footer_part(meta: &FrameMeta) -> u64 {
        // A header without magic (4) and check (16), with an offset (8).
        u64::from(meta.header_len) - 12
    }

    /// Refuses a frame with which the pack could not be finished any more.
    fn admit(&self, meta: &FrameMeta) -> Result<()> {
        let limit = |reason| Err(Error::Limit { what: "pack", reason });
        let footer = self.footer_bytes + Self::footer_part(meta);
        if self.record_count + meta.records.len() >= MAX_PACK_RECORDS {
            return limit("a pack has less than 2^24 records");
        }
        if footer > MAX_PACK_FOOTER_BYTES || meta.end() + footer > MAX_PACK_BYTES {
            return limit("a pack has at most 2 GiB, its footer 256 MiB");
        }
        Ok(())
    }

    fn note(&mut self, meta: FrameMeta) -> Result<()> {
        self.admit(&meta)?;
        self.record_count += meta.records.len();
        self.footer_bytes += Self::footer_part(&meta);
        self.frames.push(meta);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.poisoned {
            return Err(Error::Poisoned { pack_id: self.pack_id });
        }
        self.out.write_all(bytes).map_err(|source| {
            self.poisoned = true;
            Error::Io { action: "writing", offset: self.len_bytes, source }
        })?;
        self.hasher.update(bytes);
        self.len_bytes += bytes.len() as u64;
        Ok(())
    }
}
