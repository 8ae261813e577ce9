//! `clade track` and `clade untrack`: lines of `.gitattributes`, and the files that they match.

use super::{Error, Result, add};
use crate::fsio;
use crate::limits::MAX_CONFIG_BYTES;
use crate::repo::Repo;
use serde::Serialize;
use std::path::PathBuf;

/// What the filter's lines say besides names.
const FILTER: &str = "filter=clade diff=clade merge=clade -text";

/// What is to be tracked.
#[derive(Debug, Clone, Default)]
pub struct TrackOptions {
    /// Patterns of `.gitattributes`.
    pub patterns: Vec<String>,
    /// `model`, `dataset`, `pipeline` or `golden`.
    pub kind: Option<String>,
    /// One name for all matching files.
    pub asset: Option<String>,
    /// Who is told about flags.
    pub owner: Option<String>,
    /// Only names, not the filter.
    pub attributes_only: bool,
}

/// What `clade track` did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TrackOutcome {
    /// The file that was changed.
    pub attributes_file: String,
    /// Lines that were added or changed.
    pub changed_lines: u64,
    /// Files that git knew already and that are pointers in the index now, or content again.
    #[serde(flatten)]
    pub staged: add::AddOutcome,
}

/// Writes a line for each pattern and stages what matches already.
pub fn track(repo: &Repo, options: &TrackOptions) -> Result<TrackOutcome> {
    if let Some(kind) = &options.kind
        && !["model", "dataset", "pipeline", "golden"].contains(&kind.as_str())
    {
        return Err(Error::usage(format!("{kind:?} is no kind")).hint("kinds are model, dataset, pipeline, golden"));
    }
    for (what, value) in [("asset", &options.asset), ("owner", &options.owner)] {
        if let Some(value) = value
            && (value.is_empty() || value.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@' || c == ':'))
            && !(what == "owner" && !value.chars().any(|c| c.is_whitespace() || c.is_control()) && !value.is_empty())
        {
            return Err(
                Error::usage(format!("{value:?} cannot be an {what}'s name")).hint("a name has no spaces, @ or colons")
            );
        }
    }
    let mut attributes = if options.attributes_only { Vec::new() } else { vec![FILTER.to_owned()] };
    attributes.extend(options.asset.iter().map(|a| format!("clade-asset={a}")));
    attributes.extend(options.kind.iter().map(|k| format!("clade-kind={k}")));
    attributes.extend(options.owner.iter().map(|o| format!("clade-owner={o}")));
    if attributes.is_empty() {
        return Err(Error::usage("--attributes-only needs --asset, --kind or --owner"));
    }
    let attributes = attributes.join(" ");
    edit(repo, |lines| {
        let mut changed = 0;
        for pattern in &options.patterns {
            let line = format!("{} {attributes}", quote(pattern));
            match lines.iter_mut().find(|l| is_ours(l) && pattern_of(l) == quote(pattern)) {
                Some(old) if *old == line => {}
                Some(old) => {
                    *old = line;
                    changed += 1;
                }
                None => {
                    lines.push(line);
                    changed += 1;
                }
            }
        }
        Ok(changed)
    })
}

/// Removes the lines of patterns and gives matching files back to git. Their bytes must be here.
pub fn untrack(repo: &Repo, patterns: &[String]) -> Result<TrackOutcome> {
    // A file that git keeps itself must be there in full before its line goes.
    let before = repo.filtered_paths(&[])?;
    let pointers = super::hydrate::pointers_in_worktree(repo, &[])?;
    let out = edit(repo, |lines| {
        let mut changed = 0;
        for pattern in patterns {
            let at = lines.iter().position(|l| is_ours(l) && pattern_of(l) == quote(pattern));
            let Some(at) = at else {
                return Err(Error::not_found(format!("no line of .gitattributes tracks {pattern:?}"))
                    .hint("run it in the folder in which `clade track` was run"));
            };
            lines.remove(at);
            changed += 1;
        }
        Ok(changed)
    })?;
    let after = repo.filtered_paths(&[])?;
    let given_back: Vec<Vec<u8>> = before.into_iter().filter(|p| !after.contains(p)).collect();
    let mine: Vec<_> = pointers.into_iter().filter(|(p, _)| given_back.contains(p)).collect();
    let hydrated = super::hydrate::hydrate(repo, &mine)?;
    if let Some(left) = hydrated.left.first() {
        return Err(Error::integrity(format!("{} still is a pointer: {}", left.path, left.reason))
            .hint("its line is gone from .gitattributes; `git checkout -- .gitattributes` brings it back"));
    }
    repo.git.renormalize(&given_back)?;
    Ok(TrackOutcome { staged: add::AddOutcome { plain_files: given_back.len() as u64, ..out.staged }, ..out })
}

/// Edits `.gitattributes` in the folder that the person is in, stages it, and stages what is affected.
fn edit(repo: &Repo, change: impl FnOnce(&mut Vec<String>) -> Result<u64>) -> Result<TrackOutcome> {
    let top = repo.git.require_work_tree()?.to_path_buf();
    let folder = repo.relative(&PathBuf::from("."))?;
    let path = repo.absolute(&folder)?.join(".gitattributes");
    let text = match fsio::exists(&path) {
        true => fsio::read_limited(&path, MAX_CONFIG_BYTES as u64)?,
        false => Vec::new(),
    };
    let text = String::from_utf8(text).map_err(|_| Error::not_found(format!("{} is not UTF-8", path.display())))?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let changed_lines = change(&mut lines)?;
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    fsio::write_atomic_in_place_of(&path, text.as_bytes())?;
    let relative = path.strip_prefix(&top).unwrap_or(&path);
    repo.git.stage(&[std::os::unix::ffi::OsStrExt::as_bytes(relative.as_os_str()).to_vec()])?;
    // What git has as content and the filter should have as pointers.
    let mut raw = Vec::new();
    let filtered = repo.filtered_paths(&[])?;
    let entries = repo.git.staged_files(Some(&filtered))?;
    let small = repo
        .git
        .small_blobs(&entries.iter().map(|e| e.oid).collect::<Vec<_>>(), crate::limits::MAX_POINTER_BYTES as u64)?;
    let pointers: std::collections::BTreeSet<_> =
        small.iter().filter(|(_, b)| super::hydrate::parse_pointer(b).is_some()).map(|(oid, _)| *oid).collect();
    for entry in entries {
        if !pointers.contains(&entry.oid) {
            raw.push(entry.path);
        }
    }
    let staged = add::stage(repo, &raw, true)?;
    let attributes_file = relative.to_string_lossy().into_owned();
    Ok(TrackOutcome { attributes_file, changed_lines, staged })
}

fn is_ours(line: &str) -> bool {
    line.contains("filter=clade")
        || line.contains("clade-asset=")
        || line.contains("clade-kind=")
        || line.contains("clade-owner=")
}

/// The pattern at the beginning of a line, quotes included.
fn pattern_of(line: &str) -> &str {
    let line = line.trim_start();
    if let Some(rest) = line.strip_prefix('"') {
        let mut escaped = false;
        for (i, c) in rest.char_indices() {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => return &line[..i + 2],
                _ => escaped = false,
            }
        }
        return line;
    }
    line.split_whitespace().next().unwrap_or("")
}

/// A pattern as `.gitattributes` needs it.
fn quote(pattern: &str) -> String {
    let plain = !pattern.starts_with(['"', '#', '!']) && !pattern.chars().any(|c| c.is_whitespace() || c == '"');
    if plain { pattern.to_owned() } else { format!("\"{}\"", pattern.replace('\\', "\\\\").replace('"', "\\\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_survive_quoting() {
        for pattern in ["*.pt", "my data/**", "a\"b", "#x"] {
            let line = format!("{} {FILTER}", quote(pattern));
            assert_eq!(pattern_of(&line), quote(pattern));
        }
    }
}
