//! `clade push`, and what the `pre-push` hook does: bytes before refs, the ledger after them.

use super::{Error, Kind, Result, remotes};
use crate::git::{Oid, PushedRef};
use crate::id::{ContentId, PageId};
use crate::ledger::{Environments, Event, VersionSeen};
use crate::manifest::{Page, TreePage};
use crate::remote::{EnvMove, GitRef, RefAsset};
use crate::repo::{AssetVersion, Repo, SendOutcome, to_content};
use crate::store::SessionKind;
use crate::transfer::{self, PushRoot, Wanted};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What `clade push` did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PushOutcome {
    /// What was uploaded, by remote.
    pub uploads: Vec<Upload>,
    /// What git's push exited with; none when no ref was pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_exit: Option<i32>,
    /// Whether the ledger's remote has everything.
    pub ledger_sent: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger_problem: Option<String>,
}

/// What one remote got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upload {
    /// The remote's name.
    pub remote: String,
    /// What was sent.
    #[serde(flatten)]
    pub sent: transfer::PushOutcome,
}

/// What is pushed: the commits that refs will point to.
#[derive(Debug, Clone, Default)]
pub struct Pushed {
    /// The commits, each with the name of its ref at the remote.
    pub refs: Vec<(String, Oid)>,
    /// Older commits that the remote does not have yet, whose versions go along.
    pub history: Vec<Oid>,
}

/// Uploads what the refs need to every remote that a push to `git_remote` uploads to, and verifies it. With
/// `dry_run`, only says what would be sent.
pub fn upload(repo: &Repo, git_remote: &str, pushed: &Pushed, dry_run: bool) -> Result<Vec<Upload>> {
    let mut roots: BTreeMap<(String, ContentId), AssetVersion> = BTreeMap::new();
    let mut pages: BTreeMap<ContentId, Vec<PageId>> = BTreeMap::new();
    let mut commits: Vec<Oid> = pushed.refs.iter().map(|(_, oid)| *oid).collect();
    commits.extend(&pushed.history);
    let mut trees = BTreeSet::new();
    for commit in commits {
        repo.interrupt().check()?;
        if !trees.insert(repo.git.tree_of(commit).map_err(Error::from)?) {
            continue;
        }
        for version in versions_with_pages(repo, commit, &mut pages)? {
            roots.entry((version.asset.clone(), version.content)).or_insert(version);
        }
    }
    let roots: Vec<AssetVersion> = roots.into_values().collect();
    store_plain_members(repo, &roots)?;
    if !dry_run {
        record_versions(repo, &roots, pushed)?;
    }
    let has_bytes = !roots.is_empty();
    let targets = match remotes::writable(repo, git_remote) {
        Ok(targets) => targets,
        // Without anything to upload a missing place for the bytes is no reason to stop a push.
        Err(_) if !has_bytes => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    if !has_bytes && targets.iter().all(|t| t.implied) {
        return Ok(Vec::new());
    }
    let ledger = repo.ledger()?;
    let roots: Vec<PushRoot> = roots.iter().map(|v| push_root(v, &pages)).collect();
    let batches = repo.index().batches().map_err(crate::repo::Error::from)?;
    let mut out = Vec::new();
    for target in targets {
        let mut view = if dry_run {
            match remotes::open_to_read(repo, &target) {
                Ok(view) => view,
                // It would be made by the push.
                Err(_) if target.implied => continue,
                Err(e) => return Err(e),
            }
        } else {
            remotes::open_to_write(repo, &target)?
        };
        let options = transfer::PushOptions {
            writer: repo.writer()?,
            now_ms: repo.now_ms(),
            git: git_refs(repo, pushed)?,
            ledger: batches.clone(),
            envs: environments(&ledger),
            dry_run,
            progress: repo.progress(),
            interrupt: repo.interrupt(),
        };
        let sent = transfer::push(&mut view, repo.store()?, &roots, &options)?;
        out.push(Upload { remote: target.name, sent });
    }
    Ok(out)
}

/// The refs as they will be, each with every asset version of its commit.
fn git_refs(repo: &Repo, pushed: &Pushed) -> Result<Vec<GitRef>> {
    let mut out = Vec::new();
    for (name, oid) in &pushed.refs {
        let mut assets = Vec::new();
        for version in repo.versions_of_commit(*oid)? {
            if let Some(content) = version.ver.content().content_id() {
                assets.push(RefAsset { asset: version.ver.asset, content });
            }
        }
        assets.sort();
        out.push(GitRef { name: name.clone(), oid: oid.to_string(), assets });
    }
    Ok(out)
}

/// The versions of a commit; pages of folder assets are stored and noted.
fn versions_with_pages(
    repo: &Repo,
    commit: Oid,
    pages: &mut BTreeMap<ContentId, Vec<PageId>>,
) -> Result<Vec<AssetVersion>> {
    let mut made: Vec<Page> = Vec::new();
    let versions = repo.assets_with(commit, None, &mut |page| {
        made.push(page);
        Ok(())
    })?;
    if !made.is_empty() {
        let mut session = repo.store()?.session(SessionKind::Batch, repo.progress(), repo.interrupt());
        for page in &made {
            session.add_page(page)?;
        }
        session.finish()?;
    }
    let by_id: BTreeMap<PageId, &Page> = made.iter().map(|p| (p.id, p)).collect();
    for version in &versions {
        if let ContentId::Tree(tree) = version.content {
            let mut all = Vec::new();
            let mut open = vec![PageId(tree.0)];
            while let Some(id) = open.pop() {
                all.push(id);
                if let Some(page) = by_id.get(&id)
                    && let TreePage::Inner { children, .. } = TreePage::decode(&page.bytes)?
                {
                    open.extend(children.iter().map(|c| c.page_id));
                }
            }
            pages.insert(version.content, all);
        }
    }
    Ok(versions)
}

/// Members that git keeps itself are uploaded too, so that a restore needs no git: they enter the store here.
fn store_plain_members(repo: &Repo, versions: &[AssetVersion]) -> Result<()> {
    let store = repo.store()?;
    let mut session = store.session(SessionKind::Batch, repo.progress(), repo.interrupt());
    for member in versions.iter().flat_map(|v| &v.members) {
        let Some(blob) = member.blob.filter(|_| !member.is_pointer && member.size_bytes > 0) else { continue };
        if store.presence(member.file_id, member.size_bytes)? == crate::store::Presence::Complete {
            continue;
        }
        let bytes = repo.git.read_blob(blob, u64::MAX)?;
        let what = String::from_utf8_lossy(&member.path).into_owned();
        session.add(crate::store::Source::Pipe(&mut bytes.as_slice(), what))?;
    }
    session.finish()?;
    Ok(())
}

fn push_root(version: &AssetVersion, pages: &BTreeMap<ContentId, Vec<PageId>>) -> PushRoot {
    let files: BTreeSet<Wanted> =
        version.members.iter().map(|m| Wanted { file: m.file_id, size_bytes: m.size_bytes }).collect();
    PushRoot {
        asset: version.asset.clone(),
        kind: version.kind.as_str().to_owned(),
        content: version.content,
        files: files.into_iter().collect(),
        pages: pages.get(&version.content).cloned().unwrap_or_default(),
    }
}

/// Records the versions that the ledger does not know.
fn record_versions(repo: &Repo, versions: &[AssetVersion], pushed: &Pushed) -> Result<()> {
    let ledger = repo.ledger()?;
    let known: BTreeSet<_> = ledger
        .events()
        .filter_map(|e| match e.event {
            Event::VersionSeen(seen) => Some((seen.ver.asset.clone(), seen.ver.content())),
            _ => None,
        })
        .collect();
    let commit = pushed.refs.first().map(|(_, oid)| oid.to_string());
    let events: Vec<Event> = versions
        .iter()
        .filter(|v| !known.contains(&(v.asset.clone(), to_content(v.content))))
        .map(|v| Event::VersionSeen(seen(v, commit.clone())))
        .collect();
    if !events.is_empty() {
        repo.record(events)?;
    }
    Ok(())
}

/// The event that says that a version exists.
#[must_use]
pub fn seen(version: &AssetVersion, commit: Option<String>) -> VersionSeen {
    VersionSeen {
        ver: crate::ledger::Version::new(version.asset.clone(), to_content(version.content)),
        kind: version.kind.clone(),
        size_bytes: version.size_bytes,
        files: version.members.len() as u64,
        sha256: None,
        commit,
        path: version.path.clone(),
        owner: version.owner.clone(),
    }
}

/// What every environment holds, for readers of a remote that have no git.
fn environments(ledger: &crate::ledger::Ledger) -> Vec<EnvMove> {
    let envs = Environments::new(ledger);
    let mut out = Vec::new();
    for env in envs.names() {
        for (asset, value) in envs.current(env) {
            let (Some(content), Some(event)) = (value.content.and_then(|c| c.content_id()), value.heads.last()) else {
                continue;
            };
            out.push(EnvMove { env: env.to_owned(), asset, content, event: *event });
        }
    }
    out
}

/// What `git push` was asked to push, from the lines that git gives its hook.
pub fn from_hook(repo: &Repo, git_remote: &str, lines: &str) -> Result<Pushed> {
    let refs = PushedRef::parse_all(lines)?;
    let mut out = Pushed::default();
    let mut tips = Vec::new();
    for one in refs {
        if let Some(local) = one.local
            && !one.remote_name.starts_with("refs/clade/")
            && let Some(commit) = repo.git.resolve_commit(&local.to_string())?
        {
            tips.push(commit);
            out.refs.push((one.remote_name, commit));
        }
    }
    out.history = repo.git.commits_not_at(&tips, git_remote)?;
    Ok(out)
}

/// The whole of `clade push`: bytes, then git's own push, then the ledger.
pub fn push(repo: &Repo, git_remote: Option<&str>, refspecs: &[String], no_refs: bool) -> Result<PushOutcome> {
    let remote = default_remote(repo, git_remote)?;
    let pushed = what_git_would_push(repo, &remote, refspecs)?;
    let mut out = PushOutcome { uploads: upload(repo, &remote, &pushed, false)?, ..PushOutcome::default() };
    if !no_refs {
        // The hook below finds everything uploaded; it is told so that it does not look again.
        let code = repo.git.push_as_typed(&remote, refspecs, &[(UPLOADED, "1")])?;
        out.git_exit = Some(code);
        if code != 0 {
            return Err(Error::new(Kind::Remote, format!("git push to {remote} failed with {code}"))
                .hint("the bytes are uploaded; solve what git says above, then run `clade push` again"));
        }
    }
    match repo.send_ledger()? {
        SendOutcome::Sent => out.ledger_sent = true,
        SendOutcome::NoRemote => {}
        SendOutcome::Failed { detail, .. } => out.ledger_problem = Some(detail),
    }
    Ok(out)
}

/// Set for the hooks of a `git push` that `clade push` started.
pub const UPLOADED: &str = "CLADE_PUSH_UPLOADED";

/// What would be uploaded.
pub fn dry_run(repo: &Repo, git_remote: Option<&str>, refspecs: &[String]) -> Result<PushOutcome> {
    let remote = default_remote(repo, git_remote)?;
    let pushed = what_git_would_push(repo, &remote, refspecs)?;
    Ok(PushOutcome { uploads: upload(repo, &remote, &pushed, true)?, ..PushOutcome::default() })
}

/// The git remote that a push without a name goes to.
fn default_remote(repo: &Repo, named: Option<&str>) -> Result<String> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    if let Some(branch) = repo.git.head_ref()?.and_then(|r| r.strip_prefix("refs/heads/").map(str::to_owned)) {
        for key in
            [format!("branch.{branch}.pushRemote"), "remote.pushDefault".to_owned(), format!("branch.{branch}.remote")]
        {
            if let Some(name) = repo.git.config(&key)? {
                return Ok(name);
            }
        }
    }
    match repo.ledger_remote()? {
        Some(remote) => Ok(remote.name),
        None => Err(Error::not_found("there is no git remote to push to").hint("add one: `git remote add origin URL`")),
    }
}

/// Asks git itself, by a dry run, which refs a push would move.
fn what_git_would_push(repo: &Repo, remote: &str, refspecs: &[String]) -> Result<Pushed> {
    let mut out = Pushed::default();
    let rows = repo
        .git
        .push_dry_run(remote, refspecs)
        .map_err(|e| Error::from(e).hint("solve what git says; nothing was uploaded"))?;
    let mut tips = Vec::new();
    for (local, remote_name) in rows {
        if let Some(commit) = repo.git.resolve_commit(&local)? {
            tips.push(commit);
            out.refs.push((remote_name, commit));
        }
    }
    out.history = repo.git.commits_not_at(&tips, remote)?;
    Ok(out)
}
