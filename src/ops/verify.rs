//! `clade verify`: everything that is here, and everything that refs need.

use super::Result;
use crate::repo::Repo;
use crate::store::{Presence, VerifyLevel, VerifyReport};
use serde::Serialize;
use std::collections::BTreeMap;

/// A file of a version that is not complete in this clone's store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct IncompleteFile {
    /// The asset.
    pub asset: String,
    /// The path in the commit.
    pub path: String,
    /// The file's id.
    pub file: String,
    /// A commit that has it.
    pub commit: String,
    /// Whether the file's recipe or some of its chunks are here.
    pub partly_here: bool,
}

/// What `clade verify` found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerifyOutcome {
    /// Packs and records.
    #[serde(flatten)]
    pub store: VerifyReport,
    /// Versions on the tips of refs.
    pub version_count: u64,
    /// Files of versions that this store holds only in part, because something is damaged or missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<IncompleteFile>,
    /// Files that are not here at all: a remote may have them.
    pub elsewhere: u64,
}

impl VerifyOutcome {
    /// Whether anything is damaged.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        !self.store.findings.is_empty() || !self.incomplete.is_empty()
    }
}

/// Checks the store, and that the versions on the tips of refs have their bytes.
pub fn verify(repo: &Repo, level: VerifyLevel) -> Result<VerifyOutcome> {
    let store = repo.store()?;
    let mut out = VerifyOutcome {
        store: store.verify(level, repo.now_ms(), repo.progress(), repo.interrupt())?,
        ..VerifyOutcome::default()
    };
    let refs = repo.git.refs(&["refs/heads/", "refs/remotes/", "refs/tags/"])?;
    let mut seen = BTreeMap::new();
    for one in refs {
        repo.interrupt().check()?;
        let Some(commit) = repo.git.resolve_commit(&one.peeled.to_string())? else { continue };
        if seen.insert(repo.git.tree_of(commit)?, ()).is_some() {
            continue;
        }
        for version in repo.assets_in(commit)? {
            out.version_count += 1;
            for member in version.members.iter().filter(|m| m.is_pointer) {
                match store.presence(member.file_id, member.size_bytes)? {
                    Presence::Complete if damaged(&out.store, &member.file_id.to_string()) => {}
                    Presence::Complete => continue,
                    Presence::Absent => {
                        out.elsewhere += 1;
                        continue;
                    }
                    Presence::Partial { .. } => {}
                }
                out.incomplete.push(IncompleteFile {
                    asset: version.asset.clone(),
                    path: String::from_utf8_lossy(&member.path).into_owned(),
                    file: member.file_id.to_string(),
                    commit: commit.to_string(),
                    partly_here: true,
                });
            }
        }
    }
    // Damage in a pack hits every file that has a chunk there.
    if level == VerifyLevel::Full && !out.store.findings.is_empty() {
        hit_files(repo, &mut out)?;
    }
    out.incomplete.sort();
    out.incomplete.dedup();
    Ok(out)
}

fn damaged(report: &VerifyReport, id: &str) -> bool {
    report.findings.iter().any(|f| f.record.as_ref().is_some_and(|r| r.ends_with(id)))
}

/// Adds the files that need a damaged record.
fn hit_files(repo: &Repo, out: &mut VerifyOutcome) -> Result<()> {
    let store = repo.store()?;
    let bad: std::collections::BTreeSet<String> =
        out.store.findings.iter().filter_map(|f| f.record.as_ref()?.rsplit(' ').next().map(str::to_owned)).collect();
    let Some(head) = repo.git.resolve_commit("HEAD")? else { return Ok(()) };
    for version in repo.assets_in(head)? {
        for member in version.members.iter().filter(|m| m.is_pointer) {
            let hit = match store.terms(member.file_id, member.size_bytes) {
                Ok(Some(terms)) => terms.iter().any(|t| match t {
                    crate::manifest::Term::Chunk { id, .. } => {
                        bad.contains(&id.to_string())
                            && !matches!(store.record(crate::pack::RecordKind::DATA, &id.0), Ok(Some(_)))
                    }
                    crate::manifest::Term::Hole { .. } => false,
                }),
                Ok(None) => false,
                Err(_) => true,
            };
            if hit {
                out.incomplete.push(IncompleteFile {
                    asset: version.asset.clone(),
                    path: String::from_utf8_lossy(&member.path).into_owned(),
                    file: member.file_id.to_string(),
                    commit: head.to_string(),
                    partly_here: true,
                });
            }
        }
    }
    Ok(())
}
