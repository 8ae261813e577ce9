//! Where clade's own files are: `<git common dir>/clade`.

use super::Result;
use crate::fsio;
use crate::git::Git;
use crate::id::{WriterId, from_hex};
use std::path::PathBuf;

/// The places of a clone's own files.
#[derive(Debug, Clone)]
pub struct Layout {
    /// `<git common dir>/clade`, shared by all worktrees.
    pub dir: PathBuf,
    /// Name of this worktree: `main`, or what git calls a linked one.
    pub worktree: String,
}

impl Layout {
    pub(super) fn of(git: &Git) -> Self {
        let linked = git.git_dir() != git.common_dir();
        let name = git.git_dir().file_name().map(|n| n.to_string_lossy().into_owned());
        let worktree = if linked { format!("linked-{}", name.unwrap_or_default()) } else { "main".to_owned() };
        Self { dir: git.common_dir().join("clade"), worktree }
    }

    /// The SQLite database.
    #[must_use]
    pub fn index_path(&self) -> PathBuf {
        self.dir.join("clade.db")
    }

    /// Notes of one worktree: pending hydrations.
    #[must_use]
    pub fn worktree_dir(&self) -> PathBuf {
        self.dir.join("worktrees").join(&self.worktree)
    }

    /// Journals of runs that have not been recorded yet.
    #[must_use]
    pub fn runs_dir(&self) -> PathBuf {
        self.dir.join("runs")
    }

    /// The copy of the repository's identity that does not depend on what is checked out.
    #[must_use]
    pub fn repository_path(&self) -> PathBuf {
        self.dir.join("repository")
    }

    /// Taken while the ledger ref is extended.
    #[must_use]
    pub fn lock_path(&self) -> PathBuf {
        self.dir.join("lock")
    }

    /// This clone's writer id. The file that holds it is made once; a copied clone shares it, which shows as
    /// an equivocation when the two meet.
    pub(super) fn writer(&self) -> Result<WriterId> {
        let path = self.dir.join("writer");
        let read = || -> Result<Option<WriterId>> {
            let text = fsio::read_opt(&path)?.unwrap_or_default();
            let text = String::from_utf8(text).unwrap_or_default();
            Ok(from_hex(text.trim()).ok().map(WriterId))
        };
        if let Some(writer) = read()? {
            return Ok(writer);
        }
        let random = uuid::Uuid::new_v4();
        let writer = WriterId(random.as_bytes()[..8].try_into().expect("a UUID has 16 bytes"));
        if fsio::create_new(&path, format!("{writer}\n").as_bytes())? {
            return Ok(writer);
        }
        if let Some(writer) = read()? {
            return Ok(writer);
        }
        fsio::write_atomic(&path, format!("{writer}\n").as_bytes())?;
        Ok(writer)
    }
}
