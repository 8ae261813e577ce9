//! `clade pull`: bytes and the ledger, never branches.

use super::hydrate::{self, HydrateOutcome};
use super::{Error, Result, fetching};
use crate::manifest::Pointer;
use crate::repo::Repo;
use crate::transfer::Wanted;
use serde::Serialize;
use std::path::PathBuf;

/// What is to be pulled.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// Files and folders as they were typed; all where none is given.
    pub paths: Vec<PathBuf>,
    /// Only paths that match one of these patterns (`*`, `?`, `**`).
    pub include: Vec<String>,
    /// Into the store only.
    pub no_checkout: bool,
}

/// What `clade pull` did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PullOutcome {
    /// Pointers that were looked at.
    pub pointers: u64,
    /// What was put in place.
    #[serde(flatten)]
    pub hydrated: HydrateOutcome,
    /// Whether the ledger was asked for.
    pub ledger_fetched: bool,
    /// Why the ledger could not be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger_problem: Option<String>,
}

/// Fetches the ledger, then bytes, and puts them in place.
pub fn pull(repo: &Repo, options: &PullOptions) -> Result<PullOutcome> {
    let mut out = PullOutcome::default();
    match repo.fetch_ledger() {
        Ok(fetched) => out.ledger_fetched = fetched,
        Err(crate::repo::Error::LedgerRemote { detail, .. }) => out.ledger_problem = Some(detail),
        Err(e) => return Err(e.into()),
    }
    let mut below = Vec::new();
    for path in &options.paths {
        let relative = repo.relative(path)?;
        if repo.filtered_paths(std::slice::from_ref(&relative))?.is_empty() {
            return Err(Error::not_found(format!("{} holds nothing that clade keeps", path.display()))
                .hint("`clade status` shows what there is"));
        }
        below.push(relative);
    }
    let pointers: Vec<(Vec<u8>, Pointer)> = hydrate::pointers_in_worktree(repo, &below)?
        .into_iter()
        .filter(|(path, _)| {
            let path = String::from_utf8_lossy(path);
            options.include.is_empty() || options.include.iter().any(|p| matches(p, &path))
        })
        .collect();
    out.pointers = pointers.len() as u64;
    if options.no_checkout {
        let wanted: Vec<Wanted> =
            pointers.iter().map(|(_, p)| Wanted { file: p.file_id, size_bytes: p.size_bytes }).collect();
        fetching::ensure(repo, &wanted)?;
        return Ok(out);
    }
    out.hydrated = hydrate::hydrate(repo, &pointers)?;
    if !out.hydrated.left.is_empty() {
        // What the store lists may be damaged: read it, and fetch good copies.
        let again: Vec<(Vec<u8>, Pointer)> = pointers
            .iter()
            .filter(|(path, _)| out.hydrated.left.iter().any(|l| l.path.as_bytes() == path.as_slice()))
            .cloned()
            .collect();
        let wanted: Vec<Wanted> =
            again.iter().map(|(_, p)| Wanted { file: p.file_id, size_bytes: p.size_bytes }).collect();
        let healed = fetching::heal(repo, &wanted);
        let second = hydrate::hydrate(repo, &again)?;
        out.hydrated.hydrated += second.hydrated;
        out.hydrated.hydrated_bytes += second.hydrated_bytes;
        out.hydrated.left = second.left;
        if !out.hydrated.left.is_empty() {
            let first = &out.hydrated.left[0];
            let still = match out.hydrated.left.len() {
                1 => format!("{} stays a pointer", first.path),
                n => format!("{n} files stay pointers, the first is {}", first.path),
            };
            healed.map_err(|e| e.context(still))?;
            return Err(Error::integrity(format!("{} stays a pointer: {}", first.path, first.reason)));
        }
    }
    Ok(out)
}

/// Whether a path matches a pattern: `*` and `?` stay within a name, `**` crosses folders, a pattern without a
/// slash matches the last name.
#[must_use]
pub fn matches(pattern: &str, path: &str) -> bool {
    let path = if pattern.contains('/') { path } else { path.rsplit('/').next().unwrap_or(path) };
    let pattern = pattern.trim_start_matches('/');
    glob(pattern.as_bytes(), path.as_bytes())
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', b'/', rest @ ..] => {
            glob(rest, text) || (0..text.len()).any(|i| text[i] == b'/' && glob(rest, &text[i + 1..]))
        }
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|i| glob(rest, &text[i..])),
        [b'*', rest @ ..] => {
            let end = text.iter().position(|b| *b == b'/').unwrap_or(text.len());
            (0..=end).any(|i| glob(rest, &text[i..]))
        }
        [b'?', rest @ ..] => text.first().is_some_and(|b| *b != b'/') && glob(rest, &text[1..]),
        [c, rest @ ..] => text.first() == Some(c) && glob(rest, &text[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(matches("*.csv", "a/b/x.csv"));
        assert!(matches("a/*.csv", "a/x.csv"));
        assert!(!matches("a/*.csv", "a/b/x.csv"));
        assert!(matches("a/**", "a/b/x.csv"));
        assert!(matches("**/x.csv", "x.csv") && matches("**/x.csv", "a/b/x.csv"));
        assert!(matches("?.csv", "x.csv") && !matches("?.csv", "xy.csv"));
    }
}
