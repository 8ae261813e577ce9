//! The remote protocol: immutable files at a remote and one hash-chained log that says which of them count.
//!
//! Everything is created once and never changed, except `hint`, which nothing relies on. The only primitive
//! that the protocol needs is *create a key if it is absent*; [`check_create_if_absent`] proves it before a
//! remote is used. Listing is for diagnostics: no answer depends on it.
//!
//! From the bottom up: [`Transport`] does single requests; [`Format`], [`LogEntry`], [`AssetEntry`] and the
//! session file are the formats (byte tables in `docs/reference/formats/remote.md`); [`Log`] finds, verifies
//! and extends the log and holds its [`Fold`]; [`Session`] uploads; [`commit_push`] is the loop that a push
//! ends with; [`read_ranges`] fetches many ranges in few requests; [`Remote`] is a remote that was opened.
//!
//! All calls block. The asynchronous runtime that drives the requests is private to this room; do not call
//! in from a thread of another asynchronous runtime.

mod asset;
mod canary;
mod commit;
mod entry;
mod error;
pub mod fault;
mod fold;
mod format;
mod key;
mod location;
mod log;
mod open;
mod ranges;
mod request;
mod runtime;
mod session;
mod transport;
mod wire;

pub use asset::{AssetEntry, FrameRef, InlineRecord, PackPlace, RecordPlace, fetch_asset, publish_asset};
pub use canary::check_create_if_absent;
pub use commit::{Commit, PushDecision, commit_push};
pub use entry::{
    Body, EntryDraft, EnvMove, Fence, GitRef, LogEntry, Mark, PackRef, PackUse, Promote, PushBody, RefAsset, Release,
    Root, SegmentRef, Sweep,
};
pub use error::{Error, Result};
pub use fold::{Fold, PackState, Violation};
pub use format::{FORMAT_VERSION, Format, KNOWN_NEEDS};
pub use key::Key;
pub use location::Location;
pub use log::{Append, Log, NO_PREVIOUS, VerifiedEntry};
pub use open::{Access, Remote};
pub use ranges::{RangeRequest, ReadOptions, ReadStats, read_ranges};
pub use request::{Limits, Put, RequestKind, Requests, Settled};
pub use session::{ReadBack, Session, SessionInfo};
pub use transport::Transport;
