//! The only room that knows git. Objects are read and written in this process (through `gix`); everything
//! that git decides by configuration, environment or hooks (discovery, config, attributes, refs, the user's
//! index, network) is asked of the `git` program, so that the answer is git's own.
//!
//! Works from subfolders, linked worktrees and bare repositories, with SHA-1 and SHA-256 ids, and with refs in
//! files or in reftables (refs always go through the program). Paths are bytes relative to the top of the
//! working tree, with `/` between names. "Blob", "tree" and "index" are git's words here.

mod attributes;
mod config;
mod discover;
mod error;
pub mod filter;
mod history;
pub mod hooks;
mod index;
mod index_file;
mod index_patch;
mod ledger_ref;
mod ledger_tree;
mod network;
mod objects;
mod oid;
mod pktline;
mod porcelain;
mod range;
mod refs;

pub use attributes::PathAttributes;
pub use config::Identity;
pub use discover::{Environment, Version};
pub use error::{Error, Result};
pub use history::{CommitInfo, PathChange};
pub use index::{IndexEntry, IndexUpdate};
pub use index_file::EntryStat;
pub use index_patch::{PatchReport, StatPatch, StepAside};
pub use ledger_ref::{LEDGER_REF, LedgerDiff, LedgerFile};
pub use network::{FetchOutcome, PushOutcome, PushRef, RefUpdate, Remote};
pub use objects::{TreeEntry, mode};
pub use oid::{ObjectFormat, Oid};
pub use porcelain::StagedFile;
pub use range::{PushedRef, SmallBlob};
pub use refs::Ref;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A repository that was found, and how to talk to it. Cheap to keep, shared between threads.
pub struct Git {
    env: Environment,
    version: Version,
    work_tree: Option<PathBuf>,
    git_dir: PathBuf,
    common_dir: PathBuf,
    format: ObjectFormat,
    objects: OnceLock<gix::ThreadSafeRepository>,
}

impl std::fmt::Debug for Git {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Git")
            .field("git_dir", &self.git_dir)
            .field("work_tree", &self.work_tree)
            .finish_non_exhaustive()
    }
}

impl Git {
    /// The top of the working tree, absolute; `None` in a bare repository.
    #[must_use]
    pub fn work_tree(&self) -> Option<&Path> {
        self.work_tree.as_deref()
    }

    /// The git folder of this working tree, absolute: in a linked worktree `…/.git/worktrees/NAME`.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The git folder that all worktrees share, absolute.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Which digest names the objects here.
    #[must_use]
    pub fn object_format(&self) -> ObjectFormat {
        self.format
    }

    /// The version of the `git` program.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where the index of this working tree is: the file that `GIT_INDEX_FILE` names, else `index`.
    #[must_use]
    pub fn index_path(&self) -> PathBuf {
        match &self.env.index_file {
            Some(path) if path.is_absolute() => path.clone(),
            // git changes to the top before it runs anything, and means that folder.
            Some(path) => self.work_tree.as_deref().unwrap_or(&self.git_dir).join(path),
            None => self.git_dir.join("index"),
        }
    }
}

#[cfg(test)]
mod test_repo;
