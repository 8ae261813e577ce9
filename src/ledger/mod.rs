//! Events, batches and the rules over them, as pure functions: no files, no git, no clock.
//!
//! A **batch** is the immutable file that one command writes ([`Batch`]); its **events** say what happened
//! ([`Event`]). A [`Ledger`] is a set of batches. Everything that is derived from it (order, writers,
//! classification, environments) depends on the set alone, never on the order in which batches arrived.
//! The byte layout is in `docs/reference/formats/ledger.md`.

mod batch;
mod class;
mod env;
mod event;
mod names;
mod policy;
mod redact;
mod set;
mod skim;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod words;

pub use batch::{
    Actor, Batch, BatchPath, Head, Payload, Seen, batch_path, check_path, decode, encode, encode_payload, event_id,
    parse_path, payload_bytes,
};
pub use class::{ActiveClass, Label, Level, active_classes};
pub use env::{EnvMove, EnvState, EnvValue, Environments};
pub use event::{
    ClassRetracted, ClassSet, Code, Content, EnvMoved, Event, Finding, Form, Lock, Machine, Move, Note, Params,
    RunInput, RunOutput, RunRecorded, Scope, Text, Version, VersionSeen,
};
pub use names::{covers, join, rest_below};
pub use policy::{FlagKind, Policy, Promotion, Verdict};
pub use redact::{REDACTED, redact_command, redact_params, redact_text};
pub use set::{Equivocation, EventRef, Gap, Ledger, WriterState, ledger_id};
pub use words::{AssetKind, Evidence, MoveCause, Outcome, Role};

use crate::id::{BatchId, ParseIdError};

/// Why bytes are not a batch, a path is not a batch's, or a batch cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file does not start as a batch does.
    #[error("not a ledger batch: it does not start with `cladebat`")]
    Magic,
    /// The file or its payload is of a version that this program does not know.
    #[error("ledger batch of version {version}, known is 1")]
    Version {
        /// The version found.
        version: u64,
    },
    /// The file ends too early, or goes on after its end.
    #[error("ledger batch has {actual_bytes} bytes where its header needs {expected_bytes}")]
    Length {
        /// What the header asks for, in bytes (as far as it could be read).
        expected_bytes: u64,
        /// What is there, in bytes.
        actual_bytes: u64,
    },
    /// Something is larger than its ceiling.
    #[error("{what} of a ledger batch is {actual}, at most {limit} is allowed")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// Its size or count.
        actual: u64,
        /// The ceiling.
        limit: u64,
    },
    /// The payload is not what the format says.
    #[error("payload of a ledger batch, byte {offset}: {reason}")]
    Payload {
        /// Where in the payload, in bytes.
        offset: usize,
        /// What is wrong there.
        reason: String,
    },
    /// An event of a known kind does not have the fields of its kind.
    #[error("event {index} ({kind}) of a ledger batch: {reason}")]
    Event {
        /// The event's index in its batch.
        index: usize,
        /// Its kind.
        kind: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An event of an unknown kind was to be written.
    #[error("event {index} has the kind {kind:?}, which this program cannot write")]
    UnknownKind {
        /// The event's index in its batch.
        index: usize,
        /// Its kind.
        kind: String,
    },
    /// A path in the ledger tree is not in the one form that a batch's path has.
    #[error("{path:?} is not the path of a ledger batch")]
    Path {
        /// The path.
        path: String,
    },
    /// A batch lies at a path that says something else than the batch does.
    #[error("ledger batch {batch} belongs at {expected}, not at {path}")]
    Misplaced {
        /// The batch.
        batch: BatchId,
        /// Where it lies.
        path: String,
        /// Where it belongs.
        expected: String,
    },
    /// A text in a path is not an id.
    #[error(transparent)]
    Id(#[from] ParseIdError),
}
