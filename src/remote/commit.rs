//! The end of a push: check, commit, and again when somebody was faster.

use crate::id::{SessionId, WriterId};
use crate::remote::entry::{Body, EntryDraft, PushBody};
use crate::remote::error::Error;
use crate::remote::fold::Fold;
use crate::remote::log::{Append, Log};

/// What the pusher wants after it has seen the newest state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushDecision {
    /// Everything that this names is uploaded and verified: commit it.
    Commit(PushBody),
    /// Nothing to commit any more.
    Abandon,
}

/// How a push ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// It is in the log; refs may move now.
    Committed {
        /// Number of its entry.
        seq: u64,
    },
    /// The pusher abandoned it.
    Abandoned,
}

/// Commits the uploads of `session`.
///
/// `decide` gets the newest state before every attempt. It replaces what it deduplicated against packs that
/// are no longer usable (uploading again under the same session), and returns the body. A push whose session
/// is already committed (an earlier attempt whose answer was lost) succeeds without calling `decide`.
///
/// # Errors
/// [`Error::Fenced`]: the uploads of this session may vanish; start again with a new one, delete nothing.
/// Errors of [`Log::append`] and of `decide`.
pub fn commit_push<E: From<Error>>(
    log: &mut Log,
    session: SessionId,
    writer: WriterId,
    time_ms: u64,
    mut decide: impl FnMut(&Fold) -> std::result::Result<PushDecision, E>,
) -> std::result::Result<Commit, E> {
    loop {
        log.catch_up()?;
        if let Some(seq) = log.fold().committed.get(&session) {
            return Ok(Commit::Committed { seq: *seq });
        }
        if log.fold().fenced.contains(&session) {
            return Err(Error::Fenced { session }.into());
        }
        let body = match decide(log.fold())? {
            PushDecision::Commit(body) => body,
            PushDecision::Abandon => return Ok(Commit::Abandoned),
        };
        let draft = EntryDraft { writer, sid: Some(session), time_ms, body: Body::Push(body) };
        match log.append(&draft)? {
            Append::Committed { seq } => return Ok(Commit::Committed { seq }),
            Append::Lost { .. } => {}
        }
    }
}
