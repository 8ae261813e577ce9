//! `clade log`: the versions of assets in git's history.

use super::{Error, Result};
use crate::ledger::Environments;
use crate::repo::{At, Repo, Selector};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One version of an asset, where it first appeared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogRow {
    /// The asset.
    pub asset: String,
    /// `file` or `tree`.
    pub form: String,
    /// The version's id.
    pub id: String,
    /// Bytes of its files.
    pub size_bytes: u64,
    /// The oldest commit of the present branch that has it.
    pub commit: String,
    /// That commit's time, RFC 3339.
    pub time: String,
    /// That commit's author.
    pub author: String,
    /// That commit's subject.
    pub subject: String,
    /// Environments that hold it now.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub environments: BTreeSet<String>,
}

/// Versions, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogOutcome {
    /// The versions.
    pub versions: Vec<LogRow>,
}

/// The versions of one asset, or of all, in the history of HEAD.
pub fn log(repo: &Repo, name: Option<&str>, max_count: Option<usize>) -> Result<LogOutcome> {
    let ledger = repo.ledger()?;
    let wanted = match name {
        None => None,
        Some(name) => {
            let known = repo.known_assets(&ledger)?;
            match Selector::parse(name, &known)? {
                Selector::Named { name, at: None, path: None } => Some(name),
                Selector::Named { at: Some(At::Any(_) | At::Env(_) | At::Rev(_) | At::Id(_)), .. }
                | Selector::Id(_) => {
                    return Err(Error::usage("log takes a name without a version"));
                }
                Selector::Named { path: Some(_), .. } => return Err(Error::usage("log takes an asset's name")),
            }
        }
    };
    let Some(head) = repo.git.resolve_commit("HEAD")? else { return Ok(LogOutcome::default()) };
    let envs = Environments::new(&ledger);
    let mut holders: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for env in envs.names() {
        for (asset, value) in envs.current(env) {
            if let Some(content) = value.content {
                holders.entry((asset, content.id.to_string())).or_default().insert(env.to_owned());
            }
        }
    }
    let commits = repo.git.log(&[head], &[], None)?;
    let mut rows: Vec<LogRow> = Vec::new();
    let mut last: BTreeMap<String, (usize, String)> = BTreeMap::new();
    // Oldest first, so that each version is shown where it began.
    for commit in commits.iter().rev() {
        repo.interrupt().check()?;
        for version in repo.versions_of_commit(commit.oid)? {
            let asset = version.ver.asset.clone();
            if wanted.as_ref().is_some_and(|w| *w != asset && !asset.starts_with(&format!("{w}/"))) {
                continue;
            }
            let id = version.ver.id.to_string();
            if last.get(&asset).is_some_and(|(_, old)| *old == id) {
                continue;
            }
            last.insert(asset.clone(), (rows.len(), id.clone()));
            let ms = u64::try_from(commit.time_s).unwrap_or(0) * 1000;
            rows.push(LogRow {
                environments: holders.get(&(asset.clone(), id.clone())).cloned().unwrap_or_default(),
                asset,
                form: version.ver.content().content_id().map_or("external", |c| c.form()).to_owned(),
                id,
                size_bytes: version.size_bytes,
                commit: commit.oid.to_string(),
                time: crate::clock::rfc3339(ms),
                author: commit.author.clone(),
                subject: commit.subject.clone(),
            });
        }
    }
    rows.reverse();
    rows.truncate(max_count.unwrap_or(usize::MAX));
    Ok(LogOutcome { versions: rows })
}
