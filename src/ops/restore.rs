//! `clade restore`: pinned bytes, verified, with or without a clone.

use super::{Error, Kind, Result, fetching, remotes};
use crate::fsio::{self, StatKind};
use crate::git::{FetchOutcome, Git};
use crate::id::{ContentId, FileId, PageId, TreeId};
use crate::index::Index;
use crate::ledger::{Environments, Event};
use crate::manifest::{FileMode, TreeEntry, TreeReader};
use crate::pack::{RecordKey, RecordKind};
use crate::process;
use crate::remote::{Access, Remote};
use crate::repo::{Context, LedgerState, Named, Repo, from_content};
use crate::store::Store;
use crate::transfer::{self, RemoteView, Wanted};
use rayon::prelude::*;
use serde::Serialize;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is to be restored.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// `NAME@X`.
    pub version: String,
    /// The folder to write to.
    pub to: PathBuf,
    /// A remote's name, path or URL.
    pub from: Option<String>,
    /// A git repository.
    pub git: Option<String>,
    /// Replace files that are there with other contents.
    pub force: bool,
    /// Do not ask the ledger's remote.
    pub offline: bool,
}

/// What `clade restore` did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RestoreOutcome {
    /// The asset.
    pub asset: String,
    /// `file` or `tree`.
    pub form: String,
    /// The version's id.
    pub id: String,
    /// How it was found.
    pub via: String,
    /// Files that were written.
    pub written: u64,
    /// Files that were there already with these bytes.
    pub unchanged: u64,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// What the person should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A file to be written.
#[derive(Debug, Clone)]
struct Target {
    path: Vec<u8>,
    mode: FileMode,
    file: FileId,
    size_bytes: u64,
}

/// Restores a version.
pub fn restore(context: &Context, options: &RestoreOptions) -> Result<RestoreOutcome> {
    if let Some(url) = &options.git {
        return from_git(context, options, url);
    }
    let repo = Repo::open(context);
    match (repo, &options.from) {
        (Ok(repo), from) => in_clone(&repo, options, from.as_deref()),
        (Err(_), Some(from)) => from_remote(context, options, from),
        (Err(e), None) => {
            let e = Error::from(e);
            Err(Error::new(
                Kind::Usage,
                format!("without a clone that is set up, restore needs to know where from ({e})"),
            )
            .hint("say --from PATH|URL of a remote, or --git URL of a repository"))
        }
    }
}

fn in_clone(repo: &Repo, options: &RestoreOptions, from: Option<&str>) -> Result<RestoreOutcome> {
    let mut warnings = Vec::new();
    refresh(repo, options, &mut warnings)?;
    let ledger = repo.ledger()?;
    let resolved = repo.resolve(&options.version, &ledger, &mut |_| Ok(()))?;
    warnings.extend(resolved.warnings);
    let named = resolved.named;
    let content = bytes_of(&named)?;
    // A remote that is named is asked first; the configured ones afterwards.
    let view = match from {
        Some(from) => Some(open_named(repo, from)?),
        None => None,
    };
    let targets = targets_in_clone(repo, &named, content, &ledger, view)?;
    let wanted: Vec<Wanted> = targets.iter().map(|t| Wanted { file: t.file, size_bytes: t.size_bytes }).collect();
    fetching::ensure(repo, &wanted)?;
    let mut out = write(&options.to_dir(&repo.context.cwd), &targets, options.force, repo.store()?, &repo.context)?;
    fill(&mut out, &named, content, warnings);
    Ok(out)
}

impl RestoreOptions {
    fn to_dir(&self, cwd: &Path) -> PathBuf {
        cwd.join(&self.to)
    }
}

fn fill(out: &mut RestoreOutcome, named: &Named, content: ContentId, warnings: Vec<String>) {
    out.asset = named.asset.clone();
    out.form = content.form().to_owned();
    out.id = content.to_string();
    out.via = named.via.clone();
    out.warnings = warnings;
}

fn bytes_of(named: &Named) -> Result<ContentId> {
    from_content(&named.content)
        .ok_or_else(|| Error::not_found(format!("{} is outside of this repository: it has no bytes here", named.asset)))
}

/// Environments are asked of the ledger's remote, since they may have moved.
fn refresh(repo: &Repo, options: &RestoreOptions, warnings: &mut Vec<String>) -> Result<()> {
    let Some((_, at)) = options.version.split_once('@') else { return Ok(()) };
    let names_rev = at.starts_with("rev:") || at.starts_with("b3:");
    if names_rev {
        return Ok(());
    }
    let looks_like_env = at.starts_with("env:") || repo.git.resolve_commit(at)?.is_none() || {
        Environments::new(&repo.ledger()?).names().any(|n| n == at)
    };
    if !looks_like_env {
        return Ok(());
    }
    if options.offline {
        if let LedgerState::Fetched { remote, at_ms } = repo.ledger_state()? {
            let age = at_ms.map_or("at an unknown time".to_owned(), crate::clock::rfc3339);
            warnings
                .push(format!("the ledger was last fetched from {remote} {age}; environments may have moved since"));
        }
        return Ok(());
    }
    repo.fetch_ledger().map_err(|e| Error::from(e).hint("--offline answers from what was fetched before"))?;
    Ok(())
}

fn open_named(repo: &Repo, from: &str) -> Result<RemoteView> {
    let known = remotes::readable(repo)?;
    match known.iter().find(|r| r.name == from) {
        Some(remote) => remotes::open_to_read(repo, remote),
        None => {
            let url = absolute_url(&repo.context.cwd, from);
            Ok(RemoteView::open(Remote::open(&url, Access::Read)?, &repo.layout.dir)?)
        }
    }
}

fn absolute_url(cwd: &Path, from: &str) -> String {
    if from.contains("://") { from.to_owned() } else { cwd.join(from).to_string_lossy().into_owned() }
}

/// The files of a version that was resolved in a clone.
fn targets_in_clone(
    repo: &Repo,
    named: &Named,
    content: ContentId,
    ledger: &crate::ledger::Ledger,
    view: Option<RemoteView>,
) -> Result<Vec<Target>> {
    let store = repo.store()?;
    if let Some(version) = &named.version {
        let targets: Vec<Target> = version
            .members
            .iter()
            .map(|m| Target {
                path: version.member_path(m).to_vec(),
                mode: FileMode::from_bits(m.mode).unwrap_or(FileMode::Regular),
                file: m.file_id,
                size_bytes: m.size_bytes,
            })
            .collect();
        // Files that git keeps itself may be in no store yet.
        let plain: Vec<_> = version.members.iter().filter(|m| !m.is_pointer && m.blob.is_some()).collect();
        let mut session = store.session(crate::store::SessionKind::Batch, repo.progress(), repo.interrupt());
        for member in plain {
            if store.presence(member.file_id, member.size_bytes)? != crate::store::Presence::Complete {
                let blob = member.blob.expect("just filtered");
                let bytes = repo.git.read_blob(blob, u64::MAX)?;
                session.add(crate::store::Source::Pipe(&mut bytes.as_slice(), "a file of git".to_owned()))?;
            }
        }
        session.finish()?;
        if let Some(mut view) = view {
            let wanted: Vec<Wanted> =
                targets.iter().map(|t| Wanted { file: t.file, size_bytes: t.size_bytes }).collect();
            transfer::fetch(&mut view, store, &wanted, false, repo.progress(), repo.interrupt())?;
        }
        return Ok(targets);
    }
    let mut views = Vec::new();
    views.extend(view);
    let size = repo.known_sizes(ledger).get(&named.content).copied();
    let path = ledger.events().find_map(|e| match e.event {
        Event::VersionSeen(seen) if seen.ver.content() == named.content && seen.ver.asset == named.asset => {
            Some(seen.path.clone())
        }
        _ => None,
    });
    let name = base_name(path.as_deref().unwrap_or(&named.asset));
    if let Ok(Some(targets)) = targets_of(store, content, size, &name) {
        return Ok(targets);
    }
    for remote in remotes::readable(repo)? {
        views.push(remotes::open_to_read(repo, &remote)?);
    }
    for view in &mut views {
        let (targets, _) = fetch_targets(view, store, content, size, &name, &repo.context)?;
        if let Some(targets) = targets {
            return Ok(targets);
        }
    }
    Err(Error::integrity(format!("{} {} is in no place that was asked", content.form(), content.short()))
        .hint("add the remote that has it: `clade remote add NAME URL`"))
}

fn base_name(path: &str) -> Vec<u8> {
    path.rsplit('/').next().unwrap_or(path).as_bytes().to_vec()
}

/// The files of a content whose description is in the store.
fn targets_of(store: &Store, content: ContentId, size: Option<u64>, name: &[u8]) -> Result<Option<Vec<Target>>> {
    match content {
        ContentId::File(file) => {
            let size = match size {
                Some(size) => Some(size),
                None => store.recipe(file)?.map(|r| r.size_bytes()),
            };
            let size = match size {
                Some(size) => size,
                None => match store.record(RecordKind::DATA, &file.0)? {
                    Some(bytes) => bytes.len() as u64,
                    None => return Ok(None),
                },
            };
            Ok(Some(vec![Target { path: name.to_vec(), mode: FileMode::Regular, file, size_bytes: size }]))
        }
        ContentId::Tree(tree) => {
            if !store.has(RecordKind::PAGE, &tree.0)? {
                return Ok(None);
            }
            tree_targets(store, tree).map(Some)
        }
    }
}

fn tree_targets(store: &Store, tree: TreeId) -> Result<Vec<Target>> {
    let mut reader = TreeReader::new(tree, |id: PageId| store.page(id).map_err(Error::from));
    let entries = reader.iter().collect::<Result<Vec<TreeEntry>>>()?;
    Ok(entries
        .into_iter()
        .map(|e| Target { path: e.path, mode: e.mode, file: e.file_id, size_bytes: e.size_bytes })
        .collect())
}

/// Fetches a version's description and bytes from one remote: by its asset entry in a few requests, else by the
/// log. Returns the version's files, if the remote has it, and its size.
fn fetch_targets(
    view: &mut RemoteView,
    store: &Store,
    content: ContentId,
    size: Option<u64>,
    name: &[u8],
    context: &Context,
) -> Result<(Option<Vec<Target>>, u64)> {
    let (progress, interrupt) = (context.progress.as_ref(), &context.interrupt);
    let mut size = size;
    if let Some(entry) = transfer::read_entry(view.remote(), &content)? {
        size = size.or(Some(entry.size_bytes));
        if transfer::fetch_version(view.remote(), &entry, store, progress, interrupt)?
            && let Some(targets) = targets_of(store, content, size, name)?
        {
            return Ok((Some(targets), size.unwrap_or(0)));
        }
    }
    let files = match content {
        ContentId::Tree(tree) => match view.fetch_tree(store, tree, interrupt) {
            Ok(files) => files,
            Err(transfer::Error::NoVersion { .. }) => return Ok((None, 0)),
            Err(e) => return Err(e.into()),
        },
        ContentId::File(file) => {
            let keys = [RecordKey::recipe(file), RecordKey::new(RecordKind::DATA, file.0)];
            transfer::fetch_records(view, store, &keys, interrupt)?;
            match targets_of(store, content, size, name)? {
                Some(targets) => targets.iter().map(|t| Wanted { file: t.file, size_bytes: t.size_bytes }).collect(),
                None => return Ok((None, 0)),
            }
        }
    };
    match transfer::fetch(view, store, &files, false, progress, interrupt) {
        Ok(_) => {}
        Err(transfer::Error::Absent { .. }) => return Ok((None, 0)),
        Err(e) => return Err(e.into()),
    }
    Ok((targets_of(store, content, size, name)?, size.unwrap_or(0)))
}

/// Beginning of a scratch folder's name; the process id follows.
const SCRATCH: &str = ".clade-restore-";

/// A place for a store that lives as long as one restore, beside the files that are written.
struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    fn new(to: &Path) -> Result<Self> {
        fsio::create_dir_all(to)?;
        for name in fsio::list_dir(to)? {
            // What a killed restore left.
            let pid = name.to_string_lossy().strip_prefix(SCRATCH).and_then(|p| p.parse::<u32>().ok());
            if pid.is_some_and(|pid| !process::is_alive(pid)) {
                fsio::remove_dir_all(&to.join(&name))?;
            }
        }
        let dir = to.join(format!("{SCRATCH}{}", process::own_id()));
        fsio::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    fn store(&self) -> Result<Store> {
        let index = Index::open(&self.dir.join("clade.db"))?;
        Ok(Store::open(&self.dir, Arc::new(index))?)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left over would only take space.
        let _ = fsio::remove_dir_all(&self.dir);
    }
}

/// Restores from a remote alone: names are resolved by what pushes wrote into its log.
fn from_remote(context: &Context, options: &RestoreOptions, from: &str) -> Result<RestoreOutcome> {
    let url = absolute_url(&context.cwd, from);
    let opened = Remote::open(&url, Access::Read)?;
    let to = options.to_dir(&context.cwd);
    let scratch = Scratch::new(&to)?;
    let store = scratch.store()?;
    let mut view = RemoteView::open(opened, &scratch.dir)?;
    let (asset, content, via) = resolve_at_remote(&view, &options.version)?;
    let name = base_name(&asset);
    let (targets, _) = fetch_targets(&mut view, &store, content, None, &name, context)?;
    let targets = targets.ok_or_else(|| {
        Error::integrity(format!("{} {} is not complete at {}", content.form(), content.short(), view.location()))
    })?;
    let mut out = write(&to, &targets, options.force, &store, context)?;
    out.asset = asset;
    out.form = content.form().to_owned();
    out.id = content.to_string();
    out.via = via;
    Ok(out)
}

/// What `NAME@X` means at a remote: an environment, a git ref, or the beginning of an id.
fn resolve_at_remote(view: &RemoteView, text: &str) -> Result<(String, ContentId, String)> {
    let fold = view.fold();
    let names = || {
        let mut names: Vec<&str> = fold.roots.keys().map(|r| r.asset.as_str()).collect();
        names.dedup();
        names.into_iter().take(8).collect::<Vec<_>>().join(", ")
    };
    let unknown = |what: String| Error::not_found(what).hint(format!("this remote knows: {}", names()));
    let (name, at) = match text.split_once('@') {
        Some(parts) => parts,
        None => {
            return Err(
                Error::usage(format!("{text:?} names no version")).hint("say NAME@ENV, NAME@BRANCH or NAME@b3:ID")
            );
        }
    };
    let (kind, value) = match at {
        at if at.starts_with("env:") => ("env", &at[4..]),
        at if at.starts_with("rev:") => ("rev", &at[4..]),
        at if at.starts_with("b3:") => ("id", &at[3..]),
        at => ("any", at),
    };
    let roots: Vec<_> = fold.roots.iter().filter(|(r, _)| r.asset == name).collect();
    if roots.is_empty() {
        return Err(unknown(format!("{} has no asset {name:?}", view.location())));
    }
    if kind == "id" {
        let ids: std::collections::BTreeSet<ContentId> =
            roots.iter().map(|(r, _)| r.content).filter(|c| c.to_string().starts_with(value)).collect();
        return match ids.len() {
            1 => Ok((name.to_owned(), *ids.first().expect("one"), "id".to_owned())),
            0 => Err(unknown(format!("{} has no version of {name:?} whose id begins with {value}", view.location()))),
            n => Err(Error::not_found(format!("{n} versions of {name:?} have an id that begins with {value}"))),
        };
    }
    if kind != "rev"
        && let Some(moved) = fold.env(value, name)
    {
        return Ok((name.to_owned(), moved.content, format!("env {value}")));
    }
    let refs = [value.to_owned(), format!("refs/heads/{value}"), format!("refs/tags/{value}")];
    if kind != "env"
        && let Some(git) = refs.iter().find(|r| fold.git.contains_key(*r))
        && let Some(content) = view.version_at_ref(git, name)
    {
        return Ok((name.to_owned(), content, format!("ref {git}")));
    }
    let mut known: Vec<String> = fold.envs.keys().filter(|(_, a)| a == name).map(|(e, _)| e.clone()).collect();
    known.extend(fold.git.keys().cloned());
    Err(Error::not_found(format!("{name}@{at} is not known at {}", view.location()))
        .hint(format!("known there: {}", known.join(", ")))
        .hint("any version can be named by its id: NAME@b3:ID"))
}

/// Restores with a git repository for names: its ledger and one commit are fetched, nothing else.
fn from_git(context: &Context, options: &RestoreOptions, url: &str) -> Result<RestoreOutcome> {
    let to = options.to_dir(&context.cwd);
    let scratch = Scratch::new(&to)?;
    let bare = scratch.dir.join("git");
    let git_url = absolute_git_url(&context.cwd, url);
    if !Git::init_bare_like(&context.git, &git_url, &bare)? {
        return Err(Error::new(Kind::Remote, format!("{url} cannot be reached or holds no repository"))
            .hint("check the path or URL; --from PATH restores from a remote alone"));
    }
    let inner = Context { cwd: bare.clone(), ..context.clone() };
    let repo = Repo::discover(&inner)?;
    repo.git.set_config("remote.origin.url", &git_url)?;
    let fetched = repo.git.fetch("origin", &["+refs/clade/ledger*:refs/clade/remotes/origin/ledger*"])?;
    if let FetchOutcome::Unreachable { stderr } = fetched {
        return Err(Error::new(Kind::Remote, format!("{url} cannot be reached: {stderr}")));
    }
    let at = options.version.split_once('@').map(|(_, at)| at.to_owned());
    if let Some(at) = at.as_deref().filter(|a| !a.starts_with("b3:") && !a.starts_with("env:")) {
        // A branch or tag; where there is none the name may be an environment.
        let rev = at.strip_prefix("rev:").unwrap_or(at);
        for name in [format!("refs/heads/{rev}"), format!("refs/tags/{rev}"), rev.to_owned()] {
            let spec = format!("+{name}:refs/heads/{}", sanitize(rev));
            if repo.git.fetch_one_commit("origin", &spec)? {
                repo.git.set_config("clade.restoreRev", &sanitize(rev))?;
                break;
            }
        }
    }
    if let Some(from) = &options.from {
        repo.git.set_config("clade.remote.from.url", &absolute_url(&context.cwd, from))?;
    }
    let options = RestoreOptions { offline: true, git: None, from: None, to: to.clone(), ..options.clone() };
    let mut out = in_clone(&repo, &options, None)?;
    out.warnings.retain(|w| !w.contains("last fetched"));
    Ok(out)
}

fn sanitize(rev: &str) -> String {
    rev.strip_prefix("refs/heads/").or_else(|| rev.strip_prefix("refs/tags/")).unwrap_or(rev).to_owned()
}

fn absolute_git_url(cwd: &Path, url: &str) -> String {
    let local = !url.contains("://") && (url.starts_with('.') || url.starts_with('/') || fsio::is_dir(&cwd.join(url)));
    if local { cwd.join(url).to_string_lossy().into_owned() } else { url.to_owned() }
}

/// Writes files below `to`. All are checked against what is there before the first is written.
fn write(to: &Path, targets: &[Target], force: bool, store: &Store, context: &Context) -> Result<RestoreOutcome> {
    let mut out = RestoreOutcome::default();
    fsio::create_dir_all(to)?;
    let mut todo = Vec::new();
    for target in targets {
        let dest = to.join(OsStr::from_bytes(&target.path));
        refuse_links_above(to, &target.path)?;
        match fsio::stat(&dest)? {
            None => todo.push((target, dest)),
            Some(stat) if stat.kind == StatKind::Dir => {
                return Err(Error::not_found(format!("{} is a folder, a file is to be written there", dest.display()))
                    .hint("restore to another folder"));
            }
            Some(stat) => {
                let same = stat.kind == StatKind::File
                    && stat.size_bytes == target.size_bytes
                    && target.mode != FileMode::Symlink
                    && FileId::of(&fsio::Map::of(&fsio::File::open(&dest)?)?) == target.file;
                if same {
                    out.unchanged += 1;
                } else if force {
                    todo.push((target, dest));
                } else {
                    return Err(Error::not_found(format!("{} is there with other contents", dest.display()))
                        .hint("--force replaces it; nothing was written"));
                }
            }
        }
        out.size_bytes += target.size_bytes;
    }
    context.progress.begin("Restoring", Some(todo.iter().map(|(t, _)| t.size_bytes).sum()), Some(todo.len() as u64));
    todo.par_iter().try_for_each(|(target, dest)| -> Result<()> {
        context.interrupt.check()?;
        fsio::create_dir_all(dest.parent().unwrap_or(to))?;
        if target.mode == FileMode::Symlink {
            let mut bytes = Vec::new();
            store.copy_to(target.file, target.size_bytes, &mut bytes, &context.interrupt)?;
            fsio::remove_file(dest)?;
            return Ok(fsio::symlink(Path::new(OsStr::from_bytes(&bytes)), dest)?);
        }
        let mode = if target.mode == FileMode::Executable { 0o777 } else { 0o666 };
        let mode = mode & !context.umask;
        Ok(store.materialise(
            target.file,
            target.size_bytes,
            dest,
            mode,
            context.progress.as_ref(),
            &context.interrupt,
        )?)
    })?;
    context.progress.end();
    out.written = todo.len() as u64;
    Ok(out)
}

/// A link among the folders would lead the files elsewhere.
fn refuse_links_above(to: &Path, path: &[u8]) -> Result<()> {
    let mut at = to.to_path_buf();
    let parts: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
    for part in &parts[..parts.len() - 1] {
        at.push(OsStr::from_bytes(part));
        match fsio::stat(&at)? {
            Some(stat) if stat.kind == StatKind::Dir => {}
            None => return Ok(()),
            Some(_) => {
                return Err(
                    Error::not_found(format!("{} is not a folder", at.display())).hint("restore to another folder")
                );
            }
        }
    }
    Ok(())
}
