//! The only room that touches the file system, so that every error carries its path and every write can be
//! made to fail or stop in a test ([`fault`]).
//!
//! Durability: a file written by [`write_atomic`] or [`create_new`] is complete and on disk, name included,
//! when the call returns. [`File::sync_data`] makes content durable, not the name: [`sync_dir`] does that.

mod atomic;
pub mod fault;
mod file;
mod lock;
mod map;
mod meta;

pub use atomic::{TempFile, create_new, write_atomic, write_atomic_in_place_of};
pub use file::{File, Pipe, read, read_limited, read_opt};
pub use lock::Lock;
pub use map::Map;
pub use meta::{
    Stat, StatKind, copy_or_reflink, create_dir_all, disk_free_bytes, exists, is_dir, is_network, list_dir,
    memory_total_bytes, read_link, real_path, remove_dir_all, remove_file, rename, set_mode, set_mtime_ns, stat,
    symlink, sync_dir, sync_file_system,
};

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What went wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// The operation, as a verb.
        op: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is larger than its kind may be.
    #[error("{} has {size_bytes} bytes, more than the {max_bytes} that are accepted", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// The ceiling.
        max_bytes: u64,
    },
    /// Another process holds a lock.
    #[error("{} is locked by {holder}; waited {} ms", path.display(), waited.as_millis())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the holder wrote into it, or "another process".
        holder: String,
        /// How long it was waited for.
        waited: Duration,
    },
}

impl Error {
    pub(crate) fn io(op: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io { op, path: path.as_ref().to_path_buf(), source }
    }

    /// The path that the error is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. } | Self::TooLarge { path, .. } | Self::Locked { path, .. } => path,
        }
    }

    /// Whether the named file does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the disk or a quota is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// The result of a file operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;
