//! What was read of a remote before: `<clade dir>/remotes/<remote id>/{log,segments,footers}`. All of it can be
//! deleted; all of it is verified again when it is used.

use super::Result;
use crate::fsio;
use crate::id::{PackId, RemoteId, SegmentId};
use crate::limits::{MAX_LOG_ENTRY_BYTES, MAX_PACK_FOOTER_BYTES, MAX_SEGMENT_BYTES};
use bytes::Bytes;
use std::path::{Path, PathBuf};

/// The folder of one remote.
#[derive(Debug)]
pub(super) struct RemoteCache {
    dir: PathBuf,
}

impl RemoteCache {
    pub(super) fn open(clade_dir: &Path, remote: RemoteId) -> Result<Self> {
        let dir = clade_dir.join("remotes").join(remote.to_string());
        for sub in ["segments", "footers"] {
            fsio::create_dir_all(&dir.join(sub))?;
        }
        Ok(Self { dir })
    }

    /// The log entries that were read before, from entry 1 on; none when the file is damaged.
    pub(super) fn log(&self) -> Result<Vec<Bytes>> {
        let Some(all) = fsio::read_opt(&self.dir.join("log"))? else { return Ok(Vec::new()) };
        let all = Bytes::from(all);
        let mut out = Vec::new();
        let mut at = 0;
        while let Some(len) = all.get(at..at + 4) {
            let len = u32::from_le_bytes(len.try_into().expect("four bytes")) as usize;
            if len > MAX_LOG_ENTRY_BYTES || all.len() < at + 4 + len {
                break;
            }
            out.push(all.slice(at + 4..at + 4 + len));
            at += 4 + len;
        }
        Ok(out)
    }

    /// Replaces the kept log.
    pub(super) fn put_log(&self, entries: &[Bytes]) -> Result<()> {
        let mut out = Vec::new();
        for entry in entries {
            out.extend(u32::try_from(entry.len()).expect("an entry is at most 64 MiB").to_le_bytes());
            out.extend_from_slice(entry);
        }
        Ok(fsio::write_atomic(&self.dir.join("log"), &out)?)
    }

    pub(super) fn segment_path(&self, id: SegmentId) -> PathBuf {
        self.dir.join("segments").join(format!("{id}.seg"))
    }

    pub(super) fn put_segment(&self, id: SegmentId, bytes: &[u8]) -> Result<PathBuf> {
        debug_assert!(bytes.len() as u64 <= MAX_SEGMENT_BYTES, "checked by the reader");
        let path = self.segment_path(id);
        fsio::write_atomic(&path, bytes)?;
        Ok(path)
    }

    /// The end of a pack (footer and tail), where it was read before.
    pub(super) fn footer(&self, id: PackId) -> Result<Option<Vec<u8>>> {
        let path = self.dir.join("footers").join(id.to_string());
        if !fsio::exists(&path) {
            return Ok(None);
        }
        Ok(Some(fsio::read_limited(&path, MAX_PACK_FOOTER_BYTES + 64)?))
    }

    pub(super) fn put_footer(&self, id: PackId, end: &[u8]) -> Result<()> {
        Ok(fsio::write_atomic(&self.dir.join("footers").join(id.to_string()), end)?)
    }
}
