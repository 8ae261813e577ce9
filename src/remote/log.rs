//! Reading, verifying and extending the log.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::limits::{MAX_LOG_ENTRY_BYTES, MAX_REMOTE_SMALL_BYTES};
use crate::remote::entry::{Body, EntryDraft, LogEntry};
use crate::remote::error::{Error, Result};
use crate::remote::fold::Fold;
use crate::remote::key::Key;
use crate::remote::request::Settled;
use crate::remote::runtime::wait;
use crate::remote::transport::Transport;
use crate::remote::wire;

/// `prev` of entry 1.
pub const NO_PREVIOUS: Digest = Digest([0; 32]);

/// Entries that are fetched beside each other.
const PARALLEL_READS: usize = 16;
/// Entries that are held before they are folded.
const WINDOW: u64 = 64;
const HINT_VERSION: u32 = 1;

/// An entry whose place in the chain was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEntry {
    /// What it says.
    pub entry: LogEntry,
    /// BLAKE3 of [`VerifiedEntry::bytes`].
    pub digest: Digest,
    /// The file as it is at the remote; give it back to [`Log::open`] to save the request.
    pub bytes: Bytes,
}

/// What became of an entry that was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Append {
    /// It is in the log under this number, now or since an earlier attempt of the same session.
    Committed {
        /// Its number.
        seq: u64,
    },
    /// Others were faster; nothing was written. Check these entries, then offer a new draft.
    Lost {
        /// What they wrote, in order. Already part of [`Log::fold`].
        entries: Vec<VerifiedEntry>,
    },
}

/// The log of one remote as far as it was read.
#[derive(Debug)]
pub struct Log {
    transport: Transport,
    head: Digest,
    fold: Fold,
    fresh: Vec<VerifiedEntry>,
}

#[derive(Serialize, Deserialize)]
struct Hint {
    v: u32,
    seq: u64,
}

impl Log {
    /// Reads and verifies the log up to its head.
    ///
    /// `known` is what an earlier call read, as files from entry 1 on without gaps; it is verified again and
    /// its last entry is compared with the remote's. Sends only read requests, never a listing.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the chain breaks, [`Error::LogGap`] where an entry is missing,
    /// [`Error::LogRolledBack`] when the remote lacks an entry of `known`.
    pub fn open(transport: &Transport, known: Vec<Bytes>) -> Result<Self> {
        let mut log =
            Self { transport: transport.clone(), head: NO_PREVIOUS, fold: Fold::default(), fresh: Vec::new() };
        for bytes in known {
            log.add(bytes)?;
        }
        log.fresh.clear();
        if log.fold.seq > 0 {
            let seq = log.fold.seq;
            let held = log.read(seq)?.ok_or(Error::LogRolledBack { seq })?;
            same(&Key::Log(seq).to_string(), log.head, Digest::of(&held))?;
        }
        let head = log.find_head(log.hint())?;
        log.read_to(head)?;
        Ok(log)
    }

    /// What the entries read so far add up to.
    #[must_use]
    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// Number of the last entry read; 0 for an empty log.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.fold.seq
    }

    /// BLAKE3 of the last entry read; [`NO_PREVIOUS`] for an empty log.
    #[must_use]
    pub fn head(&self) -> Digest {
        self.head
    }

    /// Hands over the entries that were read since the last call, in order, for the caller to keep.
    #[must_use]
    pub fn take_new(&mut self) -> Vec<VerifiedEntry> {
        std::mem::take(&mut self.fresh)
    }

    /// Reads what was added since, and returns it. One request when nothing was.
    pub fn catch_up(&mut self) -> Result<Vec<VerifiedEntry>> {
        let from = self.fresh.len();
        if let Some(bytes) = self.get(next(self.fold.seq)?)? {
            self.add(bytes)?;
            let head = self.find_head(None)?;
            self.read_to(head)?;
        }
        Ok(self.fresh[from..].to_vec())
    }

    /// Offers `draft` as the next entry after [`Log::seq`].
    ///
    /// The slot is free only while nothing was added since the log was last read, so the checks made here
    /// against [`Log::fold`] hold at the moment of the commit. An unclear reply is resolved by reading the
    /// slot back. A session commits once: offering it again after an unclear end is harmless.
    ///
    /// # Errors
    /// [`Error::Fenced`] when the draft's session was fenced, [`Error::PackNotUsable`] when a push relies on a
    /// pack that is neither its own nor usable, [`Error::NewerNeeded`] when the log has entries of unknown
    /// kinds, [`Error::TooLarge`]. After a transient error the entry may be in the log: offer it again.
    pub fn append(&mut self, draft: &EntryDraft) -> Result<Append> {
        if let Some(seq) = draft.sid.and_then(|sid| self.fold.committed.get(&sid)) {
            return Ok(Append::Committed { seq: *seq });
        }
        self.check(draft)?;
        let seq = next(self.fold.seq)?;
        let entry = LogEntry {
            seq,
            prev: self.head,
            nonce: *uuid::Uuid::new_v4().as_bytes(),
            writer: draft.writer,
            sid: draft.sid,
            time_ms: draft.time_ms,
            body: draft.body.clone(),
        };
        let bytes = Bytes::from(entry.encode());
        let key = Key::Log(seq);
        let limit_bytes = MAX_LOG_ENTRY_BYTES as u64;
        if bytes.len() as u64 > limit_bytes {
            return Err(Error::TooLarge { key: key.to_string(), actual_bytes: bytes.len() as u64, limit_bytes });
        }
        match self.transport.create_settled(&key, &bytes, limit_bytes)? {
            Settled::Other(held) => {
                let from = self.fresh.len();
                self.add(held)?;
                self.catch_up()?;
                let entries = self.fresh[from..].to_vec();
                return Ok(Append::Lost { entries });
            }
            Settled::Same => {}
            Settled::Created => {
                // The commit point is read back: a remote that only says "created" is found out here.
                let held = self.read(seq)?.ok_or_else(|| Error::NotFound { key: key.to_string() })?;
                same(&key.to_string(), Digest::of(&bytes), Digest::of(&held))?;
            }
        }
        self.add(bytes)?;
        self.leave_hint();
        Ok(Append::Committed { seq })
    }

    fn check(&self, draft: &EntryDraft) -> Result<()> {
        if let Some((seq, kind)) = self.fold.unknown.first() {
            return Err(Error::NewerNeeded {
                key: Key::Log(*seq).to_string(),
                need: format!("entries of kind {kind:?}"),
            });
        }
        if let Some(session) = draft.sid
            && self.fold.fenced.contains(&session)
        {
            return Err(Error::Fenced { session });
        }
        let (mine, segments) = match &draft.body {
            Body::Push(push) => (&push.packs, &push.segments),
            Body::Mark(mark) => (&mark.replacements, &mark.segments),
            _ => return Ok(()),
        };
        // Every upload belongs to the session that commits it, or a fence on its session could be passed by.
        if let Some(stray) = mine.iter().find(|p| Some(p.sid) != draft.sid) {
            return Err(Error::PackNotUsable { pack: stray.pack });
        }
        if let Some(stray) = segments.iter().find(|s| Some(s.sid) != draft.sid) {
            return Err(Error::ForeignSegment { segment: stray.segment });
        }
        let Body::Push(push) = &draft.body else {
            return Ok(());
        };
        let own: std::collections::BTreeSet<_> = push.packs.iter().map(|p| p.pack).collect();
        let bad = push.uses.iter().find(|used| !own.contains(&used.pack) && !self.fold.is_usable(&used.pack));
        match bad {
            Some(used) => Err(Error::PackNotUsable { pack: used.pack }),
            None => Ok(()),
        }
    }

    /// Takes the bytes of entry `seq + 1` after checking its number and its link.
    fn add(&mut self, bytes: Bytes) -> Result<()> {
        let seq = next(self.fold.seq)?;
        let key = Key::Log(seq).to_string();
        let entry = LogEntry::decode(&key, &bytes)?;
        if entry.seq != seq {
            return Err(Error::Corrupt {
                key,
                expected: format!("entry {seq}"),
                actual: format!("entry {}", entry.seq),
            });
        }
        same(&key, self.head, entry.prev)?;
        self.head = Digest::of(&bytes);
        self.fold.add(&entry);
        self.fresh.push(VerifiedEntry { entry, digest: self.head, bytes });
        Ok(())
    }

    fn read_to(&mut self, head: u64) -> Result<()> {
        while self.fold.seq < head {
            let from = self.fold.seq + 1;
            let to = head.min(from.saturating_add(WINDOW - 1));
            let transport = self.transport.clone();
            let window: Vec<Option<Bytes>> = wait(async {
                stream::iter(from..=to)
                    .map(|seq| {
                        let transport = &transport;
                        async move {
                            let limit = MAX_LOG_ENTRY_BYTES as u64;
                            transport.get_async(&Key::Log(seq), limit).await
                        }
                    })
                    .buffered(PARALLEL_READS)
                    .try_collect()
                    .await
            })?;
            for (seq, found) in (from..=to).zip(window) {
                let bytes = match found {
                    Some(bytes) => bytes,
                    // A later entry exists, so this reply is stale or the entry is lost.
                    None => self.read(seq)?.ok_or(Error::LogGap { seq, head })?,
                };
                self.add(bytes)?;
            }
        }
        Ok(())
    }

    /// An entry that must be there: a reply that it is not is doubted for a while.
    fn read(&self, seq: u64) -> Result<Option<Bytes>> {
        for attempt in 0..self.transport.limits().attempts.max(1) {
            if let Some(bytes) = self.get(seq)? {
                return Ok(Some(bytes));
            }
            self.transport.pause(attempt)?;
        }
        Ok(None)
    }

    fn get(&self, seq: u64) -> Result<Option<Bytes>> {
        self.transport.get_limited(&Key::Log(seq), MAX_LOG_ENTRY_BYTES as u64)
    }

    /// The newest entry by doubling steps, then bisection. A stale reply makes the answer too small, which
    /// costs a writer a lost slot and a reader nothing but freshness.
    fn find_head(&self, hint: Option<u64>) -> Result<u64> {
        let exists = |seq: u64| -> Result<bool> { Ok(self.transport.head(&Key::Log(seq))?.is_some()) };
        let mut low = self.fold.seq;
        if let Some(seq) = hint
            && seq > low
            && exists(seq)?
        {
            low = seq;
        }
        let mut step = 1u64;
        let mut high = loop {
            let probe = low.saturating_add(step);
            if probe == u64::MAX || !exists(probe)? {
                break probe;
            }
            low = probe;
            step = step.saturating_mul(2);
        };
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if exists(middle)? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The guess in `hint`; anything wrong with it only costs requests.
    fn hint(&self) -> Option<u64> {
        let key = Key::Hint.to_string();
        let limit = MAX_REMOTE_SMALL_BYTES as u64;
        let bytes = self.transport.get_limited(&Key::Hint, limit).ok()??;
        let map = wire::open(&key, &bytes, HINT_VERSION).ok()?;
        let hint: Hint = wire::decode(&key, map).ok()?;
        Some(hint.seq)
    }

    fn leave_hint(&self) {
        let hint = wire::encode(&Hint { v: HINT_VERSION, seq: self.fold.seq });
        // Advisory: a writer that may not write it, or loses it, has still committed.
        let _ = self.transport.put_hint(hint.into());
    }
}

fn next(seq: u64) -> Result<u64> {
    seq.checked_add(1)
        .ok_or_else(|| Error::Malformed { key: Key::Log(seq).to_string(), detail: "the log is full".into() })
}

fn same(key: &str, expected: Digest, actual: Digest) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    Err(Error::Corrupt { key: key.to_owned(), expected: expected.to_string(), actual: actual.to_string() })
}
