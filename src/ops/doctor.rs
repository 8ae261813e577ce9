//! `clade doctor`: does everything that clade relies on work here?

use super::{Result, remotes};
use crate::fsio;
use crate::git::Git;
use crate::git::hooks::Hook;
use crate::repo::{Context, LedgerState, Repo};
use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub what: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// The command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// What `clade doctor` found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DoctorOutcome {
    /// Everything that was looked at.
    pub checks: Vec<Check>,
}

impl DoctorOutcome {
    /// Whether all is as it should be.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|c| c.ok)
    }

    fn add(&mut self, what: &'static str, ok: bool, detail: impl Into<String>, command: Option<&str>) {
        let command = command.filter(|_| !ok).map(str::to_owned);
        self.checks.push(Check { what, ok, detail: detail.into(), command });
    }
}

/// Looks at the programs, the settings, the hooks, the store, the remotes and the ledger.
pub fn doctor(context: &Context) -> Result<DoctorOutcome> {
    let mut out = DoctorOutcome::default();
    let git = match Git::discover_with(&context.cwd, context.git.clone()) {
        Ok(git) => git,
        Err(e) => {
            out.add("repository", false, e.to_string(), Some("git init"));
            return Ok(out);
        }
    };
    out.add("git", true, format!("version {}", git.version()), None);
    let on_path = git.finds_program("clade")?;
    let detail = if on_path { "is found by git" } else { "is not on the PATH that git uses" };
    out.add(
        "program",
        on_path,
        format!("clade {} {detail}", env!("CARGO_PKG_VERSION")),
        Some("add the folder of the clade program to PATH"),
    );
    let process = git.config("filter.clade.process")?;
    let set = process.as_deref() == Some("exec clade filter-process");
    out.add("filter", set, process.unwrap_or_else(|| "not configured".to_owned()), Some("clade init"));
    match git.hooks_dir()? {
        Ok(dir) => {
            let missing: Vec<&str> = [Hook::PostIndexChange, Hook::PrePush, Hook::ReferenceTransaction]
                .into_iter()
                .map(Hook::name)
                .filter(|name| {
                    let text = fsio::read_opt(&dir.join(name)).ok().flatten().unwrap_or_default();
                    !String::from_utf8_lossy(&text).contains("clade hook")
                })
                .collect();
            let detail =
                if missing.is_empty() { "in place".to_owned() } else { format!("missing: {}", missing.join(", ")) };
            out.add("hooks", missing.is_empty(), detail, Some("clade init"));
        }
        Err(elsewhere) => out.add(
            "hooks",
            false,
            format!("kept in {}, where clade writes nothing", elsewhere.display()),
            Some("after a checkout run `clade pull`; push with `clade push`"),
        ),
    }
    let repo = match Repo::open(context) {
        Ok(repo) => repo,
        Err(e) => {
            out.add("identity", false, e.to_string(), Some("clade init"));
            return Ok(out);
        }
    };
    out.add("identity", true, format!("ledger {}", repo.repository_id()?), None);
    let (packs, bytes) = repo.store()?.totals();
    out.add("store", true, format!("{packs} packs, {} MB in {}", bytes / 1_000_000, repo.layout.dir.display()), None);
    for remote in remotes::readable(&repo)? {
        match remotes::open_to_read(&repo, &remote) {
            Ok(view) => out.add(
                "remote",
                true,
                format!("{} at {}: {} log entries", remote.name, remote.url, view.fold().seq),
                None,
            ),
            Err(e) => out.add("remote", false, format!("{}: {e}", remote.name), Some("clade remote list")),
        }
    }
    match repo.ledger_state()? {
        LedgerState::Local => out.add("ledger", true, "kept in this clone only: there is no git remote", None),
        LedgerState::Fetched { remote, .. } => out.add("ledger", true, format!("fetched from {remote}"), None),
        LedgerState::NeverFetched { remote } => {
            out.add("ledger", false, format!("never fetched from {remote}"), Some("clade pull"));
        }
    }
    match repo.ledger() {
        Ok(ledger) => {
            out.add("batches", true, format!("{} batches, ledger id {}", ledger.len(), ledger.id().short()), None)
        }
        Err(e) => out.add("batches", false, e.to_string(), Some("git log -p refs/clade/ledger")),
    }
    Ok(out)
}
