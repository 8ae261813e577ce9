//! `clade status`: one screen.

use super::hydrate::pointers_in_worktree;
use super::{Result, remotes};
use crate::ledger::Environments;
use crate::repo::{LedgerState, Repo};
use serde::Serialize;
use std::collections::BTreeMap;

/// A file that differs from what is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedFile {
    /// The path.
    pub path: String,
    /// `added`, `modified`, `deleted`, `conflict` or `untracked`.
    pub change: &'static str,
    /// Whether the change is staged.
    pub staged: bool,
}

/// What `clade status` found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StatusOutcome {
    /// The branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Files under the filter.
    pub files: u64,
    /// Assets of the working tree.
    pub assets: u64,
    /// Files under the filter that differ from HEAD.
    pub changed: Vec<ChangedFile>,
    /// Files that are pointers here.
    pub pointers: u64,
    /// Bytes that their contents have.
    pub pointer_bytes: u64,
    /// Versions of HEAD that a remote lacks, by remote; only remotes that could be asked.
    pub unpushed: BTreeMap<String, u64>,
    /// Remotes that could not be asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreachable: Vec<String>,
    /// Whether the ledger was fetched, and from where.
    pub ledger: String,
    /// Batches of the ledger that its remote is not known to have.
    pub ledger_unsent: bool,
    /// What environments hold: environment, asset, beginning of the id.
    pub environments: Vec<(String, String, String)>,
    /// Bytes and packs of the local store.
    pub store_bytes: u64,
    /// Packs of the local store.
    pub store_packs: u64,
}

/// Looks at the working tree, the store, the remotes and the ledger. Changes nothing but what git's own
/// `status` refreshes.
pub fn status(repo: &Repo) -> Result<StatusOutcome> {
    let mut out = StatusOutcome {
        branch: repo.git.head_ref()?.map(|r| r.trim_start_matches("refs/heads/").to_owned()),
        ..StatusOutcome::default()
    };
    let filtered = repo.filtered_paths(&[])?;
    out.files = filtered.len() as u64;
    for (letters, path) in repo.git.status(&[])? {
        let ours = filtered.contains(&path) || is_filtered(repo, &path)?;
        if !ours {
            continue;
        }
        let change = match letters {
            [b'?', b'?'] => "untracked",
            [b'U', _] | [_, b'U'] | [b'A', b'A'] | [b'D', b'D'] => "conflict",
            [b'A', b' ' | b'M'] => "added",
            [b'D', _] | [_, b'D'] => "deleted",
            _ => "modified",
        };
        let staged = letters[0] != b' ' && letters[0] != b'?' && letters[1] == b' ';
        out.changed.push(ChangedFile { path: String::from_utf8_lossy(&path).into_owned(), change, staged });
    }
    for (_, pointer) in pointers_in_worktree(repo, &[])? {
        out.pointers += 1;
        out.pointer_bytes += pointer.size_bytes;
    }
    if let Some(head) = repo.git.resolve_commit("HEAD")? {
        let versions = repo.versions_of_commit(head)?;
        out.assets = versions.len() as u64;
        for remote in remotes::readable(repo)? {
            match remotes::open_to_read(repo, &remote) {
                Ok(view) => {
                    let lacking = versions
                        .iter()
                        .filter(|v| v.ver.content().content_id().is_some_and(|c| !view.fold().has_content(&c)));
                    out.unpushed.insert(remote.name, lacking.count() as u64);
                }
                Err(_) => out.unreachable.push(remote.name),
            }
        }
    }
    let ledger = repo.ledger()?;
    out.ledger = match repo.ledger_state()? {
        LedgerState::Local => "kept here only: there is no git remote".to_owned(),
        LedgerState::Fetched { remote, at_ms: Some(ms) } => {
            format!("fetched from {remote} at {}", crate::clock::rfc3339(ms))
        }
        LedgerState::Fetched { remote, at_ms: None } => format!("fetched from {remote}"),
        LedgerState::NeverFetched { remote } => format!("never fetched from {remote}"),
    };
    out.ledger_unsent = repo.ledger_is_unsent()?;
    let envs = Environments::new(&ledger);
    for env in envs.names() {
        for (asset, value) in envs.current(env) {
            let id = value.content.map(|c| c.id.short()).unwrap_or_else(|| "in conflict".to_owned());
            out.environments.push((env.to_owned(), asset, id));
        }
    }
    (out.store_packs, out.store_bytes) = repo.store()?.totals();
    Ok(out)
}

fn is_filtered(repo: &Repo, path: &[u8]) -> Result<bool> {
    let found = repo.git.attributes(&[path.to_vec()])?;
    Ok(found.first().is_some_and(|a| a.filter.as_deref() == Some("clade")))
}
