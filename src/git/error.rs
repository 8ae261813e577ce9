//! What can go wrong with git.

use super::Oid;
use crate::{fsio, process};
use std::path::PathBuf;

/// What went wrong with a git repository or the `git` program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no repository in a folder or above it.
    #[error("{} is not in a git repository", dir.display())]
    NotARepository {
        /// The folder that was looked at.
        dir: PathBuf,
    },
    /// git found a repository and refuses to use it.
    #[error("git refuses the repository at {}: {reason}", dir.display())]
    Refused {
        /// The folder that was looked at.
        dir: PathBuf,
        /// git's words.
        reason: String,
    },
    /// The repository needs something that is not there.
    #[error("this needs a working tree, and {} has none", git_dir.display())]
    Bare {
        /// The git folder.
        git_dir: PathBuf,
    },
    /// The `git` program is older than needed.
    #[error("git {found} is too old: {needed} or newer is needed")]
    TooOld {
        /// The version that is there.
        found: String,
        /// The oldest that works.
        needed: &'static str,
    },
    /// The `git` program (or a hook of the user) could not be run or failed.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A file of the repository could not be read or written.
    #[error(transparent)]
    File(#[from] fsio::Error),
    /// The object database could not be opened.
    #[error("cannot open the objects of {}: {reason}", git_dir.display())]
    Open {
        /// The git folder.
        git_dir: PathBuf,
        /// Why.
        reason: String,
    },
    /// An object is not here: in a partial or shallow clone it may be on a remote.
    #[error("{what} {oid} is not in this repository")]
    MissingObject {
        /// What kind of object was looked for.
        what: &'static str,
        /// Its id.
        oid: Oid,
    },
    /// An object could not be read, or is not what it should be.
    #[error("{what} {oid} cannot be read: {reason}")]
    BadObject {
        /// What kind of object was looked for.
        what: &'static str,
        /// Its id.
        oid: Oid,
        /// Why.
        reason: String,
    },
    /// An object could not be written.
    #[error("cannot write a {what} into the repository: {reason}")]
    WriteObject {
        /// What kind of object.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A blob is larger than its use allows.
    #[error("blob {oid} has {size_bytes} bytes, more than the {max_bytes} that are accepted")]
    TooLarge {
        /// The blob.
        oid: Oid,
        /// Its size.
        size_bytes: u64,
        /// The ceiling.
        max_bytes: u64,
    },
    /// A ref was changed by somebody else between looking and writing.
    #[error("ref {name} was changed meanwhile: expected {}, found {}", shown(expected.as_ref()), shown(actual.as_ref()))]
    LostRace {
        /// The ref.
        name: String,
        /// What it should have been.
        expected: Option<Oid>,
        /// What it was.
        actual: Option<Oid>,
    },
    /// Two ledgers hold different bytes under one path: one of them was tampered with.
    #[error("the ledgers {ours} and {theirs} differ at {path}")]
    LedgerConflict {
        /// One ledger commit.
        ours: Oid,
        /// The other.
        theirs: Oid,
        /// The path.
        path: String,
    },
    /// A path cannot be in a ledger tree.
    #[error("{path:?} cannot be the path of a ledger file")]
    LedgerPath {
        /// The path.
        path: String,
    },
    /// The `git` program printed something that it should not.
    #[error("`git {command}` printed something unexpected: {detail}")]
    Output {
        /// The command.
        command: String,
        /// What was wrong.
        detail: String,
    },
    /// The index file is damaged or of an unknown make.
    #[error("the index {} cannot be used: {reason}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// git and the filter do not understand each other, or the pipe between them broke.
    #[error("the filter conversation with git failed: {reason}")]
    Filter {
        /// Why.
        reason: String,
    },
}

fn shown(oid: Option<&Oid>) -> String {
    oid.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

/// The result of an operation on a repository.
pub type Result<T, E = Error> = std::result::Result<T, E>;
