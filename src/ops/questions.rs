//! What questions about lineage share: the graph of the whole ledger and of every version on a ref, with all
//! pages of trees at hand.

use super::{Error, Kind, Result, remotes};
use crate::id::{PageId, TreeId};
use crate::ledger::{Content, Environments, Event, Form, Ledger, Outcome, Scope};
use crate::lineage::{Graph, TreeItem, Unrecorded};
use crate::manifest::{Page, TreePage};
use crate::pack::RecordKind;
use crate::repo::{self, Repo};
use crate::store::{Session, SessionKind};
use serde::Serialize;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Pages that were read, so that each is read once.
#[derive(Default)]
pub struct Pages {
    read: BTreeMap<PageId, Vec<TreeItem>>,
}

impl Pages {
    /// Reads a tree's pages from the store. `false` when one is missing.
    fn load(&mut self, repo: &Repo, tree: TreeId) -> Result<bool> {
        let store = repo.store()?;
        let mut todo = vec![PageId(tree.0)];
        while let Some(id) = todo.pop() {
            if let Entry::Vacant(entry) = self.read.entry(id) {
                // What is damaged is as good as missing: remotes and git may have it.
                let bytes = match store.record(RecordKind::PAGE, id.as_bytes()) {
                    Ok(Some(bytes)) => bytes,
                    Ok(None) => return Ok(false),
                    Err(e) if e.is_integrity() => return Ok(false),
                    Err(e) => return Err(e.into()),
                };
                entry.insert(items(&TreePage::decode(&bytes)?));
            }
            todo.extend(self.read.get(&id).into_iter().flatten().filter_map(|item| match item {
                TreeItem::Page(next) => Some(*next),
                TreeItem::File { .. } => None,
            }));
        }
        Ok(true)
    }

    /// The files of a tree whose pages were loaded.
    fn files(&self, tree: TreeId) -> Vec<(Content, u64)> {
        let (mut out, mut todo) = (Vec::new(), vec![PageId(tree.0)]);
        while let Some(id) = todo.pop() {
            for item in self.read.get(&id).into_iter().flatten() {
                match item {
                    TreeItem::Page(next) => todo.push(*next),
                    TreeItem::File { id, size_bytes, .. } => out.push((Content::file(*id), *size_bytes)),
                }
            }
        }
        out
    }
}

fn items(page: &TreePage) -> Vec<TreeItem> {
    match page {
        TreePage::Leaf(entries) => entries
            .iter()
            .map(|e| TreeItem::File {
                path: String::from_utf8_lossy(&e.path).into_owned(),
                id: e.file_id,
                size_bytes: e.size_bytes,
            })
            .collect(),
        TreePage::Inner { children, .. } => children.iter().map(|c| TreeItem::Page(c.page_id)).collect(),
    }
}

/// A sink that keeps pages in the store.
pub fn page_sink<'a>(session: &'a mut Session<'_>) -> impl FnMut(Page) -> repo::Result<()> + 'a {
    |page| Ok(session.add_page(&page)?)
}

/// The graph of `ledger` and of every version on a ref, and of `more` versions.
///
/// # Errors
/// [`Kind::NotFound`] when a page of a tree is to be had nowhere: the answer would be partial.
pub fn graph(repo: &Repo, ledger: &Ledger, more: &[Unrecorded]) -> Result<Graph> {
    let mut unrecorded: Vec<Unrecorded> = repo.versions_on_refs()?.into_iter().collect();
    unrecorded.extend_from_slice(more);
    let mut trees = recorded_trees(ledger);
    trees.extend(unrecorded.iter().filter(|u| u.ver.form == Form::Tree).map(|u| TreeId(u.ver.id.0)));
    let mut pages = Pages::default();
    let failed = ensure(repo, &trees, &mut pages)?;
    let mut lookup = |id: PageId| match pages.read.remove(&id) {
        Some(items) => Ok(items),
        None => Err(failed.clone().unwrap_or_else(|| "no place that was asked has it".to_owned())),
    };
    let graph = Graph::build(ledger, &unrecorded, &mut lookup).map_err(Error::from)?;
    Ok(graph)
}

/// The trees that events name: their pages must travel wherever the ledger does.
#[must_use]
pub fn recorded_trees(ledger: &Ledger) -> BTreeSet<TreeId> {
    let mut found: BTreeSet<Content> = BTreeSet::new();
    for entry in ledger.events() {
        match entry.event {
            Event::VersionSeen(seen) => {
                found.insert(seen.ver.content());
            }
            Event::RunRecorded(run) => {
                found.extend(run.inputs.iter().filter_map(|i| i.ver.as_ref()).map(|v| v.content()));
                found.extend(run.outputs.iter().flat_map(|o| o.before.iter().chain([&o.ver])).map(|v| v.content()));
            }
            Event::EnvMoved(moved) => {
                found.extend(moved.moves.iter().flat_map(|m| m.from.into_iter().chain([m.to])));
            }
            _ => {}
        }
    }
    found.into_iter().filter(|c| c.form == Form::Tree).map(|c| TreeId(c.id.0)).collect()
}

/// Makes sure that the pages of `trees` are in the store: from git where a ref has the tree, else from remotes.
/// Returns why a remote could not be asked, where that may be why something is still missing.
fn ensure(repo: &Repo, trees: &BTreeSet<TreeId>, pages: &mut Pages) -> Result<Option<String>> {
    let mut absent = BTreeSet::new();
    for tree in trees {
        repo.interrupt().check()?;
        if !pages.load(repo, *tree)? {
            absent.insert(*tree);
        }
    }
    if absent.is_empty() {
        return Ok(None);
    }
    let refs = repo.git.refs(&["refs/heads/", "refs/remotes/", "refs/tags/"])?;
    let tips: Vec<_> = refs.into_iter().map(|r| r.peeled).collect();
    let store = repo.store()?;
    let mut session = store.session(SessionKind::Batch, repo.progress(), repo.interrupt());
    let mut made = BTreeSet::new();
    for commit in repo.git.rev_list(&tips)? {
        for found in repo.versions_of_commit(commit)? {
            let tree = TreeId(found.ver.id.0);
            if found.ver.form == Form::Tree && absent.contains(&tree) && made.insert(tree) {
                repo.assets_with(commit, Some(&found.ver.asset), &mut page_sink(&mut session))?;
            }
        }
        if made.len() == absent.len() {
            break;
        }
    }
    session.finish()?;
    let mut failed = None;
    let mut left = BTreeSet::new();
    for tree in absent {
        if !pages.load(repo, tree)? {
            left.insert(tree);
        }
    }
    if left.is_empty() {
        return Ok(None);
    }
    for remote in remotes::readable(repo)? {
        let mut view = match remotes::open_to_read(repo, &remote) {
            Ok(view) => view,
            Err(e) => {
                failed = Some(e.to_string());
                continue;
            }
        };
        let mut still = BTreeSet::new();
        for tree in left {
            repo.interrupt().check()?;
            if let Err(e) = view.fetch_tree(store, tree, repo.interrupt())
                && !matches!(e, crate::transfer::Error::NoVersion { .. })
            {
                failed = Some(e.to_string());
            }
            if !pages.load(repo, tree)? {
                still.insert(tree);
            }
        }
        left = still;
    }
    Ok(failed.filter(|_| !left.is_empty()))
}

/// The contents that runs which did not finish left behind, members of trees included, and that no finished run
/// wrote as well. Members whose pages are not here count only as far as they are.
pub fn partial_contents(repo: &Repo, ledger: &Ledger) -> Result<BTreeSet<Content>> {
    let (mut partial, mut whole) = (BTreeSet::new(), BTreeSet::new());
    let mut pages = Pages::default();
    for entry in ledger.events() {
        let Event::RunRecorded(run) = entry.event else { continue };
        for output in &run.outputs {
            let content = output.ver.content();
            let set = if output.partial || run.outcome != Outcome::Done { &mut partial } else { &mut whole };
            set.insert(content);
            if content.form == Form::Tree {
                pages.load(repo, TreeId(content.id.0))?;
                // Small files are alike everywhere: a log line or an empty marker is nobody's checkpoint.
                let files = pages.files(TreeId(content.id.0));
                set.extend(files.into_iter().filter(|(_, n)| *n >= crate::limits::TRIVIAL_BYTES).map(|(c, _)| c));
            }
        }
    }
    Ok(partial.difference(&whole).copied().collect())
}

/// The scopes that a person named: an asset, version, path in one or id; else what lies at a path.
pub fn scopes(repo: &Repo, text: &str, ledger: &Ledger) -> Result<Vec<Scope>> {
    match repo.scopes(text, ledger) {
        Err(unknown @ repo::Error::UnknownName { .. }) => {
            let path = repo.git.work_tree().and_then(|_| repo.relative(text.as_ref()).ok());
            match path {
                Some(path) if !path.is_empty() && repo.place_at(&path, &mut |_| Ok(()))?.is_some() => {
                    Ok(vec![Scope::asset(String::from_utf8_lossy(&path))])
                }
                _ => Err(unknown.into()),
            }
        }
        other => Ok(other?),
    }
}

/// A version in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvPlace {
    /// The environment.
    pub env: String,
    /// The asset.
    pub asset: String,
    /// The version's content.
    #[serde(flatten)]
    pub content: Content,
}

/// What every environment has now, sorted by environment and asset.
#[must_use]
pub fn environments(ledger: &Ledger) -> Vec<EnvPlace> {
    let envs = Environments::new(ledger);
    let mut out = Vec::new();
    for env in envs.names() {
        for (asset, value) in envs.current(env) {
            if let Some(content) = value.content {
                out.push(EnvPlace { env: env.to_owned(), asset, content });
            }
        }
    }
    out
}

/// Replaces what looks secret in words of a person.
pub fn scrub(repo: &Repo, text: &str) -> String {
    crate::ledger::redact_command(&[text.to_owned()], &repo.context.secrets).pop().unwrap_or_default()
}

/// An exit code 4: a rule forbids it.
pub fn refused(message: impl Into<String>) -> Error {
    Error::new(Kind::Policy, message)
}
