//! Making the graph of a ledger.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::graph::{Facts, Graph, GraphNode, Link, Member, RunFacts, Totals, Weak};
use crate::id::{Digest, EventId, FileId, PageId};
use crate::ledger::{AssetKind, Content, Event, Form, Ledger, Outcome, RunRecorded, Version, active_classes};
use crate::limits;

/// An entry of a tree page, as the caller reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeItem {
    /// A file: its path from the tree's root, its content, its size in bytes.
    File {
        /// Path from the tree's root, `/`-separated.
        path: String,
        /// Its content.
        id: FileId,
        /// Its size in bytes.
        size_bytes: u64,
    },
    /// A further page.
    Page(PageId),
}

/// A version on a git reference. [`Graph::build`] keeps those whose content no recorded event names or
/// holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unrecorded {
    /// The version.
    pub ver: Version,
    /// Its path in the repository.
    pub path: String,
    /// Its kind.
    pub kind: AssetKind,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// BLAKE3 over the sorted (asset, form, id) of unrecorded versions: for each, the asset's length as
/// little-endian `u32`, the asset, one byte for the form (0 file, 1 tree, 2 external), the id.
#[must_use]
pub fn unrecorded_digest<'a>(versions: impl IntoIterator<Item = &'a Version>) -> Digest {
    let sorted: BTreeSet<&Version> = versions.into_iter().collect();
    let mut hash = blake3::Hasher::new();
    for v in sorted {
        hash.update(&u32::try_from(v.asset.len()).unwrap_or(u32::MAX).to_le_bytes());
        hash.update(v.asset.as_bytes()).update(&[v.form as u8]).update(v.id.as_bytes());
    }
    Digest::from(hash.finalize())
}

/// Reads one page of a tree; the root page's id is the tree's id. The error says why it is not to be had.
type Lookup<'a> = dyn FnMut(PageId) -> Result<Vec<TreeItem>, String> + 'a;

impl Graph {
    /// Makes the graph of a ledger and of the versions on references that it does not know.
    ///
    /// `lookup` reads one page of a tree; a tree's root page has the tree's id. Each page is asked for once.
    ///
    /// # Errors
    /// A page that `lookup` cannot give; more than 2³²-2 nodes or edges.
    pub fn build(ledger: &Ledger, unrecorded: &[Unrecorded], lookup: &mut Lookup<'_>) -> Result<Self, Error> {
        let mut b = Builder::default();
        for entry in ledger.events() {
            b.event(entry.id, entry.event);
        }
        b.walk_trees(lookup)?;
        let mut unknown: Vec<&Unrecorded> =
            unrecorded.iter().filter(|u| !b.sizes.contains_key(&u.ver.content())).collect();
        unknown.sort();
        unknown.dedup();
        for u in &unknown {
            b.seen(&u.ver, Some(&u.path), Some(&u.kind), Some(u.size_bytes), false);
        }
        b.walk_trees(lookup)?;
        let names: BTreeSet<&Version> = unknown.iter().map(|u| &u.ver).collect();
        let totals = Totals {
            ledger: ledger.id(),
            batches: ledger.len() as u64,
            writers: ledger.writers(),
            unknown_events: ledger.unknown_events() as u64,
            unknown_fields: ledger.unknown_fields() as u64,
            unrecorded_count: names.len() as u64,
            unrecorded_digest: unrecorded_digest(names),
            gaps: ledger.gaps().len() as u64,
            equivocations: ledger.equivocations().len() as u64,
        };
        b.link_all();
        b.finish(active_classes(ledger), totals)
    }
}

/// The graph while it is made; nodes are numbered as they come.
#[derive(Default)]
pub(super) struct Builder<'a> {
    pub(super) facts: BTreeMap<Content, Facts>,
    /// Every content that is a node, with its greatest known size.
    pub(super) sizes: BTreeMap<Content, Option<u64>>,
    pub(super) holdings: BTreeMap<String, BTreeSet<(Content, String)>>,
    pub(super) members: BTreeMap<Digest, Vec<Member>>,
    pub(super) places: BTreeMap<Content, (Digest, String)>,
    pub(super) runs: Vec<(EventId, &'a RunRecorded)>,
    pub(super) run_facts: BTreeMap<EventId, RunFacts>,
    pub(super) trees: BTreeSet<Digest>,
    pub(super) trivial: BTreeSet<Content>,
    pub(super) numbers: BTreeMap<GraphNode, usize>,
    pub(super) edges: Vec<(usize, usize, Link, Option<Weak>)>,
}

impl<'a> Builder<'a> {
    fn event(&mut self, id: EventId, event: &'a Event) {
        match event {
            Event::VersionSeen(v) => {
                self.seen(&v.ver, Some(&v.path), Some(&v.kind), Some(v.size_bytes), true);
            }
            Event::RunRecorded(run) => {
                for input in &run.inputs {
                    if let Some(ver) = &input.ver {
                        self.seen(ver, Some(&input.path), None, None, true);
                    }
                }
                for output in &run.outputs {
                    self.seen(&output.ver, Some(&output.path), None, None, true);
                    if is_partial(run, output.partial) {
                        let facts = self.facts.entry(output.ver.content()).or_default();
                        facts.names.entry(output.ver.asset.clone()).or_default().partial = true;
                    }
                    if let Some(before) = &output.before {
                        self.seen(before, Some(&output.path), None, None, true);
                    }
                }
                self.runs.push((id, run));
            }
            Event::EnvMoved(moved) => {
                for one in &moved.moves {
                    for content in one.from.iter().chain([&one.to]) {
                        self.seen(&Version::new(&one.asset, *content), None, None, None, true);
                    }
                }
            }
            _ => {}
        }
    }

    fn seen(
        &mut self,
        ver: &Version,
        path: Option<&str>,
        kind: Option<&AssetKind>,
        size_bytes: Option<u64>,
        recorded: bool,
    ) {
        let content = ver.content();
        self.size(content, size_bytes);
        let name = self.facts.entry(content).or_default();
        let name = name.names.entry(ver.asset.clone()).or_default();
        name.recorded |= recorded;
        name.kinds.extend(kind.cloned());
        name.paths.extend(path.map(str::to_owned));
        for held_as in [Some(ver.asset.as_str()), path].into_iter().flatten() {
            let held_as = held_as.trim_end_matches('/');
            if !held_as.is_empty() {
                let held = self.holdings.entry(held_as.to_owned()).or_default();
                held.insert((content, ver.asset.clone()));
            }
        }
        if content.form == Form::Tree {
            self.trees.insert(content.id);
        }
    }

    fn size(&mut self, content: Content, size_bytes: Option<u64>) {
        let known = self.sizes.entry(content).or_default();
        *known = (*known).max(size_bytes);
    }

    /// Reads the pages of all trees that were not read yet.
    fn walk_trees(&mut self, lookup: &mut Lookup<'_>) -> Result<(), Error> {
        for tree in std::mem::take(&mut self.trees) {
            self.walk_page(tree, tree, 0, lookup)?;
        }
        Ok(())
    }

    fn walk_page(&mut self, tree: Digest, page: Digest, level: u8, lookup: &mut Lookup<'_>) -> Result<(), Error> {
        if self.members.contains_key(&page) {
            return Ok(());
        }
        if level >= limits::MAX_TREE_LEVELS {
            return Err(Error::TooDeep { tree, limit: limits::MAX_TREE_LEVELS });
        }
        let items = lookup(PageId(page.0)).map_err(|reason| Error::MissingPage { tree, page, reason })?;
        let mut members = Vec::with_capacity(items.len());
        for item in items {
            members.push(match item {
                TreeItem::File { path, id, size_bytes } => {
                    let content = Content::file(id);
                    self.size(content, Some(size_bytes));
                    let place = self.places.entry(content);
                    place.or_insert_with(|| (tree, path.clone()));
                    Member::File { path, content }
                }
                TreeItem::Page(next) => Member::Page(Digest(next.0)),
            });
        }
        members.sort();
        members.dedup();
        let pages: Vec<Digest> = members
            .iter()
            .filter_map(|m| match m {
                Member::Page(p) => Some(*p),
                Member::File { .. } => None,
            })
            .collect();
        self.members.insert(page, members);
        for next in pages {
            self.walk_page(tree, next, level + 1, lookup)?;
        }
        Ok(())
    }
}

/// Whether an output was left by a run that did not finish.
pub(super) fn is_partial(run: &RunRecorded, partial: bool) -> bool {
    partial || run.outcome != Outcome::Done
}
