//! Which records share a frame.

use std::borrow::Cow;

use super::{RecordKey, RecordMeta};
use crate::id::Digest;
use crate::limits::{FRAME_TARGET_BYTES, MAX_FRAME_RECORDS};

/// When records are put together. Small ones compress better in company; large ones are read alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramePolicy {
    /// Records below this many plain bytes are grouped.
    pub small_bytes: usize,
    /// A group is closed before it exceeds this many plain bytes, at most [`FRAME_TARGET_BYTES`].
    pub group_bytes: usize,
    /// A group is closed at this many records, at most [`MAX_FRAME_RECORDS`].
    pub group_records: usize,
}

impl FramePolicy {
    /// Data and metadata: records below 16 KiB in groups of 128 KiB, what a reader of one of them decodes.
    #[must_use]
    pub fn small_records() -> Self {
        Self { small_bytes: 16 * 1024, group_bytes: 128 * 1024, group_records: MAX_FRAME_RECORDS }
    }

    /// Runs between known chunks in text and tables: records of any size in groups of 256 KiB.
    #[must_use]
    pub fn gap_runs() -> Self {
        Self { small_bytes: usize::MAX, group_bytes: 256 * 1024, group_records: MAX_FRAME_RECORDS }
    }
}

/// The plain bytes of one frame, and the records that they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainFrame<'a> {
    /// The records' bytes, one after the other.
    pub plain: Cow<'a, [u8]>,
    /// The records, in order and without gaps.
    pub records: Vec<RecordMeta>,
}

/// Collects records into frames, in the order in which they come.
///
/// Large records do not close the open group: they come out at once and the small ones around them stay
/// together. Memory: one group.
#[derive(Debug)]
pub struct FrameGrouper {
    policy: FramePolicy,
    plain: Vec<u8>,
    records: Vec<RecordMeta>,
}

impl FrameGrouper {
    /// A grouper without records.
    #[must_use]
    pub fn new(policy: FramePolicy) -> Self {
        let policy = FramePolicy {
            group_bytes: policy.group_bytes.min(FRAME_TARGET_BYTES),
            group_records: policy.group_records.clamp(1, MAX_FRAME_RECORDS),
            ..policy
        };
        Self { policy, plain: Vec::new(), records: Vec::new() }
    }

    /// Takes one record and returns the frame that is complete by it, if any: the group that had no more
    /// room, or the record itself.
    pub fn push<'a>(&mut self, key: RecordKey, plain: &'a [u8]) -> Option<PlainFrame<'a>> {
        if plain.len() >= self.policy.small_bytes || plain.len() > self.policy.group_bytes {
            return Some(PlainFrame { plain: Cow::Borrowed(plain), records: vec![record(key, 0, plain)] });
        }
        let full =
            self.plain.len() + plain.len() > self.policy.group_bytes || self.records.len() >= self.policy.group_records;
        let done = if full { self.flush() } else { None };
        self.records.push(record(key, self.plain.len(), plain));
        self.plain.extend_from_slice(plain);
        done
    }

    /// Returns the open group, if it has records.
    pub fn flush(&mut self) -> Option<PlainFrame<'static>> {
        if self.records.is_empty() {
            return None;
        }
        Some(PlainFrame {
            plain: Cow::Owned(std::mem::take(&mut self.plain)),
            records: std::mem::take(&mut self.records),
        })
    }

    /// Plain bytes of the open group.
    #[must_use]
    pub fn open_bytes(&self) -> usize {
        self.plain.len()
    }
}

fn record(key: RecordKey, offset: usize, plain: &[u8]) -> RecordMeta {
    RecordMeta {
        key,
        // A record too long for 32 bits is too long for a frame, which the writer refuses.
        offset: u32::try_from(offset).unwrap_or(u32::MAX),
        len: u32::try_from(plain.len()).unwrap_or(u32::MAX),
        digest: (!key.kind.id_is_digest()).then(|| Digest::of(plain)),
    }
}
