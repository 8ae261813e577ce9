//! The ledger of this clone: read, extended, united with what remotes hold.

use super::{Error, Repo, Result};
use crate::fsio::Lock;
use crate::git::{FetchOutcome, LEDGER_REF, LedgerDiff, LedgerFile, Oid, PushOutcome, PushRef};
use crate::id::BatchId;
use crate::ledger::{self, Actor, Batch, Event, Ledger, Payload, Seen};
use std::time::Duration;

/// How long a command waits for another one that extends the ledger.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts to push before others that push at the same time win.
const MAX_PUSH_ATTEMPTS: u32 = 20;

/// The git remote that the ledger is exchanged with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRemote {
    /// Its name in git's configuration.
    pub name: String,
}

impl LedgerRemote {
    fn tracking(&self) -> String {
        format!("refs/clade/remotes/{}/ledger", self.name)
    }
}

/// How far this clone's ledger can be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerState {
    /// There is no remote: this clone is the authority.
    Local,
    /// It was fetched from this remote, at this time by this machine's clock where that is known.
    Fetched {
        /// The remote.
        remote: String,
        /// Milliseconds since 1970.
        at_ms: Option<u64>,
    },
    /// There is a remote that was never asked.
    NeverFetched {
        /// The remote.
        remote: String,
    },
}

/// What became of sending the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The remote has everything.
    Sent,
    /// There is no remote.
    NoRemote,
    /// The remote could not be reached or refused.
    Failed {
        /// The remote.
        remote: String,
        /// git's words.
        detail: String,
    },
}

impl Repo {
    /// The git remote of the ledger: `clade.ledgerRemote`, else origin, else the only one there is.
    pub fn ledger_remote(&self) -> Result<Option<LedgerRemote>> {
        if let Some(name) = self.git.config("clade.ledgerRemote")? {
            return Ok(if name.is_empty() { None } else { Some(LedgerRemote { name }) });
        }
        let names: Vec<String> = self.git.remotes()?.into_iter().map(|r| r.name).collect();
        let name = match &names[..] {
            [only] => Some(only.clone()),
            names => names.iter().find(|n| *n == "origin").cloned(),
        };
        Ok(name.map(|name| LedgerRemote { name }))
    }

    /// How far this clone's ledger can be relied on.
    pub fn ledger_state(&self) -> Result<LedgerState> {
        let Some(remote) = self.ledger_remote()? else { return Ok(LedgerState::Local) };
        let at_ms = self.index().get_meta(&fetched_key(&remote))?.and_then(|t| t.parse().ok());
        if at_ms.is_some() || self.git.read_ref(&remote.tracking())?.is_some() {
            Ok(LedgerState::Fetched { remote: remote.name, at_ms })
        } else {
            Ok(LedgerState::NeverFetched { remote: remote.name })
        }
    }

    /// The ledger, for questions: an error when this clone never fetched the one that its remote has.
    pub fn ledger_for_questions(&self) -> Result<Ledger> {
        if let LedgerState::NeverFetched { remote } = self.ledger_state()? {
            return Err(Error::LedgerNotFetched { remote });
        }
        self.ledger()
    }

    /// The ledger as this clone has it, with everything that was fetched.
    pub fn ledger(&self) -> Result<Ledger> {
        let head = self.unite_fetched()?;
        self.read_ledger(head)
    }

    /// Adds what remote-tracking refs hold to the local ledger, and returns its commit.
    fn unite_fetched(&self) -> Result<Option<Oid>> {
        let mut head = self.git.read_ref(LEDGER_REF)?;
        let tracked = self.git.refs(&["refs/clade/remotes/"])?;
        for one in tracked.iter().filter(|r| r.name.ends_with("/ledger")) {
            if Some(one.oid) == head {
                continue;
            }
            let united = match head {
                Some(head) => self.git.ledger_union(head, one.oid)?,
                None => one.oid,
            };
            if Some(united) != head {
                let _lock = self.lock_ledger()?;
                let now = self.git.read_ref(LEDGER_REF)?;
                let united = match now {
                    Some(now) => self.git.ledger_union(now, one.oid)?,
                    None => one.oid,
                };
                if Some(united) != now {
                    self.git.update_ref(LEDGER_REF, united, now)?;
                }
                head = Some(united);
            }
        }
        Ok(head)
    }

    fn lock_ledger(&self) -> Result<Lock> {
        Ok(Lock::acquire(&self.layout.lock_path(), LOCK_TIMEOUT, "writing the ledger")?)
    }

    fn read_ledger(&self, head: Option<Oid>) -> Result<Ledger> {
        let Some(head) = head else { return Ok(Ledger::new([])) };
        self.refresh_copy(head)?;
        let mut batches = Vec::new();
        for (id, bytes) in self.index().batches()? {
            let batch = ledger::decode(&bytes)?;
            if batch.id != id {
                // The copy is damaged; git has the truth.
                Self::forget_copy(self)?;
                return self.read_ledger(Some(head));
            }
            batches.push(batch);
        }
        Ok(Ledger::new(batches))
    }

    fn forget_copy(&self) -> Result<()> {
        Ok(self.index().update_batches("", true, &[])?)
    }

    /// Brings the copy in the index to `head`.
    fn refresh_copy(&self, head: Oid) -> Result<()> {
        let kept = self.index().ledger_commit()?.and_then(|c| Oid::parse(&c));
        if kept == Some(head) {
            return Ok(());
        }
        let kept = kept.filter(|oid| self.git.missing(&[*oid]).is_ok_and(|m| m.is_empty()));
        let LedgerDiff { added, tampered } = self.git.ledger_diff(kept, head)?;
        // What was there once and is gone or changed is in the copy still; the copy follows git, the finding
        // is for whoever looks: `doctor` and every question refuse a tampered ledger.
        if let Some(path) = tampered.first() {
            return Err(Error::LedgerTampered {
                place: LEDGER_REF.to_owned(),
                detail: format!("{path} was changed or removed"),
            });
        }
        let mut rows: Vec<(BatchId, Vec<u8>)> = Vec::new();
        self.fetch_left_out(&added)?;
        for (file, bytes) in added.iter().zip(self.git.ledger_read(&added)?) {
            let batch = ledger::decode(&bytes)?;
            ledger::check_path(&file.path, &batch)?;
            rows.push((batch.id, bytes));
        }
        Ok(self.index().update_batches(&head.to_string(), kept.is_none(), &rows)?)
    }

    /// In a partial clone, fetches the batches that its filter left out, in one go.
    fn fetch_left_out(&self, files: &[LedgerFile]) -> Result<()> {
        let oids: Vec<Oid> = files.iter().map(|f| f.oid).collect();
        let missing = self.git.missing(&oids)?;
        if !missing.is_empty() {
            self.git.fetch_objects(&missing)?;
        }
        Ok(())
    }

    /// Makes a batch of `events` on top of `ledger`.
    fn make_batch(&self, ledger: &Ledger, events: Vec<Event>) -> Result<(Batch, Vec<u8>)> {
        let writer = self.writer()?;
        let (seq, prev, heads) = ledger.next_for(writer);
        let identity = self.git.identity()?;
        let actor = match self.git.config("clade.actor")? {
            Some(name) => Actor { name, email: String::new() },
            None => Actor { name: identity.name, email: identity.email },
        };
        let payload = Payload {
            v: 1,
            repository: self.repository_id()?,
            writer,
            seq,
            prev,
            seen: Seen { digest: ledger.id(), heads },
            time_ms: self.now_ms(),
            actor,
            tool: format!("clade {}", env!("CARGO_PKG_VERSION")),
            events,
        };
        let bytes = ledger::encode(&ledger::encode_payload(&payload)?, &[])?;
        Ok((ledger::decode(&bytes)?, bytes))
    }

    /// Records events in this clone's ledger. Durable when it returns.
    pub fn record(&self, events: Vec<Event>) -> Result<Batch> {
        self.unite_fetched()?;
        let _lock = self.lock_ledger()?;
        let head = self.git.read_ref(LEDGER_REF)?;
        let ledger = self.read_ledger(head)?;
        let (batch, bytes) = self.make_batch(&ledger, events)?;
        let path = ledger::batch_path(batch.payload.writer, batch.payload.seq, batch.id);
        let commit = self.git.ledger_append(&[(path, bytes)], head, self.now_s())?;
        self.git.update_ref(LEDGER_REF, commit, head)?;
        Ok(batch)
    }

    /// Fetches the ledger from its remote and unites it with this clone's. `false` when there is no remote.
    ///
    /// # Errors
    /// [`Error::LedgerRemote`] when the remote cannot be asked.
    pub fn fetch_ledger(&self) -> Result<bool> {
        let Some(remote) = self.ledger_remote()? else { return Ok(false) };
        self.fetch_tracking(&remote)?;
        self.unite_fetched()?;
        Ok(true)
    }

    fn fetch_tracking(&self, remote: &LedgerRemote) -> Result<()> {
        let spec = format!("+refs/clade/ledger*:refs/clade/remotes/{}/ledger*", remote.name);
        let failed = |detail: String| Error::LedgerRemote { remote: remote.name.clone(), detail };
        match self.git.fetch(&remote.name, &[&spec])? {
            // A pattern that matches nothing is no error for git: the remote has no ledger yet.
            FetchOutcome::Done | FetchOutcome::NoSuchRef { .. } => {}
            FetchOutcome::Unreachable { stderr } => return Err(failed(stderr)),
        }
        self.index().set_meta(&fetched_key(remote), &self.now_ms().to_string())?;
        Ok(())
    }

    /// Sends this clone's ledger to its remote, united with what is there.
    pub fn send_ledger(&self) -> Result<SendOutcome> {
        let Some(remote) = self.ledger_remote()? else { return Ok(SendOutcome::NoRemote) };
        let failed = |detail| Ok(SendOutcome::Failed { remote: remote.name.clone(), detail });
        for _ in 0..MAX_PUSH_ATTEMPTS {
            self.interrupt().check()?;
            match self.fetch_tracking(&remote) {
                Err(Error::LedgerRemote { detail, .. }) => return failed(detail),
                other => other?,
            }
            let Some(head) = self.unite_fetched()? else { return Ok(SendOutcome::Sent) };
            let theirs = match self.ledger_there(&remote) {
                Err(Error::LedgerRemote { detail, .. }) => return failed(detail),
                other => other?,
            };
            if theirs == Some(head) {
                return Ok(SendOutcome::Sent);
            }
            match self.push_ledger(&remote, head, theirs)? {
                Pushed::Won => return Ok(SendOutcome::Sent),
                Pushed::Lost => {}
                Pushed::Failed(detail) => return failed(detail),
            }
        }
        failed("others pushed at the same time, again and again".to_owned())
    }

    /// Records events only if the remote takes them: nothing is recorded anywhere otherwise. Without a remote
    /// this clone is the authority. `make` gets the newest ledger before every attempt.
    ///
    /// # Errors
    /// [`Error::LedgerRemote`] when the remote cannot be asked or does not take it; errors of `make`.
    pub fn record_at_remote<E: From<Error>>(
        &self,
        mut make: impl FnMut(&Ledger) -> std::result::Result<Vec<Event>, E>,
    ) -> std::result::Result<Batch, E> {
        let Some(remote) = self.ledger_remote()? else {
            let events = make(&self.ledger()?)?;
            return Ok(self.record(events)?);
        };
        for _ in 0..MAX_PUSH_ATTEMPTS {
            self.interrupt().check().map_err(Error::from)?;
            self.fetch_tracking(&remote)?;
            let head = self.unite_fetched()?;
            let ledger = self.read_ledger(head)?;
            let events = make(&ledger)?;
            let lock = self.lock_ledger()?;
            if self.git.read_ref(LEDGER_REF).map_err(Error::from)? != head {
                continue;
            }
            let (batch, bytes) = self.make_batch(&ledger, events)?;
            let path = ledger::batch_path(batch.payload.writer, batch.payload.seq, batch.id);
            let commit = self.git.ledger_append(&[(path, bytes)], head, self.now_s()).map_err(Error::from)?;
            let theirs = self.ledger_there(&remote)?;
            match self.push_ledger(&remote, commit, theirs)? {
                Pushed::Won => {
                    self.git.update_ref(LEDGER_REF, commit, head).map_err(Error::from)?;
                    return Ok(batch);
                }
                Pushed::Lost => drop(lock),
                Pushed::Failed(detail) => return Err(Error::LedgerRemote { remote: remote.name, detail }.into()),
            }
        }
        let detail = "others pushed at the same time, again and again".to_owned();
        Err(Error::LedgerRemote { remote: remote.name, detail }.into())
    }

    /// The commit of the ledger that the remote has now. The tracking ref does not tell: it stays when the remote
    /// was made anew.
    fn ledger_there(&self, remote: &LedgerRemote) -> Result<Option<Oid>> {
        self.git
            .remote_ref(&remote.name, LEDGER_REF)?
            .map_err(|detail| Error::LedgerRemote { remote: remote.name.clone(), detail })
    }

    fn push_ledger(&self, remote: &LedgerRemote, commit: Oid, theirs: Option<Oid>) -> Result<Pushed> {
        let update = PushRef { local: Some(commit), remote_name: LEDGER_REF.to_owned(), lease: Some(theirs) };
        match self.git.push(&remote.name, &[update])? {
            PushOutcome::Done => {
                // git itself keeps track only of refs that the remote's fetch refspecs name.
                let tracked = self.git.read_ref(&remote.tracking())?;
                if tracked != Some(commit) {
                    self.git.update_ref(&remote.tracking(), commit, tracked)?;
                }
                Ok(Pushed::Won)
            }
            // Somebody was faster, or a rule of the server forbids it: then it stays as it is.
            PushOutcome::Rejected { stderr, .. } => match self.git.remote_ref(&remote.name, LEDGER_REF)? {
                Ok(now) if now == theirs => Ok(Pushed::Failed(stderr)),
                _ => Ok(Pushed::Lost),
            },
            PushOutcome::Unreachable { stderr } => Ok(Pushed::Failed(stderr)),
        }
    }

    /// Whether this clone has batches that its remote is not known to have.
    pub fn ledger_is_unsent(&self) -> Result<bool> {
        let Some(remote) = self.ledger_remote()? else { return Ok(false) };
        let Some(head) = self.git.read_ref(LEDGER_REF)? else { return Ok(false) };
        Ok(self.git.read_ref(&remote.tracking())? != Some(head))
    }

    /// Where the ledger was marked as fetched by other means, such as a clone that was just made.
    pub fn mark_ledger_fetched(&self, remote: &LedgerRemote) -> Result<()> {
        Ok(self.index().set_meta(&fetched_key(remote), &self.now_ms().to_string())?)
    }
}

enum Pushed {
    Won,
    Lost,
    Failed(String),
}

fn fetched_key(remote: &LedgerRemote) -> String {
    format!("ledger-fetched:{}", remote.name)
}
