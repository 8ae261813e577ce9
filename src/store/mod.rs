//! The local chunk store: `<git common dir>/clade/{packs,segments,tmp}`.
//!
//! What goes in is cut into chunks, deduplicated, encoded and appended to packs ([`Session`]). What comes
//! out is verified twice: every record against its id before a byte of it is used, and every file against
//! its own id before it gets its name ([`Store::materialise`]).
//!
//! Commit order: pack, its name, segment, its name, the catalog. Whoever finds a pack finds all of it; a
//! pack without a segment is indexed from its footer, a session pack without a footer is adopted by a scan.
//! Segments and catalog are derived: deleting them loses nothing.

mod catalog;
mod compact;
mod feed;
mod ingest;
mod materialise;
mod read;
mod sink;
mod verify;

pub use feed::Source;
pub use ingest::{Ingested, Session, SessionKind, SessionOutcome};
pub use verify::{Finding, VerifyLevel, VerifyReport};

use crate::fsio;
use crate::id::{Digest, FileId, PackId, PageId, to_hex};
use crate::index::{self, Index};
use crate::pack::RecordKind;
use crate::{manifest, pack};
use catalog::Catalog;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

/// What went wrong in the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A record is in no pack of this store.
    #[error("{kind} {} is not in this store", to_hex(id))]
    Missing {
        /// What it is.
        kind: RecordKind,
        /// Its id.
        id: [u8; 32],
    },
    /// A record is there, but nothing that was read gives its bytes.
    #[error("{kind} {} in pack {} at byte {offset} is damaged: {reason}", to_hex(id), pack)]
    Damaged {
        /// What it is.
        kind: RecordKind,
        /// Its id.
        id: [u8; 32],
        /// Where it was read.
        pack: PackId,
        /// Offset of its frame in the pack, in bytes.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The parts of a file are all there, but together they are another file.
    #[error("the recipe of file {expected} gives {actual}")]
    WrongFile {
        /// The file asked for.
        expected: FileId,
        /// What the parts give.
        actual: FileId,
    },
    /// A file was changed while it was read.
    #[error("{} was changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// What was to be read could not be.
    #[error("cannot read {what}: {source}")]
    Input {
        /// What it was.
        what: String,
        /// The reason.
        source: std::io::Error,
    },
    /// A pack or segment is not what it should be.
    #[error("{}: {source}", path.display())]
    Pack {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pack::Error,
    },
    /// A recipe or page is not what it should be.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The catalog refused.
    #[error(transparent)]
    Index(#[from] index::Error),
    /// A file could not be handled.
    #[error(transparent)]
    Fsio(#[from] fsio::Error),
    /// Someone asked to stop.
    #[error(transparent)]
    Interrupted(#[from] crate::progress::Interrupted),
}

impl Error {
    /// A failure with a pack: what the disk refused stays a matter of the disk.
    fn of_pack(path: &Path, source: pack::Error) -> Self {
        match source {
            pack::Error::Io { source, .. } if source.kind() != std::io::ErrorKind::UnexpectedEof => {
                Self::Fsio(fsio::Error::Io { op: "write", path: path.to_path_buf(), source })
            }
            source => Self::Pack { path: path.to_path_buf(), source },
        }
    }

    /// Whether bytes are wrong or missing, as opposed to a failure to look.
    #[must_use]
    pub fn is_integrity(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. }
                | Self::Damaged { .. }
                | Self::WrongFile { .. }
                | Self::Pack { .. }
                | Self::Manifest(_)
        )
    }
}

/// The result of a call to the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An open store. Cheap to share between threads; several processes may have the same one open.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    index: Arc<Index>,
    catalog: RwLock<Catalog>,
}

/// What is known of a file's bytes in this store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The recipe and every chunk are listed.
    Complete,
    /// Something is missing: how many chunks at least.
    Partial {
        /// Chunks of the recipe that no pack lists.
        missing_chunks: u64,
    },
    /// Nothing is known of it.
    Absent,
}

impl Store {
    /// Opens the store in `dir` (which is created where it is missing), and adopts what killed processes
    /// left in it.
    pub fn open(dir: &Path, index: Arc<Index>) -> Result<Self> {
        for sub in ["packs", "segments", "tmp"] {
            fsio::create_dir_all(&dir.join(sub))?;
        }
        sweep_temporary(&dir.join("tmp"))?;
        let catalog = Catalog::load(dir, &index)?;
        Ok(Self { dir: dir.to_path_buf(), index, catalog: RwLock::new(catalog) })
    }

    /// The store's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A folder for files that are being made; on the same file system as the packs.
    #[must_use]
    pub fn tmp_dir(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// Looks again at what is on disk: for long-lived processes, after another process added packs.
    pub fn reload(&self) -> Result<()> {
        let fresh = Catalog::load(&self.dir, &self.index)?;
        *self.catalog.write().unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// How many packs there are, and their bytes.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        self.read_catalog().totals()
    }

    /// The bytes of a page, verified.
    pub fn page(&self, id: PageId) -> Result<Vec<u8>> {
        self.record(RecordKind::PAGE, id.as_bytes())?
            .ok_or(Error::Missing { kind: RecordKind::PAGE, id: *id.as_bytes() })
    }

    fn read_catalog(&self) -> std::sync::RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write_catalog(&self) -> std::sync::RwLockWriteGuard<'_, Catalog> {
        self.catalog.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Removes temporary files that no living process has open.
fn sweep_temporary(dir: &Path) -> Result<()> {
    for name in fsio::list_dir(dir)? {
        let path = dir.join(&name);
        let temporary = path.extension().is_some_and(|e| e == "tmp" || e == sink::OPEN);
        if temporary
            && let Ok(file) = fsio::File::open_rw(&path)
            && file.try_lock_exclusive()?
        {
            fsio::remove_file(&path)?;
        }
    }
    Ok(())
}

/// BLAKE3 of plain bytes, to compare with what a record says.
fn digest_of(bytes: &[u8]) -> Digest {
    Digest::of(bytes)
}

#[cfg(test)]
mod tests;
