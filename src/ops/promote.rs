//! `clade promote` and `clade rollback`: the acts that let an environment point to a version. Both are checked
//! against the newest ledger and count only once the ledger's remote took them.

use super::questions::{self, page_sink, refused, scrub};
use super::{Error, Kind, Result, remotes};
use crate::id::{EventId, FileId, TreeId};
use crate::ledger::{
    AssetKind, Content, EnvMoved, EnvState, Environments, Event, Finding, Form, Ledger, Move, MoveCause, Policy, Text,
    Version, VersionSeen,
};
use crate::lineage::{Flag, Graph, NodeRef, Unrecorded};
use crate::manifest::TreeReader;
use crate::repo::{AssetVersion, Named, Repo};
use crate::store::{Presence, SessionKind};
use serde::Serialize;
use std::collections::BTreeSet;

/// What is to be promoted.
#[derive(Debug, Clone)]
pub struct PromoteOptions {
    /// `NAME@X`, one or more: all move together.
    pub versions: Vec<String>,
    /// The environment.
    pub env: String,
    /// Why a refusal is overridden.
    pub override_reason: Option<String>,
}

/// What is to be rolled back.
#[derive(Debug, Clone)]
pub struct RollbackOptions {
    /// The asset.
    pub name: String,
    /// The environment.
    pub env: String,
    /// A certain version, instead of the last good one.
    pub to: Option<String>,
    /// Why a refusal is overridden.
    pub override_reason: Option<String>,
}

/// What `clade promote` and `clade rollback` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MoveOutcome {
    /// The environment.
    pub env: String,
    /// Why it moved.
    pub cause: MoveCause,
    /// The moves; empty when it has all of these versions already.
    pub moves: Vec<Move>,
    /// The event; absent when nothing moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// What checks said.
    pub findings: Vec<Finding>,
    /// Why a refusal was overridden.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
    /// What the person should know.
    pub warnings: Vec<String>,
}

/// A move that was checked.
struct Plan {
    out: MoveOutcome,
    supersedes: BTreeSet<EventId>,
    seen: Vec<VersionSeen>,
}

impl Plan {
    fn events(&self) -> Vec<Event> {
        let mut events: Vec<Event> = self.seen.iter().cloned().map(Event::VersionSeen).collect();
        events.push(Event::EnvMoved(EnvMoved {
            env: self.out.env.clone(),
            moves: self.out.moves.clone(),
            cause: self.out.cause.clone(),
            supersedes: self.supersedes.iter().copied().collect(),
            override_reason: self.out.override_reason.clone().map(Text::Plain),
            findings: self.out.findings.clone(),
        }));
        events
    }
}

/// Lets an environment point to versions.
///
/// # Errors
/// [`Kind::Policy`] for a flagged or partial version without an override; [`Kind::Integrity`] for one whose bytes
/// are in no place that was asked; [`Kind::Remote`] when the ledger's remote did not take it: then nothing is
/// recorded anywhere.
pub fn promote(repo: &Repo, options: &PromoteOptions) -> Result<MoveOutcome> {
    check_env(&options.env)?;
    repo.fetch_ledger()?;
    carry_out(repo, |ledger| {
        let mut chosen = Vec::new();
        let mut warnings = Vec::new();
        for text in &options.versions {
            let (candidate, mut said) = candidate(repo, ledger, text)?;
            warnings.append(&mut said);
            if chosen.iter().any(|c: &Candidate| c.ver.asset == candidate.ver.asset) {
                return Err(Error::usage(format!("{} is named twice", candidate.ver.asset)));
            }
            chosen.push(candidate);
        }
        let reason = options.override_reason.as_deref();
        plan(repo, ledger, &options.env, MoveCause::Promote, chosen, warnings, reason)
    })
}

/// Returns an environment to an earlier version.
///
/// # Errors
/// Those of [`promote`]; [`Kind::NotFound`] when there is no earlier version to go back to.
pub fn rollback(repo: &Repo, options: &RollbackOptions) -> Result<MoveOutcome> {
    check_env(&options.env)?;
    repo.fetch_ledger()?;
    let (name, env) = (&options.name, &options.env);
    carry_out(repo, |ledger| {
        let envs = Environments::new(ledger);
        let Some(now) = envs.value(env, name) else {
            let assets: Vec<String> = envs.current(env).into_keys().collect();
            let out = Error::not_found(format!("environment {env:?} has no {name:?}"));
            return Err(if assets.is_empty() {
                out.hint(format!("environments: {}", envs.names().collect::<Vec<_>>().join(", ")))
            } else {
                out.hint(format!("it has: {}", assets.join(", ")))
            });
        };
        let (chosen, warnings) = match &options.to {
            Some(to) => {
                let prefix = format!("{name}@");
                candidate(repo, ledger, &format!("{prefix}{}", to.strip_prefix(&prefix).unwrap_or(to)))?
            }
            None => {
                let checks = Checks::new(repo, ledger, &[])?;
                let mut failed = None;
                let target = envs.rollback_target(env, name, |content| {
                    let ver = Version::new(name.clone(), *content);
                    if checks.refusal(ledger, &ver, env).is_some() {
                        return false;
                    }
                    let of_id = candidate_of(repo, ledger, &ver);
                    match of_id.and_then(|c| complete(repo, ledger, &c)) {
                        Ok(()) => true,
                        Err(e) => {
                            failed.get_or_insert(e);
                            false
                        }
                    }
                });
                match (target, failed) {
                    (Some(content), _) => (candidate_of(repo, ledger, &Version::new(name.clone(), content))?, vec![]),
                    (None, Some(e)) => return Err(e.context(format!("no earlier version of {name} can be checked"))),
                    (None, None) => {
                        return Err(Error::not_found(format!(
                            "{env:?} has no earlier version of {name} that is good: not flagged, not unfinished, \
                             not rolled back from before"
                        ))
                        .hint(format!("`clade env history {env} {name}` shows them; choose one with --to X")));
                    }
                }
            }
        };
        if now.state == EnvState::Settled && now.content == Some(chosen.ver.content()) {
            return Err(Error::usage(format!("{env:?} has this version of {name} already")));
        }
        let reason = options.override_reason.as_deref();
        plan(repo, ledger, env, MoveCause::Rollback, vec![chosen], warnings, reason)
    })
}

/// Plans on the newest ledger and records; plans again when others were faster.
fn carry_out(repo: &Repo, mut make: impl FnMut(&Ledger) -> Result<Plan>) -> Result<MoveOutcome> {
    let first = make(&repo.ledger()?)?;
    if first.out.moves.is_empty() {
        return Ok(first.out);
    }
    let mut last = first.out;
    let batch = repo.record_at_remote(|ledger| {
        let plan = make(ledger)?;
        let events = plan.events();
        last = plan.out;
        Ok::<_, Error>(events)
    })?;
    let at = batch.payload.events.iter().position(|e| matches!(e, Event::EnvMoved(_)));
    last.event = at.map(|index| batch.event_id(index));
    Ok(last)
}

fn check_env(env: &str) -> Result<()> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if env.is_empty() || !env.chars().all(valid) || env.starts_with('-') {
        return Err(Error::usage(format!("{env:?} cannot be an environment's name"))
            .hint("letters, digits, - _ . only, for example prod"));
    }
    Ok(())
}

/// A version that an environment may get.
struct Candidate {
    ver: Version,
    /// As git or the working tree has it, where it was found there.
    version: Option<AssetVersion>,
    commit: Option<String>,
}

fn candidate(repo: &Repo, ledger: &Ledger, text: &str) -> Result<(Candidate, Vec<String>)> {
    let store = repo.store()?;
    let mut session = store.session(SessionKind::Batch, repo.progress(), repo.interrupt());
    let resolved = repo.resolve(text, ledger, &mut page_sink(&mut session))?;
    session.finish()?;
    let Named { asset, content, commit, version, .. } = resolved.named;
    let ver = Version::new(asset, content);
    let commit = commit.map(|c| c.to_string());
    let candidate = match version {
        Some(version) => Candidate { ver, version: Some(version), commit },
        None => candidate_of(repo, ledger, &ver)?,
    };
    Ok((candidate, resolved.warnings))
}

/// A version by its id, looked for on refs where the ledger says too little about it.
fn candidate_of(repo: &Repo, ledger: &Ledger, ver: &Version) -> Result<Candidate> {
    let known = |e: &Event| matches!(e, Event::VersionSeen(s) if s.ver == *ver);
    let mut out = Candidate { ver: ver.clone(), version: None, commit: None };
    if ledger.events().any(|e| known(e.event)) && is_stored(repo, ledger, ver)? {
        return Ok(out);
    }
    let refs = repo.git.refs(&["refs/heads/", "refs/remotes/", "refs/tags/"])?;
    let tips: Vec<_> = refs.into_iter().map(|r| r.peeled).collect();
    for commit in repo.git.rev_list(&tips)? {
        if repo.versions_of_commit(commit)?.iter().any(|u| u.ver == *ver) {
            let store = repo.store()?;
            let mut session = store.session(SessionKind::Batch, repo.progress(), repo.interrupt());
            out.version = repo.assets_with(commit, Some(&ver.asset), &mut page_sink(&mut session))?.pop();
            session.finish()?;
            out.commit = Some(commit.to_string());
            break;
        }
    }
    Ok(out)
}

fn is_stored(repo: &Repo, ledger: &Ledger, ver: &Version) -> Result<bool> {
    let Some(files) = files_of(repo, ledger, ver)? else { return Ok(false) };
    for (file, size) in files {
        if repo.store()?.presence(file, size)? != Presence::Complete {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The files of a version with their sizes; `None` where pages or the size are not known here.
fn files_of(repo: &Repo, ledger: &Ledger, ver: &Version) -> Result<Option<Vec<(FileId, u64)>>> {
    match ver.form {
        Form::File => {
            let size = ledger.events().find_map(|e| match e.event {
                Event::VersionSeen(seen) if seen.ver.content() == ver.content() => Some(seen.size_bytes),
                _ => None,
            });
            Ok(size.map(|size| vec![(FileId(ver.id.0), size)]))
        }
        Form::Tree => {
            let store = repo.store()?;
            let mut reader = TreeReader::new(TreeId(ver.id.0), |id| store.page(id));
            let entries: std::result::Result<Vec<_>, crate::store::Error> = reader.iter().collect();
            match entries {
                Ok(entries) => Ok(Some(entries.into_iter().map(|e| (e.file_id, e.size_bytes)).collect())),
                Err(e) if e.is_integrity() => Ok(None),
                Err(e) => Err(e.into()),
            }
        }
        Form::External => Ok(None),
    }
}

/// Insists that all bytes of a version are in the store, in git, or at a remote.
fn complete(repo: &Repo, ledger: &Ledger, candidate: &Candidate) -> Result<()> {
    let ver = &candidate.ver;
    let store = repo.store()?;
    let mut missing = Vec::new();
    match &candidate.version {
        Some(version) => {
            for m in &version.members {
                // What is no pointer is in git itself, as long as git has it.
                let in_git = !m.is_pointer && m.blob.is_some();
                if !in_git && m.size_bytes > 0 && store.presence(m.file_id, m.size_bytes)? != Presence::Complete {
                    missing.push(m.file_id);
                }
            }
            if missing.is_empty() {
                return Ok(());
            }
        }
        None => {
            if is_stored(repo, ledger, ver)? {
                return Ok(());
            }
        }
    }
    let mut failed = None;
    if let Some(content) = ver.content().content_id() {
        for remote in remotes::readable(repo)? {
            match remotes::open_to_read(repo, &remote) {
                Ok(view) if view.fold().has_content(&content) => return Ok(()),
                Ok(_) => {}
                Err(e) => failed = Some(e),
            }
        }
    }
    let short = ver.id.short();
    let message = format!("bytes of {}@b3:{short} are neither in this clone's store nor at any remote", ver.asset);
    Err(match failed {
        Some(e) => {
            let mut out = Error::new(
                Kind::Remote,
                format!("whether the bytes of {}@b3:{short} are complete cannot be told", ver.asset),
            );
            out.causes.push(e.to_string());
            out.hint("try again when the remote can be reached")
        }
        None => Error::integrity(message).hint(
            "where the bytes are: `clade add` them, then `clade push`; here: `clade pull` fetches what remotes have",
        ),
    })
}

/// What speaks for and against versions.
struct Checks {
    graph: Graph,
    flags: Vec<Flag>,
    partial: BTreeSet<Content>,
}

impl Checks {
    fn new(repo: &Repo, ledger: &Ledger, more: &[Unrecorded]) -> Result<Self> {
        let graph = questions::graph(repo, ledger, more)?;
        let flags = graph.flags(&Policy::builtin());
        Ok(Self { flags, graph, partial: questions::partial_contents(repo, ledger)? })
    }

    fn flag(&self, ver: &Version) -> Option<&Flag> {
        // A flag is about content: another name does not take it away.
        let same = |f: &&Flag| f.form == ver.form && f.id == ver.id;
        self.flags.iter().filter(same).find(|f| f.asset == ver.asset).or_else(|| self.flags.iter().find(same))
    }

    /// Why a version may not be in an environment: finding and error.
    fn refusal(&self, ledger: &Ledger, ver: &Version, env: &str) -> Option<(Finding, Error)> {
        let name = format!("{}@b3:{}", ver.asset, ver.id.short());
        let finding = |code: &str, detail: String| Finding {
            code: code.to_owned(),
            asset: Some(ver.asset.clone()),
            detail: Some(detail),
        };
        if self.partial.contains(&ver.content()) {
            let detail = "a run that did not finish left it".to_owned();
            let error = refused(format!("{name} may not go to {env}: {detail}"))
                .hint("finish the run, and promote what it writes; or --override REASON, which is recorded");
            return Some((finding("partial", detail), error));
        }
        let flag = self.flag(ver)?;
        let kind = match flag.flag {
            crate::ledger::FlagKind::Retrain => "retrain",
            crate::ledger::FlagKind::Review => "review",
        };
        let causes: Vec<String> = flag.causes.iter().map(|id| cause(ledger, *id)).collect();
        let detail = format!("flagged {kind}: {}", causes.join("; "));
        let mut error = refused(format!("{name} may not go to {env}: it is {detail}"));
        error.causes.push(format!("path: {}", path(flag)));
        let target = flag.path.first().map(|s| node(&s.node)).unwrap_or_default();
        let error = error
            .hint(format!("see every step: `clade why {name} {target}`"))
            .hint("promote a version without this data; or --override REASON, which is recorded for good");
        Some((finding(&format!("flagged.{kind}"), detail), error))
    }
}

/// A classification in words.
fn cause(ledger: &Ledger, id: EventId) -> String {
    for entry in ledger.events().filter(|e| e.id == id) {
        if let Event::ClassSet(set) = entry.event {
            let level = set.level.map_or("tagged", |l| l.as_str());
            let reason = match &set.reason {
                Text::Plain(text) if !text.is_empty() => format!(" ({text})"),
                _ => String::new(),
            };
            return format!("{} is {level}{reason}, classification {}", scope_text(&set.scope), id.short());
        }
    }
    format!("classification {}", id.short())
}

/// A scope in words.
#[must_use]
pub fn scope_text(scope: &crate::ledger::Scope) -> String {
    match scope {
        crate::ledger::Scope::Asset { asset, path, at } => {
            let at = at.map(|id| format!("@b3:{}", id.short())).unwrap_or_default();
            let path = path.as_ref().map(|p| format!(":{p}")).unwrap_or_default();
            format!("{asset}{at}{path}")
        }
        crate::ledger::Scope::Content(id) => format!("b3:{}", id.short()),
    }
}

/// A node in words.
fn node(node: &NodeRef) -> String {
    match node {
        NodeRef::Content { id, .. } => format!("b3:{id}"),
        NodeRef::Page { id } => format!("b3:{id}"),
        NodeRef::Named { name } => name.clone(),
        NodeRef::Run { run, .. } => run.to_string(),
    }
}

/// A flag's path in words: the contents and the runs between them.
fn path(flag: &Flag) -> String {
    let steps: Vec<String> = flag
        .path
        .iter()
        .map(|s| match &s.node {
            NodeRef::Content { asset: Some(asset), id, .. } => format!("{asset}@b3:{}", id.short()),
            NodeRef::Content { id, .. } => format!("b3:{}", id.short()),
            NodeRef::Page { id } => format!("page {}", id.short()),
            NodeRef::Named { name } => name.clone(),
            NodeRef::Run { run, step, .. } => match step {
                Some(step) => format!("run {} ({step})", run.short()),
                None => format!("run {}", run.short()),
            },
        })
        .collect();
    steps.join(" -> ")
}

fn plan(
    repo: &Repo,
    ledger: &Ledger,
    env: &str,
    cause: MoveCause,
    chosen: Vec<Candidate>,
    mut warnings: Vec<String>,
    override_reason: Option<&str>,
) -> Result<Plan> {
    let envs = Environments::new(ledger);
    let is_there = |c: &Candidate| {
        envs.value(env, &c.ver.asset)
            .is_some_and(|v| v.state == EnvState::Settled && v.content == Some(c.ver.content()))
    };
    let more: Vec<Unrecorded> = chosen
        .iter()
        .filter_map(|c| {
            let v = c.version.as_ref()?;
            let (path, kind, size_bytes) = (v.path.clone(), v.kind.clone(), v.size_bytes);
            Some(Unrecorded { ver: c.ver.clone(), path, kind, size_bytes })
        })
        .collect();
    let mut out = MoveOutcome {
        env: env.to_owned(),
        cause,
        moves: Vec::new(),
        event: None,
        findings: Vec::new(),
        override_reason: None,
        warnings: Vec::new(),
    };
    let chosen: Vec<Candidate> = chosen.into_iter().filter(|c| !is_there(c)).collect();
    let (mut supersedes, mut seen) = (BTreeSet::new(), Vec::new());
    if !chosen.is_empty() {
        let checks = Checks::new(repo, ledger, &more)?;
        for c in &chosen {
            let value = envs.value(env, &c.ver.asset);
            if let Some((finding, error)) = checks.refusal(ledger, &c.ver, env) {
                if override_reason.is_none_or(|r| r.trim().is_empty()) {
                    return Err(error);
                }
                out.findings.push(finding);
            }
            complete(repo, ledger, c)?;
            if checks.graph.is_of_unknown_origin(&c.ver) {
                warnings.push(format!(
                    "nobody recorded where {}@b3:{} comes from: no classification can reach it",
                    c.ver.asset,
                    c.ver.id.short()
                ));
                out.findings.push(Finding {
                    code: "origin.unknown".to_owned(),
                    asset: Some(c.ver.asset.clone()),
                    detail: None,
                });
            }
            if let Some(value) = &value {
                supersedes.extend(value.heads.iter().copied());
                if value.state == EnvState::Conflict && out.cause == MoveCause::Promote {
                    out.cause = MoveCause::Resolve;
                }
            }
            let from = value.and_then(|v| v.content);
            out.moves.push(Move { asset: c.ver.asset.clone(), from, to: c.ver.content() });
            seen.extend(seen_of(ledger, c));
        }
    }
    // An override is recorded where there was something to override.
    let overridden = out.findings.iter().any(|f| f.code != "origin.unknown");
    out.override_reason = override_reason.filter(|_| overridden).map(|r| scrub(repo, r));
    out.warnings = warnings;
    Ok(Plan { out, supersedes, seen })
}

/// The `version.seen` of a version that the ledger has none for.
fn seen_of(ledger: &Ledger, candidate: &Candidate) -> Option<VersionSeen> {
    let known = |e: &Event| matches!(e, Event::VersionSeen(s) if s.ver == candidate.ver);
    let version = candidate.version.as_ref()?;
    if ledger.events().any(|e| known(e.event)) {
        return None;
    }
    Some(VersionSeen {
        ver: candidate.ver.clone(),
        kind: AssetKind::clone(&version.kind),
        size_bytes: version.size_bytes,
        files: version.members.len() as u64,
        sha256: None,
        commit: candidate.commit.clone(),
        path: version.path.clone(),
        owner: version.owner.clone(),
    })
}
