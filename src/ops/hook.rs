//! What git's hooks do.

use super::hydrate::{self, HydrateOutcome, Pending};
use super::{Error, Result, push};
use crate::fsio;
use crate::git::hooks::{Hook, push_marker};
use crate::process;
use crate::repo::{Repo, SendOutcome};

/// What a hook has to say to the person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookReport {
    /// Lines for standard error.
    pub lines: Vec<String>,
}

/// Runs a hook. `input` is what git gives on standard input; `uploaded` says that `clade push` did the uploading.
pub fn run(repo: &Repo, hook: Hook, git_pid: u32, args: &[String], input: &str, uploaded: bool) -> Result<HookReport> {
    match hook {
        Hook::PostIndexChange => post_index_change(repo, git_pid, args),
        Hook::PrePush => pre_push(repo, git_pid, args, input, uploaded),
        Hook::ReferenceTransaction => after_push(repo, git_pid, args),
        _ => Ok(HookReport::default()),
    }
}

/// Puts the bytes in place that a checkout by this git process left as pointers.
fn post_index_change(repo: &Repo, git_pid: u32, args: &[String]) -> Result<HookReport> {
    let mut report = HookReport::default();
    // git says 1 when it went over the working tree. Only then leftovers of killed checkouts are taken up: a
    // `git status` in the background must not start to fetch them.
    let mut lists = if args.first().map(String::as_str) == Some("1") { Pending::leftovers(repo)? } else { Vec::new() };
    lists.extend(Some(Pending::of(repo, git_pid)).filter(Pending::exists));
    if lists.is_empty() || repo.context.git.index_file.as_ref().is_some_and(|f| !is_own_index(repo, f)) {
        return Ok(report);
    }
    let mut paths = Vec::new();
    for list in &lists {
        paths.extend(list.read()?);
    }
    paths.sort_by(|a, b| a.0.cmp(&b.0));
    paths.dedup();
    let total: u64 = paths.iter().map(|(_, p)| p.size_bytes).sum();
    if total > hydrate::automatic_limit_bytes(repo)? {
        report.lines.push(format!(
            "clade: {} files ({} MB) stay pointers, more than is put in place unasked; `clade pull` fetches them, \
             `clade pull PATH` some",
            paths.len(),
            total / 1_000_000
        ));
        lists.iter().try_for_each(Pending::remove)?;
        return Ok(report);
    }
    let outcome = hydrate::hydrate(repo, &paths)?;
    // The own list stays while its git lives: that process may write its index again, from memory, and must be
    // told again.
    lists.iter().filter(|l| !l.is_of(git_pid)).try_for_each(Pending::remove)?;
    report.lines.extend(describe_left(&outcome));
    Ok(report)
}

fn is_own_index(repo: &Repo, file: &std::path::Path) -> bool {
    let own = repo.git.git_dir().join("index");
    fsio::real_path(&repo.context.cwd.join(file)) == fsio::real_path(&own)
}

/// What stayed a pointer, and what to do about it.
#[must_use]
pub fn describe_left(outcome: &HydrateOutcome) -> Vec<String> {
    let Some(first) = outcome.left.first() else { return Vec::new() };
    let what = match outcome.left.len() {
        1 => format!("clade: {} stays a pointer: {}", first.path, first.reason),
        n => format!("clade: {n} files stay pointers, the first is {}: {}", first.path, first.reason),
    };
    vec![what, "hint: `clade pull` tries again".to_owned()]
}

/// Bytes before refs: uploads what the pushed range needs, and leaves word for the ledger to follow.
fn pre_push(repo: &Repo, git_pid: u32, args: &[String], input: &str, uploaded: bool) -> Result<HookReport> {
    let mut report = HookReport::default();
    let remote = args.first().map_or("origin", String::as_str);
    let pushed = push::from_hook(repo, remote, input)?;
    if pushed.refs.is_empty() {
        return Ok(report);
    }
    if !uploaded {
        for upload in push::upload(repo, remote, &pushed, false)? {
            if upload.sent.pack_count > 0 {
                report.lines.push(format!(
                    "clade: {} kB in {} packs uploaded to {}",
                    upload.sent.sent_bytes.div_ceil(1000),
                    upload.sent.pack_count,
                    upload.remote
                ));
            }
        }
        let marker = push_marker(repo.git.common_dir(), git_pid);
        fsio::create_dir_all(marker.parent().expect("it has a folder"))?;
        let start = process::start_time(git_pid).unwrap_or_default();
        fsio::write_atomic(&marker, start.as_bytes())?;
    }
    Ok(report)
}

/// After the refs moved: the ledger. A failure is no failure of the push; the next clade command sends it.
fn after_push(repo: &Repo, git_pid: u32, args: &[String]) -> Result<HookReport> {
    let mut report = HookReport::default();
    if args.first().map(String::as_str) != Some("committed") {
        return Ok(report);
    }
    let marker = push_marker(repo.git.common_dir(), git_pid);
    let Some(start) = fsio::read_opt(&marker)? else { return Ok(report) };
    // Removed first: sending the ledger moves refs as well, and must not come here again.
    fsio::remove_file(&marker)?;
    if String::from_utf8_lossy(&start) != process::start_time(git_pid).unwrap_or_default() {
        return Ok(report);
    }
    if let SendOutcome::Failed { remote, detail } = repo.send_ledger()? {
        let detail = detail.lines().next().unwrap_or_default().to_owned();
        report.lines.push(format!("clade: the ledger could not be sent to {remote}: {detail}"));
        report.lines.push("hint: `clade push` sends it".to_owned());
    }
    Ok(report)
}

/// Sends the ledger after a push whose git process ended before its hook could. Errors are the caller's to ignore.
pub fn send_after_interrupted_push(repo: &Repo) -> Result<()> {
    let dir = repo.layout.dir.join("tmp");
    for name in fsio::list_dir(&dir)? {
        let name = name.to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix("pushed.").and_then(|p| p.parse::<u32>().ok()) else { continue };
        let marker = dir.join(&name);
        let start = fsio::read_opt(&marker)?.unwrap_or_default();
        let alive =
            process::is_alive(pid) && process::start_time(pid).is_none_or(|now| now.as_bytes() == start.as_slice());
        if !alive {
            fsio::remove_file(&marker)?;
            repo.send_ledger().map_err(Error::from)?;
        }
    }
    Ok(())
}
