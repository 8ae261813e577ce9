//! Moving bytes between the local store and remotes.
//!
//! A [`RemoteView`] is a remote with its log folded, and its index segments and pack footers kept in a local
//! folder, so that questions about what it holds cost no request twice. [`push`] uploads what a remote lacks
//! and commits it; [`fetch`] takes what the store lacks. Whatever arrives is decoded and compared with its
//! ids before it enters the store.

mod cache;
mod fetch;
mod push;
mod view;

pub use fetch::{FetchOutcome, Wanted, fetch, fetch_records, fetch_version, read_entry};
pub use push::{PushOptions, PushOutcome, PushRoot, push};
pub use view::RemoteView;

use crate::id::{ContentId, FileId};
use crate::pack::RecordKey;
use crate::{fsio, manifest, pack, remote, store};

/// What went wrong on the way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file's bytes are neither in the store nor at the remote.
    #[error("the bytes of {} files are in no place that was asked, the first is {}", files.len(), files[0])]
    Absent {
        /// The files.
        files: Vec<FileId>,
    },
    /// A version's description is nowhere.
    #[error("{} {content} is not at {location}", content.form())]
    NoVersion {
        /// The version.
        content: ContentId,
        /// Where it was looked for.
        location: String,
    },
    /// What a remote's pack holds under an id is something else.
    #[error("{key} from {location} is damaged: {reason}")]
    Damaged {
        /// The record.
        key: RecordKey,
        /// The remote.
        location: String,
        /// What is wrong.
        reason: String,
    },
    /// The remote changed under the push too often.
    #[error("{location} was changed by others {attempts} times during the push")]
    TooManyRaces {
        /// The remote.
        location: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// A pack or segment of the remote is not what it should be.
    #[error("{location}: {source}")]
    Pack {
        /// The remote.
        location: String,
        /// What is wrong.
        source: pack::Error,
    },
    /// The remote did not do its part.
    #[error("{location}: {source}")]
    Remote {
        /// The remote.
        location: String,
        /// What went wrong.
        source: remote::Error,
    },
    /// The local store did not do its part.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A recipe or page is not what it should be.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// A file could not be handled.
    #[error(transparent)]
    Fsio(#[from] fsio::Error),
    /// Someone asked to stop.
    #[error(transparent)]
    Interrupted(#[from] crate::progress::Interrupted),
}

impl From<remote::Error> for Error {
    fn from(source: remote::Error) -> Self {
        match source {
            remote::Error::Interrupted => Self::Interrupted(crate::progress::Interrupted),
            source => Self::Remote { location: "remote".to_owned(), source },
        }
    }
}

/// The result of a transfer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
