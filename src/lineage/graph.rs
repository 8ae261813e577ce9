//! The graph in memory: nodes numbered by their sorted keys, edges in two compact arrays.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{Digest, EventId, FileId, LedgerId, RunId};
use crate::ledger::{
    ActiveClass, AssetKind, Content, Evidence, Form, Role, Scope, Version, WriterState, covers, join, rest_below,
};

/// What a node stands for. The order of the variants is the order of the numbers.
///
/// A tree (and each page of a large one) is two nodes, so that what one member taints does not taint its
/// neighbours: `Whole` is the container as somebody made or named it, and flows down to the members;
/// `Content` is the container as somebody reads it, and receives from the members.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GraphNode {
    /// Some content, whatever its names.
    Content(Content),
    /// A page of a large tree, as read.
    Page(Digest),
    /// A tree as made or named.
    Whole(Digest),
    /// A page of a tree as made or named.
    WholePage(Digest),
    /// One asset's version of trivial content, where equal bytes prove nothing.
    Trivial(Content, String),
    /// An input of which only a name or an address is known.
    Named(String),
    /// A run, by the event that recorded it.
    Run(RunId, EventId),
}

/// Why an edge proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weak {
    /// Equal bytes of trivial content.
    Trivial,
    /// Only a name is known.
    Named,
    /// Only a part was read, and nobody knows whether this one.
    Selector,
}

/// What an edge says, from source to target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Link {
    /// A member lies in a container.
    Contains,
    /// A container brings its member along.
    Member,
    /// A run read this.
    Input { role: Role, evidence: Evidence, selector: Option<String> },
    /// A run wrote this.
    Output { partial: bool },
    /// The same bytes under another name.
    Same,
    /// The bytes may be what the name stood for.
    Name,
}

/// An edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub from: u32,
    pub to: u32,
    pub link: Link,
    pub weak: Option<Weak>,
}

/// What is known about one content.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// The assets that held it, with what each record says.
    pub names: BTreeMap<String, NameFacts>,
}

/// What is known about one version.
#[derive(Debug, Clone, Default)]
pub(super) struct NameFacts {
    /// Its paths in the repository.
    pub paths: BTreeSet<String>,
    /// Its kinds, as recorded.
    pub kinds: BTreeSet<AssetKind>,
    /// Whether a ledger event names it.
    pub recorded: bool,
    /// Whether a run left it as a partial output.
    pub partial: bool,
}

/// What the graph keeps of a run.
#[derive(Debug, Clone)]
pub(super) struct RunFacts {
    pub step: Option<String>,
}

/// The lineage graph.
#[derive(Debug, Clone)]
pub struct Graph {
    pub(super) nodes: Vec<GraphNode>,
    /// Sorted by source, target, link.
    pub(super) edges: Vec<Edge>,
    pub(super) out_start: Vec<u32>,
    /// Edge numbers sorted by target, source, link.
    pub(super) in_edges: Vec<u32>,
    pub(super) in_start: Vec<u32>,
    pub(super) facts: BTreeMap<Content, Facts>,
    /// Asset names and paths to the content they held and the asset it was.
    pub(super) holdings: BTreeMap<String, BTreeSet<(Content, String)>>,
    pub(super) runs: BTreeMap<EventId, RunFacts>,
    /// What every tree and page lists.
    pub(super) members: BTreeMap<Digest, Vec<Member>>,
    /// For content without a name of its own: a tree that holds it, and where.
    pub(super) places: BTreeMap<Content, (Digest, String)>,
    /// Files so small that equal bytes prove nothing.
    pub(super) trivial: BTreeSet<Content>,
    /// Per node: the node that its unknown origin comes from (itself for a model without a run), else NONE.
    pub(super) unknown_from: Vec<u32>,
    pub(super) classes: Vec<ActiveClass>,
    pub(super) totals: Totals,
}

/// What coverage needs and the graph does not hold.
#[derive(Debug, Clone)]
pub(super) struct Totals {
    pub ledger: LedgerId,
    pub batches: u64,
    pub writers: Vec<WriterState>,
    pub unknown_events: u64,
    pub unknown_fields: u64,
    pub unrecorded_count: u64,
    pub unrecorded_digest: Digest,
    pub gaps: u64,
    pub equivocations: u64,
}

/// An entry of a tree or page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Member {
    File { path: String, content: Content },
    Page(Digest),
}

/// No node.
pub(super) const NONE: u32 = u32::MAX;

impl Graph {
    /// How many nodes there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// How many edges there are.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// What node `n` stands for; `None` from [`Graph::node_count`] on.
    #[must_use]
    pub fn node(&self, n: u32) -> Option<&GraphNode> {
        self.nodes.get(n as usize)
    }

    /// The number of a node.
    #[must_use]
    pub fn find(&self, node: &GraphNode) -> Option<u32> {
        self.nodes.binary_search(node).ok().and_then(|n| u32::try_from(n).ok())
    }

    pub(super) fn outgoing(&self, n: u32) -> &[Edge] {
        let n = n as usize;
        &self.edges[self.out_start[n] as usize..self.out_start[n + 1] as usize]
    }

    pub(super) fn incoming(&self, n: u32) -> impl Iterator<Item = &Edge> {
        let n = n as usize;
        let range = self.in_start[n] as usize..self.in_start[n + 1] as usize;
        self.in_edges[range].iter().map(|e| &self.edges[*e as usize])
    }

    /// The node where a version is read: its trivial node where it has one, else its content's.
    pub(super) fn version_node(&self, content: Content, asset: &str) -> Option<u32> {
        self.find(&GraphNode::Trivial(content, asset.to_owned())).or_else(|| self.find(&GraphNode::Content(content)))
    }

    /// Whether any record of a content says that it is a model; without a record, its path says.
    pub(super) fn is_model(&self, content: &Content) -> bool {
        self.facts.get(content).is_some_and(Facts::is_model)
    }

    /// All versions: content and asset name, sorted.
    pub(super) fn versions(&self) -> impl Iterator<Item = (Content, &str, &NameFacts)> {
        self.facts
            .iter()
            .flat_map(|(content, facts)| facts.names.iter().map(move |(asset, name)| (*content, asset.as_str(), name)))
    }

    /// Whether the ledger or the unrecorded versions know this content.
    #[must_use]
    pub fn knows(&self, content: &Content) -> bool {
        self.find(&GraphNode::Content(*content)).is_some()
    }

    /// The classifications in force, sorted by event id.
    #[must_use]
    pub fn classes(&self) -> &[ActiveClass] {
        &self.classes
    }

    /// The nodes that a scope covers: (node, whether it is certain), sorted, and the versions matched.
    pub(super) fn seeds(&self, scope: &Scope) -> Seeds {
        let mut seeds = Seeds::default();
        match scope {
            Scope::Content(id) => {
                for form in [Form::File, Form::Tree, Form::External] {
                    let content = Content { form, id: *id };
                    if self.knows(&content) {
                        seeds.matched.insert((content, String::new()));
                        self.seed_content(content, &mut seeds);
                    }
                }
            }
            Scope::Asset { asset, path, at } => {
                let full = join(asset.trim_end_matches('/'), path.as_deref().unwrap_or_default());
                self.seed_name(&full, *at, &mut seeds);
            }
        }
        seeds
    }

    fn seed_content(&self, content: Content, seeds: &mut Seeds) {
        if content.form != Form::Tree {
            seeds.certain.extend(self.find(&GraphNode::Content(content)));
            return;
        }
        seeds.certain.extend(self.find(&GraphNode::Whole(content.id)));
        // Who means a folder means its small files too; the graph's own edges only follow large ones.
        if !self.trivial.is_empty() {
            self.seed_small(content.id, seeds);
        }
    }

    fn seed_small(&self, page: Digest, seeds: &mut Seeds) {
        if !seeds.pages.insert(page) {
            return;
        }
        for member in self.members.get(&page).into_iter().flatten() {
            match member {
                Member::File { content, .. } => {
                    if self.trivial.contains(content) && !is_empty(content) {
                        seeds.certain.extend(self.find(&GraphNode::Content(*content)));
                    }
                }
                Member::Page(next) => self.seed_small(*next, seeds),
            }
        }
    }

    /// What a name held. An empty file is meant under that name only: every project has empty files.
    fn seed_named(&self, content: Content, asset: &str, seeds: &mut Seeds) {
        if !is_empty(&content) {
            return self.seed_content(content, seeds);
        }
        match self.find(&GraphNode::Trivial(content, asset.to_owned())) {
            Some(n) => seeds.certain.insert(n),
            None => self.find(&GraphNode::Content(content)).is_some_and(|n| seeds.possible.insert(n)),
        };
    }

    fn seed_name(&self, full: &str, at: Option<Digest>, seeds: &mut Seeds) {
        let wanted = |content: &Content| at.is_none_or(|at| at == content.id);
        // What the name held, then what names below it held.
        for (content, asset) in self.holdings.get(full).into_iter().flatten() {
            if wanted(content) {
                seeds.matched.insert((*content, asset.clone()));
                self.seed_named(*content, asset, seeds);
            }
        }
        let below = format!("{full}/");
        let deeper = self.holdings.range(below.clone()..).take_while(|(n, _)| n.starts_with(&below));
        for (content, asset) in deeper.flat_map(|(_, held)| held) {
            if wanted(content) {
                seeds.matched.insert((*content, asset.clone()));
                self.seed_named(*content, asset, seeds);
            }
        }
        // What lies at the path inside something that a shorter name held.
        for (cut, _) in full.match_indices('/') {
            let Some(held) = self.holdings.get(&full[..cut]) else {
                continue;
            };
            let path = &full[cut + 1..];
            let trees = held.iter().filter(|(content, _)| content.form == Form::Tree);
            for (content, asset) in trees.filter(|(content, _)| wanted(content)) {
                let mut found = Vec::new();
                self.members_at(content.id, path, &mut found);
                for (member_path, member) in found {
                    let name = join(asset, member_path);
                    seeds.matched.insert((member, name.clone()));
                    self.seed_named(member, &name, seeds);
                }
            }
        }
        // Inputs of which only a name is known: the name may have stood for what is meant.
        let first = self.nodes.partition_point(|n| *n < GraphNode::Named(String::new()));
        for (n, node) in self.nodes.iter().enumerate().skip(first) {
            let GraphNode::Named(name) = node else { break };
            if covers(full, name) || covers(name, full) {
                seeds.possible.extend(u32::try_from(n).ok());
            }
        }
    }

    /// Paths and contents of a tree's members at or below `path`, in order.
    pub(super) fn members_at<'a>(&'a self, tree: Digest, path: &str, found: &mut Vec<(&'a str, Content)>) {
        for member in self.members.get(&tree).into_iter().flatten() {
            match member {
                Member::File { path: p, content } if rest_below(path, p).is_some() => {
                    found.push((p, *content));
                }
                Member::File { .. } => {}
                Member::Page(page) => self.members_at(*page, path, found),
            }
        }
    }

    /// The versions of a content, as the ledger and the references name them.
    #[must_use]
    pub fn names_of(&self, content: &Content) -> Vec<Version> {
        let facts = self.facts.get(content).into_iter();
        facts.flat_map(|f| f.names.keys()).map(|asset| Version::new(asset.clone(), *content)).collect()
    }
}

impl Facts {
    pub(super) fn is_model(&self) -> bool {
        self.names.iter().any(|(asset, name)| name.is_model(asset))
    }
}

impl NameFacts {
    fn is_model(&self, asset: &str) -> bool {
        if self.kinds.is_empty() {
            let guess = |path: &str| AssetKind::of_path(path) == AssetKind::Model;
            return guess(asset) || self.paths.iter().any(|p| guess(p));
        }
        self.kinds.contains(&AssetKind::Model)
    }
}

/// Whether this is the file without bytes.
fn is_empty(content: &Content) -> bool {
    *content == Content::file(FileId::of(b""))
}

/// Where a question starts.
#[derive(Debug, Clone, Default)]
pub(super) struct Seeds {
    /// The content itself.
    pub certain: BTreeSet<u32>,
    /// What may have been the content.
    pub possible: BTreeSet<u32>,
    /// Pages whose small files are already in.
    pub pages: BTreeSet<Digest>,
    /// The versions that the scope named.
    pub matched: BTreeSet<(Content, String)>,
}
