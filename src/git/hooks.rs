//! Hooks in the git folder. A hook that was there before is kept beside ours and runs first; where the user
//! keeps hooks elsewhere (`core.hooksPath`), nothing is written.

mod script;

use super::{Git, Result};
use crate::fsio;
use std::path::{Path, PathBuf};

/// The hooks that clade can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// After git wrote the index: fills files that a checkout left as pointers.
    PostIndexChange,
    /// After a checkout.
    PostCheckout,
    /// After a merge.
    PostMerge,
    /// After a rebase or an amended commit.
    PostRewrite,
    /// Before refs are pushed: sends what they need.
    PrePush,
    /// After refs were changed, a push's tracking refs included: sends the ledger.
    ReferenceTransaction,
    /// Before a commit.
    PreCommit,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::PostIndexChange,
        Self::PostCheckout,
        Self::PostMerge,
        Self::PostRewrite,
        Self::PrePush,
        Self::ReferenceTransaction,
        Self::PreCommit,
    ];

    /// git's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PostIndexChange => "post-index-change",
            Self::PostCheckout => "post-checkout",
            Self::PostMerge => "post-merge",
            Self::PostRewrite => "post-rewrite",
            Self::PrePush => "pre-push",
            Self::ReferenceTransaction => "reference-transaction",
            Self::PreCommit => "pre-commit",
        }
    }

    /// The hook with git's name for it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|h| h.name() == name)
    }
}

/// Where `pre-push` leaves word that a push by the git process `git_pid` is under way. Only while this
/// file is there, `reference-transaction` starts clade: git runs that hook for every change of any ref.
#[must_use]
pub fn push_marker(common_dir: &Path, git_pid: u32) -> PathBuf {
    common_dir.join("clade").join("tmp").join(format!("pushed.{git_pid}"))
}

/// What became of one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookChange {
    /// There was none; now there is ours.
    Created,
    /// There was another one; ours runs it first.
    Chained,
    /// Ours was of another version and is of this one now.
    Updated,
    /// Ours was there.
    Unchanged,
    /// Neither was touched: somebody replaced ours, and the one from before is still kept at this path.
    Blocked(PathBuf),
}

/// What became of the hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HooksOutcome {
    /// The user keeps hooks in this folder outside of the git folder: nothing was written.
    HooksElsewhere(PathBuf),
    /// Each hook.
    Done(Vec<(Hook, HookChange)>),
}

/// What became of one hook when ours was taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookRemoval {
    /// It was ours and is gone.
    Removed,
    /// It was ours, and the one from before is back.
    Restored,
    /// It was not ours and was not touched, but the one from before is still kept at this path.
    LeftBehind(PathBuf),
}

impl Git {
    /// The folder in which git looks for hooks, when it is inside the git folder; else where it is.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn hooks_dir(&self) -> Result<std::result::Result<PathBuf, PathBuf>> {
        let text = self.run(&["rev-parse", "--path-format=absolute", "--git-path", "hooks"])?.text();
        let dir = PathBuf::from(text);
        let inside = dir.starts_with(&self.common_dir) || dir.starts_with(&self.git_dir);
        // A path that climbs out again is not inside.
        let climbs = dir.components().any(|c| c == std::path::Component::ParentDir);
        Ok(if inside && !climbs { Ok(dir) } else { Err(dir) })
    }

    /// Puts our script in place for each of `hooks`. May be repeated.
    ///
    /// # Errors
    /// When `git` fails or a file cannot be written.
    pub fn install_hooks(&self, hooks: &[Hook]) -> Result<HooksOutcome> {
        let dir = match self.hooks_dir()? {
            Ok(dir) => dir,
            Err(elsewhere) => return Ok(HooksOutcome::HooksElsewhere(elsewhere)),
        };
        fsio::create_dir_all(&dir)?;
        let mut done = Vec::new();
        for &hook in hooks {
            done.push((hook, install(&dir, hook)?));
        }
        Ok(HooksOutcome::Done(done))
    }

    /// Takes our scripts away and puts those from before back as they were. Hooks that are not ours are left alone.
    /// Returns what was ours or is left behind.
    ///
    /// # Errors
    /// When `git` fails or a file cannot be moved.
    pub fn uninstall_hooks(&self) -> Result<Vec<(Hook, HookRemoval)>> {
        // The place may have changed since they were written.
        let own = self.common_dir.join("hooks");
        let mut dirs = vec![own.clone()];
        dirs.extend(self.hooks_dir()?.ok().filter(|dir| *dir != own));
        let mut done = Vec::new();
        for dir in dirs {
            for hook in Hook::ALL {
                let (path, before) = places(&dir, hook);
                let has_before = fsio::exists(&before);
                let removal = match fsio::read_opt(&path)? {
                    Some(bytes) if script::is_ours(&bytes) && has_before => {
                        fsio::rename(&before, &path)?;
                        HookRemoval::Restored
                    }
                    Some(bytes) if script::is_ours(&bytes) => {
                        fsio::remove_file(&path)?;
                        HookRemoval::Removed
                    }
                    _ if has_before => HookRemoval::LeftBehind(before),
                    _ => continue,
                };
                done.push((hook, removal));
            }
        }
        Ok(done)
    }
}

fn places(dir: &Path, hook: Hook) -> (PathBuf, PathBuf) {
    (dir.join(hook.name()), dir.join(format!("{}.before-clade", hook.name())))
}

fn install(dir: &Path, hook: Hook) -> Result<HookChange> {
    let (path, before) = places(dir, hook);
    let script = script::text(hook);
    // A link to nothing is a hook as well, so the name counts and not only what can be read.
    let there = if fsio::exists(&path) { Some(fsio::read_opt(&path)?.unwrap_or_default()) } else { None };
    let change = match there {
        Some(bytes) if bytes == script.as_bytes() => return Ok(HookChange::Unchanged),
        Some(bytes) if script::is_ours(&bytes) => HookChange::Updated,
        Some(_) if fsio::exists(&before) => return Ok(HookChange::Blocked(before)),
        Some(_) => {
            fsio::rename(&path, &before)?;
            HookChange::Chained
        }
        // Ours was lost between two steps; the one from before still waits.
        None if fsio::exists(&before) => HookChange::Chained,
        None => HookChange::Created,
    };
    let mut temp = fsio::TempFile::new_in(dir, ".clade-hook-")?;
    temp.file().write_all(script.as_bytes())?;
    fsio::set_mode(temp.path(), 0o755)?;
    temp.persist(&path)?;
    Ok(change)
}
