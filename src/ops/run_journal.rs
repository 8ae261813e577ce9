//! What a run leaves on disk before its command starts, so that no run is lost with its process.
//!
//! One JSON file a run in `<git common dir>/clade/runs`, local to this machine and removed once the run is in the
//! ledger. A journal whose processes are gone is closed as `killed` by the next clade command.

use super::Result;
use super::questions::page_sink;
use super::run::{self, Before};
use crate::fsio::{self, Lock};
use crate::id::RunId;
use crate::ledger::{Outcome, RunRecorded, VersionSeen};
use crate::process;
use crate::repo::Repo;
use crate::store::SessionKind;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A process, so that another one with the same number is not taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pid: u32,
    start: Option<String>,
}

impl Process {
    pub(super) fn of(pid: u32) -> Self {
        Self { pid, start: process::start_time(pid) }
    }

    fn is_running(&self) -> bool {
        process::is_running(self.pid) && (self.start.is_none() || process::start_time(self.pid) == self.start)
    }
}

/// The file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Journal {
    pub(super) v: u32,
    /// Top of the working tree in which it runs.
    pub(super) top: PathBuf,
    /// clade itself, and the command once it started.
    pub(super) processes: Vec<Process>,
    /// The run as it will be recorded, without its end.
    pub(super) run: RunRecorded,
    /// The versions that it read and that the ledger does not know.
    pub(super) seen: Vec<VersionSeen>,
    /// What the declared outputs held before.
    pub(super) before: Vec<Before>,
}

fn path_of(repo: &Repo, run: RunId) -> PathBuf {
    repo.layout.runs_dir().join(format!("{run}.json"))
}

impl Journal {
    /// Writes the file; durable when it returns.
    pub(super) fn write(&self, repo: &Repo) -> Result<()> {
        fsio::create_dir_all(&repo.layout.runs_dir())?;
        let text = serde_json::to_vec(self).map_err(|e| {
            super::Error::new(super::Kind::Internal, format!("cannot encode the journal of a run: {e}"))
        })?;
        Ok(fsio::write_atomic(&path_of(repo, self.run.run), &text)?)
    }

    /// Removes the file, after the run was recorded.
    pub(super) fn remove(&self, repo: &Repo) -> Result<()> {
        Ok(fsio::remove_file(&path_of(repo, self.run.run))?)
    }
}

/// A run whose end nobody saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClosedRun {
    /// The run.
    pub run: RunId,
    /// Its command, secrets replaced.
    pub command: Vec<String>,
    /// The partial outputs that it left.
    pub outputs: Vec<String>,
}

/// Records runs whose processes are gone without having recorded them, as killed, with what they changed.
/// Files that are no journals are left alone.
pub fn close_leftovers(repo: &Repo) -> Result<Vec<ClosedRun>> {
    let dir = repo.layout.runs_dir();
    let mut names = fsio::list_dir(&dir)?;
    names.retain(|n| Path::new(n).extension().is_some_and(|e| e == "json"));
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let _lock = Lock::acquire(&dir.join("lock"), Duration::from_secs(30), "closing runs")?;
    let mut closed = Vec::new();
    for name in names {
        let path = dir.join(&name);
        // Another process may have closed it while we waited.
        let Some(bytes) = fsio::read_opt(&path)? else { continue };
        let Ok(journal) = serde_json::from_slice::<Journal>(&bytes) else { continue };
        if journal.v != 1 || journal.processes.iter().any(Process::is_running) {
            continue;
        }
        closed.push(close(repo, journal)?);
    }
    Ok(closed)
}

fn close(repo: &Repo, mut journal: Journal) -> Result<ClosedRun> {
    // A crash between the record and the removal must not record it twice.
    let ledger = repo.ledger()?;
    let known =
        ledger.events().any(|e| matches!(e.event, crate::ledger::Event::RunRecorded(r) if r.run == journal.run.run));
    if !known {
        let here = repo.git.work_tree() == Some(journal.top.as_path());
        let elsewhere = if here || !fsio::is_dir(&journal.top) {
            None
        } else {
            let mut context = repo.context.clone();
            context.cwd.clone_from(&journal.top);
            Repo::open(&context).ok()
        };
        let place = if here { Some(repo) } else { elsewhere.as_ref() };
        journal.run.outcome = Outcome::Killed;
        journal.run.wall_ms = repo.now_ms().saturating_sub(journal.run.start_ms);
        let mut events = journal.seen.clone();
        if let Some(place) = place {
            let store = place.store()?;
            let mut session = store.session(SessionKind::Batch, place.progress(), place.interrupt());
            let mut written = Vec::new();
            for before in &journal.before {
                let now = place.places_written(&before.path, &mut page_sink(&mut session))?;
                written.extend(now.into_iter().filter(|v| before.differs(v)).map(|v| (v, before)));
            }
            for (version, before) in written {
                run::store_members(place, &mut session, &version)?;
                journal.run.outputs.push(run::output(&version, before, true));
                events.extend(run::unknown_of(&ledger, &[version]));
            }
            session.finish()?;
        }
        run::record(repo, journal.run.clone(), events)?;
    }
    journal.remove(repo)?;
    let outputs = journal.run.outputs.iter().map(|o| o.path.clone()).collect();
    Ok(ClosedRun { run: journal.run.run, command: journal.run.command, outputs })
}
