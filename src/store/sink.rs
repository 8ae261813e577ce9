//! A pack that is being written.

use super::{Error, Result};
use crate::fsio::{self, File};
use crate::id::PackId;
use crate::index::PackRow;
use crate::pack::{self, FrameMeta, FrameSpec};
use std::path::{Path, PathBuf};

/// Suffix of a pack that has no footer yet.
pub(super) const OPEN: &str = "open";
/// Suffix of a finished pack.
pub(super) const PACK: &str = "pack";

/// A pack is finished at this many records, so that one more frame always fits.
const MAX_RECORDS: usize = 1 << 20;

/// The name of a finished pack in the store.
pub(super) fn pack_path(dir: &Path, id: &PackId) -> PathBuf {
    dir.join("packs").join(format!("{id}.{PACK}"))
}

pub(super) fn open_path(dir: &Path, id: &PackId) -> PathBuf {
    dir.join("packs").join(format!("{id}.{OPEN}"))
}

/// An open pack. Its file is locked, so that no other process takes it for a leftover.
pub(super) struct Sink {
    writer: pack::Writer<File>,
    id: PackId,
    dir: PathBuf,
    /// Whether the file's name is durable.
    named: bool,
}

impl Sink {
    pub(super) fn create(dir: &Path) -> Result<Self> {
        let id = PackId::new_v7();
        let path = open_path(dir, &id);
        // It gets its name only once it is locked, so that nobody takes it for a leftover.
        let temp = dir.join("tmp").join(format!("{id}.{OPEN}"));
        let file = File::create_new(&temp)?;
        file.lock_exclusive()?;
        fsio::rename(&temp, &path)?;
        let writer = pack::Writer::new(file, id).map_err(|source| Error::of_pack(&path, source))?;
        Ok(Self { writer, id, dir: dir.to_path_buf(), named: false })
    }

    pub(super) fn id(&self) -> PackId {
        self.id
    }

    /// Whether a further frame would make the pack too large to index.
    pub(super) fn is_full(&self, target_bytes: u64) -> bool {
        self.writer.len_bytes() >= target_bytes || self.writer.record_count() >= MAX_RECORDS
    }

    /// Appends a frame, and returns it with its place.
    pub(super) fn append(&mut self, spec: FrameSpec, payload: &[u8]) -> Result<FrameMeta> {
        let path = open_path(&self.dir, &self.id);
        self.writer.append(spec, payload).cloned().map_err(|source| Error::of_pack(&path, source))
    }

    /// Makes durable what was appended, and the file's name.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.writer.get_mut().sync_data()?;
        if !self.named {
            fsio::sync_dir(&self.dir.join("packs"))?;
            self.named = true;
        }
        Ok(())
    }

    /// Writes the footer and gives the pack its final name; durable when it returns.
    pub(super) fn finish(self) -> Result<PackRow> {
        let (dir, id) = (self.dir, self.id);
        let path = open_path(&dir, &id);
        let (file, finished) = self.writer.finish().map_err(|source| Error::of_pack(&path, source))?;
        file.sync_all()?;
        fsio::rename(&path, &pack_path(&dir, &id))?;
        fsio::sync_dir(&dir.join("packs"))?;
        Ok(PackRow { id, size_bytes: finished.size_bytes, digest: Some(finished.digest), verified_ms: None })
    }

    /// Removes the file: for a session that stored nothing.
    pub(super) fn discard(self) -> Result<()> {
        Ok(fsio::remove_file(&open_path(&self.dir, &self.id))?)
    }
}
