//! What can go wrong at a remote, by what it means for the caller.

use crate::id::{PackId, SegmentId, SessionId};

/// Result of this room.
pub type Result<T> = std::result::Result<T, Error>;

/// A request or a rule of the protocol that did not work out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key is not there.
    #[error("{key} is not at the remote")]
    NotFound {
        /// The key asked for.
        key: String,
    },
    /// The remote refused the credentials or the permission.
    #[error("the remote denies access to {key}: {detail}")]
    PermissionDenied {
        /// The key asked for.
        key: String,
        /// The remote's words.
        detail: String,
    },
    /// No usable reply after all attempts. For a write, whether it took effect is not known.
    #[error("{op} of {key} got no usable reply: {detail}")]
    Unreachable {
        /// What was asked: `read`, `create`, …
        op: &'static str,
        /// The key asked for.
        key: String,
        /// The last reply.
        detail: String,
    },
    /// Nothing arrived for longer than the deadline. For a write, whether it took effect is not known.
    #[error("{op} of {key} made no progress for {idle_ms} ms")]
    Stalled {
        /// What was asked.
        op: &'static str,
        /// The key asked for.
        key: String,
        /// How long nothing arrived.
        idle_ms: u64,
    },
    /// The remote has no room left.
    #[error("the remote has no space left for {key}")]
    Full {
        /// The key that was to be written.
        key: String,
    },
    /// Bytes at the remote are not the ones that were named.
    #[error("{key} is damaged: expected {expected}, found {actual}")]
    Corrupt {
        /// The damaged key.
        key: String,
        /// What it should be: a digest, a size.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// Bytes that do not follow the format.
    #[error("{key} does not follow its format: {detail}")]
    Malformed {
        /// The key.
        key: String,
        /// What is wrong with it.
        detail: String,
    },
    /// More bytes than a reader accepts, or than a writer may write.
    #[error("{key} has {actual_bytes} bytes, the limit is {limit_bytes}")]
    TooLarge {
        /// The key.
        key: String,
        /// Its size.
        actual_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// This program cannot talk to such a remote.
    #[error("{what} is not supported")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// A newer clade wrote what this one must not skip.
    #[error("{key} needs a newer clade: {need}")]
    NewerNeeded {
        /// Where the need was found.
        key: String,
        /// The version, need or kind that is not known here.
        need: String,
    },
    /// There is no remote at this place.
    #[error("there is no clade remote at {location}")]
    NotARemote {
        /// The place.
        location: String,
    },
    /// The remote answers "created" for keys that exist, or overwrites them.
    #[error("{location} does not keep a key that exists from being created again: {detail}")]
    NotExclusive {
        /// The place.
        location: String,
        /// What the canary saw.
        detail: String,
    },
    /// A log entry is missing although later ones exist.
    #[error("log entry {seq} is missing although entry {head} exists")]
    LogGap {
        /// The missing entry.
        seq: u64,
        /// The newest entry that was seen.
        head: u64,
    },
    /// A log entry that this program has read before is not there any more.
    #[error("log entry {seq} was read before and is missing now")]
    LogRolledBack {
        /// The missing entry.
        seq: u64,
    },
    /// The session was fenced: its uploads may be deleted. Start again with a new session.
    #[error("upload session {session} was fenced by another writer")]
    Fenced {
        /// The fenced session.
        session: SessionId,
    },
    /// A push names a pack that it may not rely on.
    #[error("pack {pack} is not committed at the remote, or is condemned there")]
    PackNotUsable {
        /// The pack.
        pack: PackId,
    },
    /// An entry names an index segment that its session did not upload.
    #[error("segment {segment} was uploaded by another session than the one that commits it")]
    ForeignSegment {
        /// The segment.
        segment: SegmentId,
    },
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The runtime that drives requests did not start.
    #[error("the request runtime did not start: {detail}")]
    Runtime {
        /// The operating system's words.
        detail: String,
    },
}

impl Error {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Stalled { .. })
    }

    /// Whether bytes at the remote were found to be wrong or missing where they must be.
    #[must_use]
    pub fn is_integrity(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Malformed { .. } | Self::LogGap { .. } | Self::LogRolledBack { .. })
    }

    /// Names the meaning of a reply of `object_store`.
    pub(crate) fn from_reply(op: &'static str, key: &str, reply: &object_store::Error) -> Self {
        use object_store::Error as E;
        let key = key.to_owned();
        let detail = reply.to_string();
        match reply {
            E::NotFound { .. } => Self::NotFound { key },
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => Self::PermissionDenied { key, detail },
            E::NotSupported { .. } | E::NotImplemented { .. } => Self::Unsupported { what: detail },
            E::InvalidPath { .. } => Self::Malformed { key, detail },
            _ => match io_kind(reply) {
                Some(std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem) => {
                    Self::PermissionDenied { key, detail }
                }
                Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded) => Self::Full { key },
                Some(std::io::ErrorKind::NotFound) => Self::NotFound { key },
                Some(std::io::ErrorKind::NotADirectory) if op == "read" => Self::NotFound { key },
                Some(std::io::ErrorKind::NotADirectory) => {
                    Self::Unsupported { what: format!("a file where {key} needs a directory") }
                }
                _ => Self::Unreachable { op, key, detail },
            },
        }
    }
}

fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<std::io::ErrorKind> {
    let mut at = Some(error);
    while let Some(e) = at {
        if let Some(io) = e.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        at = e.source();
    }
    None
}
