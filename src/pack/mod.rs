//! Packs and index segments.
//!
//! A pack is a file of frames. A frame is a checked header and a payload; the payload, decoded, is the plain
//! bytes of one or more records, each with a kind and an id. A footer repeats every header, so that one read
//! tells what a pack holds, and a pack without a footer can still be scanned frame by frame. A
//! [`segment`] is a sorted index over the footers of many packs.
//!
//! This room moves payloads and metadata. It does not know how a payload is encoded: whoever decodes one
//! hands the plain bytes to [`verify_frame`], and only then is the content trusted. All numbers are
//! little-endian; the byte tables are in `docs/reference/formats/{pack,segment}.md`.

mod footer;
mod frame;
mod policy;
mod read;
mod scan;
pub mod segment;
mod wire;
mod writer;

pub use footer::{Footer, TAIL_BYTES, Tail};
pub use frame::{FrameMeta, FrameSpec, RecordMeta, split_frame, verify_frame};
pub use policy::{FrameGrouper, FramePolicy, PlainFrame};
pub use read::{ReadAt, read_footer, read_frame, read_frame_header};
pub use scan::{Scan, scan};
pub use writer::{Finished, HEADER_BYTES, Writer, read_pack_header};

use std::fmt;

use crate::id::{BatchId, ChunkId, Digest, FileId, PackId, PageId};

/// The kind of a record: a one-byte registry that only grows.
///
/// A reader carries kinds that it does not know as they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKind(pub u8);

impl RecordKind {
    /// A chunk; the id is the chunk id.
    pub const DATA: Self = Self(0);
    /// A recipe; the id is the file id.
    pub const RECIPE: Self = Self(1);
    /// A tree page or term page; the id is the page id.
    pub const PAGE: Self = Self(2);
    /// A ledger batch; the id is the batch id.
    pub const BATCH: Self = Self(3);
    /// Sealed text; the id is its commitment in the ledger.
    pub const SEALED: Self = Self(4);
    /// A page of a record index; the id is the page id.
    pub const RECORD_INDEX_PAGE: Self = Self(5);
    /// The members of an archive; the id is the archive's file id.
    pub const MEMBER_LIST: Self = Self(6);

    /// Whether the id is the BLAKE3 of the record's plain bytes. Where it is not, and for every kind that is
    /// not known here, the record carries a digest beside its id.
    #[must_use]
    pub fn id_is_digest(self) -> bool {
        [Self::DATA, Self::PAGE, Self::BATCH, Self::RECORD_INDEX_PAGE].contains(&self)
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::DATA => "data",
            Self::RECIPE => "recipe",
            Self::PAGE => "page",
            Self::BATCH => "batch",
            Self::SEALED => "sealed text",
            Self::RECORD_INDEX_PAGE => "record index page",
            Self::MEMBER_LIST => "member list",
            Self(other) => return write!(f, "kind {other}"),
        })
    }
}

impl fmt::Debug for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordKind({self})")
    }
}

/// What a record is found by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// The kind; ids of different kinds are different keys.
    pub kind: RecordKind,
    /// The id, whose meaning the kind tells.
    pub id: [u8; 32],
}

impl RecordKey {
    /// The key of a chunk.
    #[must_use]
    pub fn chunk(id: ChunkId) -> Self {
        Self::new(RecordKind::DATA, id.0)
    }

    /// The key of a file's recipes, of which there may be several.
    #[must_use]
    pub fn recipe(id: FileId) -> Self {
        Self::new(RecordKind::RECIPE, id.0)
    }

    /// The key of a tree page or term page.
    #[must_use]
    pub fn page(id: PageId) -> Self {
        Self::new(RecordKind::PAGE, id.0)
    }

    /// The key of a ledger batch.
    #[must_use]
    pub fn batch(id: BatchId) -> Self {
        Self::new(RecordKind::BATCH, id.0)
    }

    /// The key of kind `kind` and id `id`.
    #[must_use]
    pub fn new(kind: RecordKind, id: [u8; 32]) -> Self {
        Self { kind, id }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, Digest(self.id))
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordKey({}, {})", self.kind, Digest(self.id).short())
    }
}

/// Why a pack or a segment cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing itself went wrong.
    #[error("pack: {action} at byte {offset}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// Where in the file.
        offset: u64,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file does not begin as one of its kind.
    #[error("the file is not a clade {what}")]
    Magic {
        /// Pack or segment.
        what: &'static str,
    },
    /// The file was written by a newer version of clade.
    #[error("{what} has version {version}, this reader knows version 1")]
    Version {
        /// Pack or segment.
        what: &'static str,
        /// The version it states.
        version: u32,
    },
    /// The pack is encrypted, which this version cannot read.
    #[error("pack {pack_id} is encrypted with key {key_id}, which this version cannot read")]
    Encrypted {
        /// The pack.
        pack_id: PackId,
        /// The key's id in hex.
        key_id: String,
    },
    /// There is no whole footer: the pack was not finished, or its end is damaged.
    #[error("pack has no valid footer: {reason}")]
    NoFooter {
        /// What was looked for and not found.
        reason: &'static str,
    },
    /// Bytes that should be a certain structure are not.
    #[error("{what} at byte {offset} is damaged: {reason}")]
    Damaged {
        /// Frame header, footer, segment and so on.
        what: &'static str,
        /// Where it begins in its file.
        offset: u64,
        /// The rule that is broken.
        reason: &'static str,
    },
    /// The frame in the file is not the one that the footer or the caller expected.
    #[error("frame at byte {offset} is not the one that the footer names")]
    FrameMismatch {
        /// Where the frame begins.
        offset: u64,
    },
    /// Decoded bytes are not the record's.
    #[error("record {key} in the frame at byte {offset} decodes to {actual}, expected {expected}")]
    RecordDigest {
        /// The record.
        key: RecordKey,
        /// Where its frame begins.
        offset: u64,
        /// The digest it must have.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
    },
    /// A frame decodes to another length than it states.
    #[error("frame at byte {offset} decodes to {actual_bytes} bytes, expected {expected_bytes}")]
    FrameLength {
        /// Where the frame begins.
        offset: u64,
        /// The length it states.
        expected_bytes: u64,
        /// The length it has.
        actual_bytes: u64,
    },
    /// What should be written breaks a limit of the format.
    #[error("{what} is out of bounds: {reason}")]
    Limit {
        /// Frame, pack or segment.
        what: &'static str,
        /// The limit.
        reason: &'static str,
    },
    /// A pack to be continued does not end with a whole frame.
    #[error("pack has {len_bytes} bytes of which only {valid_bytes} are whole frames")]
    Torn {
        /// Its length.
        len_bytes: u64,
        /// The length to which it can be cut and continued.
        valid_bytes: u64,
    },
    /// A writer is used after one of its writes went wrong.
    #[error("pack {pack_id} is not usable after an earlier write error")]
    Poisoned {
        /// The pack.
        pack_id: PackId,
    },
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
