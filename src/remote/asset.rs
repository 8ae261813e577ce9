//! Asset entries: where all bytes of one version are, so that a restore needs neither the log nor segments.
//!
//! An entry is advisory. Whoever reads through it verifies every record by its digest; a missing or wrong
//! entry only sends the reader to the log.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{ContentId, Digest, PackId, SessionId};
use crate::limits::{MAX_ASSET_ENTRY_BYTES, MAX_PACK_BYTES};
use crate::remote::entry::content;
use crate::remote::error::{Error, Result};
use crate::remote::key::Key;
use crate::remote::ranges::RangeRequest;
use crate::remote::request::Settled;
use crate::remote::transport::Transport;
use crate::remote::wire;

const ASSET_VERSION: u32 = 1;
/// Bytes of one id in the id column.
const ID_LEN: usize = 32;

/// Where the bytes of one version are.
///
/// Every record that a restore needs is in [`AssetEntry::records`] or in [`AssetEntry::inline`]: the recipes
/// and pages that describe the content, its chunks, and the chunks that any of them needs as a base, down to
/// frames without a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetEntry {
    /// The version's content.
    pub content: ContentId,
    /// Plain size of all its files.
    pub size_bytes: u64,
    /// How many files it has; 1 for a file.
    pub file_count: u64,
    /// Small records that are needed first, in the entry itself: a file's recipe, a tree's root page.
    pub inline: Vec<InlineRecord>,
    /// Packs that [`AssetEntry::frames`] counts by index.
    pub packs: Vec<PackPlace>,
    /// Frames, strictly ascending by pack index and offset, so that reads of neighbours can be joined.
    pub frames: Vec<FrameRef>,
    /// Records, strictly ascending by kind and id.
    pub records: Vec<RecordPlace>,
}

/// A record whose plain bytes are in the entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InlineRecord {
    /// Its kind, by the registry of the pack format.
    pub kind: u8,
    /// Its key, as pack footers name it.
    pub id: Digest,
    /// Its plain bytes.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// A pack that holds frames of the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PackPlace {
    /// The session that uploaded it.
    pub sid: SessionId,
    /// Its name.
    pub pack: PackId,
}

/// The bytes of one frame in its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameRef {
    /// Index into [`AssetEntry::packs`].
    pub pack: u32,
    /// Where its header begins.
    pub offset: u64,
    /// Length of header and payload in bytes.
    pub len: u32,
}

/// Which frame holds a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordPlace {
    /// Its kind, by the registry of the pack format.
    pub kind: u8,
    /// Its key, as pack footers name it.
    pub id: Digest,
    /// Index into [`AssetEntry::frames`].
    pub frame: u32,
    /// Its position among the records of the frame, from 0.
    pub record: u32,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u32,
    form: String,
    id: Digest,
    size_bytes: u64,
    file_count: u64,
    inline: Vec<InlineRecord>,
    packs: Vec<PackPlace>,
    frames: Vec<(u32, u64, u32)>,
    #[serde(with = "serde_bytes")]
    record_kinds: Vec<u8>,
    #[serde(with = "serde_bytes")]
    record_ids: Vec<u8>,
    record_places: Vec<(u32, u32)>,
}

impl AssetEntry {
    /// The file's bytes. Sorts nothing: see [`AssetEntry::decode`] for what a reader insists on.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut ids = Vec::with_capacity(self.records.len() * ID_LEN);
        self.records.iter().for_each(|r| ids.extend_from_slice(r.id.as_bytes()));
        wire::encode(&Wire {
            v: ASSET_VERSION,
            form: self.content.form().to_owned(),
            id: Digest(*self.content.as_bytes()),
            size_bytes: self.size_bytes,
            file_count: self.file_count,
            inline: self.inline.clone(),
            packs: self.packs.clone(),
            frames: self.frames.iter().map(|f| (f.pack, f.offset, f.len)).collect(),
            record_kinds: self.records.iter().map(|r| r.kind).collect(),
            record_ids: ids,
            record_places: self.records.iter().map(|r| (r.frame, r.record)).collect(),
        })
    }

    /// Reads the file found under `key`.
    ///
    /// # Errors
    /// [`Error::Malformed`] when columns differ in length, an index points nowhere, a frame does not fit a
    /// pack, or frames or records are not strictly ascending.
    pub fn decode(key: &str, bytes: &[u8]) -> Result<Self> {
        let bad = |detail: &str| Error::Malformed { key: key.to_owned(), detail: detail.to_owned() };
        let wire: Wire = wire::decode(key, wire::open(key, bytes, ASSET_VERSION)?)?;
        let content = content(&wire.form, wire.id).map_err(|e| bad(&e))?;
        let (ids, rest) = wire.record_ids.as_chunks::<ID_LEN>();
        let count = wire.record_places.len();
        if !rest.is_empty() || ids.len() != count || wire.record_kinds.len() != count {
            return Err(bad("the record columns differ in length"));
        }
        let frames: Vec<FrameRef> =
            wire.frames.into_iter().map(|(pack, offset, len)| FrameRef { pack, offset, len }).collect();
        for frame in &frames {
            if frame.pack as usize >= wire.packs.len() {
                return Err(bad("a frame in a pack that is not listed"));
            }
            let end = frame.offset.checked_add(u64::from(frame.len));
            if end.is_none_or(|end| end > MAX_PACK_BYTES) {
                return Err(bad("a frame beyond the end of any pack"));
            }
        }
        let records: Vec<RecordPlace> = ids
            .iter()
            .zip(&wire.record_kinds)
            .zip(&wire.record_places)
            .map(|((id, kind), (frame, record))| RecordPlace {
                kind: *kind,
                id: Digest(*id),
                frame: *frame,
                record: *record,
            })
            .collect();
        if records.iter().any(|r| r.frame as usize >= frames.len()) {
            return Err(bad("a record in a frame that is not listed"));
        }
        if !frames.is_sorted_by(|a, b| (a.pack, a.offset) < (b.pack, b.offset)) {
            return Err(bad("frames out of order"));
        }
        if !records.is_sorted_by(|a, b| (a.kind, a.id) < (b.kind, b.id)) {
            return Err(bad("records out of order"));
        }
        Ok(Self {
            content,
            size_bytes: wire.size_bytes,
            file_count: wire.file_count,
            inline: wire.inline,
            packs: wire.packs,
            frames,
            records,
        })
    }

    /// Where the record of `kind` keyed by `id` is.
    #[must_use]
    pub fn find(&self, kind: u8, id: &Digest) -> Option<&RecordPlace> {
        let at = self.records.binary_search_by(|r| (r.kind, r.id).cmp(&(kind, *id)));
        at.ok().and_then(|i| self.records.get(i))
    }

    /// The plain bytes of an inline record; not verified.
    #[must_use]
    pub fn find_inline(&self, kind: u8, id: &Digest) -> Option<&[u8]> {
        let found = self.inline.iter().find(|r| r.kind == kind && r.id == *id);
        found.map(|r| r.bytes.as_slice())
    }

    /// The range to read for frame `index`.
    #[must_use]
    pub fn range(&self, index: u32) -> Option<RangeRequest> {
        let frame = self.frames.get(index as usize)?;
        let pack = self.packs.get(frame.pack as usize)?;
        Some(RangeRequest { key: Key::Pack(pack.sid, pack.pack), offset: frame.offset, len: u64::from(frame.len) })
    }
}

/// Writes the entry unless one is there already. Returns whether it was written.
///
/// # Errors
/// Those of the transport, and [`Error::TooLarge`]. Callers may go on after any of them: the version is
/// complete without its entry.
pub fn publish_asset(transport: &Transport, entry: &AssetEntry) -> Result<bool> {
    let key = Key::Asset(entry.content);
    let bytes = Bytes::from(entry.encode());
    if bytes.len() > MAX_ASSET_ENTRY_BYTES {
        return Err(Error::TooLarge {
            key: key.to_string(),
            actual_bytes: bytes.len() as u64,
            limit_bytes: MAX_ASSET_ENTRY_BYTES as u64,
        });
    }
    let settled = transport.create_settled(&key, &bytes, MAX_ASSET_ENTRY_BYTES as u64)?;
    Ok(settled == Settled::Created)
}

/// The entry of `content`, or `None` when there is none. One request.
///
/// # Errors
/// Those of the transport, and of a damaged entry ([`Error::is_integrity`], [`Error::TooLarge`],
/// [`Error::NewerNeeded`]): after these a reader goes on with the log.
pub fn fetch_asset(transport: &Transport, content: &ContentId) -> Result<Option<AssetEntry>> {
    let key = Key::Asset(*content);
    let Some(bytes) = transport.get_limited(&key, MAX_ASSET_ENTRY_BYTES as u64)? else {
        return Ok(None);
    };
    let entry = AssetEntry::decode(&key.to_string(), &bytes)?;
    if entry.content != *content {
        return Err(Error::Corrupt {
            key: key.to_string(),
            expected: format!("the entry of {content}"),
            actual: format!("the entry of {}", entry.content),
        });
    }
    Ok(Some(entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::FileId;

    fn sample() -> AssetEntry {
        let record = |kind, id: u8, frame, record| RecordPlace { kind, id: Digest([id; 32]), frame, record };
        AssetEntry {
            content: ContentId::File(FileId([9; 32])),
            size_bytes: 300,
            file_count: 1,
            inline: vec![InlineRecord { kind: 2, id: Digest([9; 32]), bytes: b"recipe".to_vec() }],
            packs: vec![PackPlace { sid: SessionId([1; 16]), pack: PackId([2; 16]) }],
            frames: vec![FrameRef { pack: 0, offset: 64, len: 100 }, FrameRef { pack: 0, offset: 164, len: 5 }],
            records: vec![record(1, 3, 1, 0), record(1, 4, 0, 0), record(2, 1, 0, 1)],
        }
    }

    #[test]
    fn reads_back_and_finds() {
        let entry = sample();
        let read = AssetEntry::decode("k", &entry.encode()).expect("reads back");
        assert_eq!(read, entry);
        assert_eq!(read.find(1, &Digest([4; 32])).map(|r| r.frame), Some(0));
        assert_eq!(read.find(2, &Digest([4; 32])), None);
        assert_eq!(read.find_inline(2, &Digest([9; 32])), Some(&b"recipe"[..]));
        assert_eq!(read.range(1).map(|r| (r.offset, r.len)), Some((164, 5)));
        assert_eq!(read.range(2), None);
    }

    #[test]
    fn nonsense_is_refused() {
        let spoil: [fn(&mut AssetEntry); 6] = [
            |e| e.packs.clear(),
            |e| e.frames.reverse(),
            |e| e.frames[1].offset = u64::MAX,
            |e| e.records.reverse(),
            |e| e.records[0].frame = 2,
            |e| e.records[1] = e.records[0],
        ];
        for (n, spoil) in spoil.iter().enumerate() {
            let mut entry = sample();
            spoil(&mut entry);
            assert!(matches!(AssetEntry::decode("k", &entry.encode()), Err(Error::Malformed { .. })), "{n}");
        }
    }
}
