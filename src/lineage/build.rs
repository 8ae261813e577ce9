//! Making the graph of a ledger.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Edge, Facts, Graph, GraphNode, Link, Member, NONE, RunFacts, Totals, Weak};
use super::{Error, NodeRef};
use crate::id::{Digest, EventId, FileId, PageId};
use crate::ledger::{
    AssetKind, Content, Event, Form, Ledger, Outcome, Role, RunRecorded, Version, active_classes,
    covers, join, rest_below,
};
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
        hash.update(
            &u32::try_from(v.asset.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        hash.update(v.asset.as_bytes())
            .update(&[v.form as u8])
            .update(v.id.as_bytes());
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
    pub fn build(
        ledger: &Ledger,
        unrecorded: &[Unrecorded],
        lookup: &mut Lookup<'_>,
    ) -> Result<Self, Error> {
        let mut b = Builder::default();
        for entry in ledger.events() {
            b.event(entry.id, entry.event);
        }
        b.walk_trees(lookup)?;
        let mut unknown: Vec<&Unrecorded> = unrecorded
            .iter()
            .filter(|u| !b.sizes.contains_key(&u.ver.content()))
            .collect();
        unknown.sort();
        unknown.dedup();
        for u in &unknown {
            b.seen(
                &u.ver,
                Some(&u.path),
                Some(&u.kind),
                Some(u.size_bytes),
                false,
            );
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

#[derive(Default)]
struct Builder<'a> {
    facts: BTreeMap<Content, Facts>,
    /// Every content that is a node, with its greatest known size.
    sizes: BTreeMap<Content, Option<u64>>,
    holdings: BTreeMap<String, BTreeSet<(Content, String)>>,
    members: BTreeMap<Digest, Vec<Member>>,
    places: BTreeMap<Content, (Digest, String)>,
    runs: Vec<(EventId, &'a RunRecorded)>,
    run_facts: BTreeMap<EventId, RunFacts>,
    trees: BTreeSet<Digest>,
    trivial: BTreeSet<Content>,
    numbers: BTreeMap<GraphNode, usize>,
    edges: Vec<(usize, usize, Link, Option<Weak>)>,
}

impl<'a> Builder<'a> {
    fn event(&mut self, id: EventId, event: &'a Event) {
        match event {
            Event::VersionSeen(v) => {
                self.seen(
                    &v.ver,
                    Some(&v.path),
                    Some(&v.kind),
                    Some(v.size_bytes),
                    true,
                );
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
                        facts
                            .names
                            .entry(output.ver.asset.clone())
                            .or_default()
                            .partial = true;
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

    fn walk_page(
        &mut self,
        tree: Digest,
        page: Digest,
        level: u8,
        lookup: &mut Lookup<'_>,
    ) -> Result<(), Error> {
        if self.members.contains_key(&page) {
            return Ok(());
        }
        if level >= limits::MAX_TREE_LEVELS {
            return Err(Error::TooDeep {
                tree,
                limit: limits::MAX_TREE_LEVELS,
            });
        }
        let items =
            lookup(PageId(page.0)).map_err(|reason| Error::MissingPage { tree, page, reason })?;
        let mut members = Vec::with_capacity(items.len());
        for item in items {
            members.push(match item {
                TreeItem::File {
                    path,
                    id,
                    size_bytes,
                } => {
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

    fn number(&mut self, node: GraphNode) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(node).or_insert(next)
    }

    fn link(&mut self, from: GraphNode, to: GraphNode, link: Link, weak: Option<Weak>) {
        let (from, to) = (self.number(from), self.number(to));
        self.edges.push((from, to, link, weak));
    }

    /// Where a version is read.
    fn read_node(&self, content: Content, asset: &str) -> GraphNode {
        if self.trivial.contains(&content) {
            GraphNode::Trivial(content, asset.to_owned())
        } else {
            GraphNode::Content(content)
        }
    }

    /// Where a version is written.
    fn write_node(&self, content: Content, asset: &str) -> GraphNode {
        match content.form {
            Form::Tree => GraphNode::Whole(content.id),
            _ => self.read_node(content, asset),
        }
    }

    fn link_all(&mut self) {
        let small = |(c, size): (&Content, &Option<u64>)| {
            let trivial = c.form == Form::File && size.is_some_and(|n| n < limits::TRIVIAL_BYTES);
            trivial.then_some(*c)
        };
        self.trivial = self.sizes.iter().filter_map(small).collect();
        for content in self.sizes.keys().copied().collect::<Vec<_>>() {
            self.number(GraphNode::Content(content));
        }
        self.link_trees();
        self.link_trivial();
        for (id, run) in std::mem::take(&mut self.runs) {
            self.link_run(id, run);
        }
        self.link_named();
    }

    fn link_trees(&mut self) {
        let roots: Vec<Digest> = self
            .sizes
            .keys()
            .filter(|c| c.form == Form::Tree)
            .map(|c| c.id)
            .collect();
        let mut pages = BTreeSet::new();
        for root in roots {
            let read = GraphNode::Content(Content {
                form: Form::Tree,
                id: root,
            });
            self.link_container(root, GraphNode::Whole(root), read, &mut pages);
        }
        let mut done = BTreeSet::new();
        while let Some(page) = pages.pop_first() {
            if done.insert(page) {
                let (whole, read) = (GraphNode::WholePage(page), GraphNode::Page(page));
                self.link_container(page, whole, read, &mut pages);
            }
        }
    }

    fn link_container(
        &mut self,
        id: Digest,
        whole: GraphNode,
        read: GraphNode,
        pages: &mut BTreeSet<Digest>,
    ) {
        self.link(whole.clone(), read.clone(), Link::Same, None);
        for member in self.members.get(&id).cloned().unwrap_or_default() {
            match member {
                Member::File { content, .. } => {
                    let weak = self.trivial.contains(&content).then_some(Weak::Trivial);
                    let node = GraphNode::Content(content);
                    self.link(node.clone(), read.clone(), Link::Contains, None);
                    self.link(whole.clone(), node, Link::Member, weak);
                }
                Member::Page(page) => {
                    self.link(GraphNode::Page(page), read.clone(), Link::Contains, None);
                    self.link(
                        whole.clone(),
                        GraphNode::WholePage(page),
                        Link::Member,
                        None,
                    );
                    pages.insert(page);
                }
            }
        }
    }

    /// Trivial content: each version is a node of its own, equal bytes only hint. A member of a tree is the
    /// version of the asset whose name is the tree's name and the member's path.
    fn link_trivial(&mut self) {
        for content in self.trivial.clone() {
            let Some(facts) = self.facts.get(&content) else {
                continue;
            };
            for asset in facts.names.keys().cloned().collect::<Vec<_>>() {
                let version = GraphNode::Trivial(content, asset);
                let bytes = GraphNode::Content(content);
                self.link(
                    version.clone(),
                    bytes.clone(),
                    Link::Same,
                    Some(Weak::Trivial),
                );
                self.link(bytes, version, Link::Same, None);
            }
        }
        let mut found = BTreeSet::new();
        for (name, held) in &self.holdings {
            for (content, asset) in held.iter().filter(|(c, _)| self.trivial.contains(c)) {
                for (cut, _) in name.match_indices('/') {
                    for (tree, _) in self.holdings.get(&name[..cut]).into_iter().flatten() {
                        if tree.form == Form::Tree
                            && self.holds(tree.id, &name[cut + 1..], *content)
                        {
                            found.insert((tree.id, *content, asset.clone()));
                        }
                    }
                }
            }
        }
        for (tree, content, asset) in found {
            let version = GraphNode::Trivial(content, asset);
            let read = GraphNode::Content(Content {
                form: Form::Tree,
                id: tree,
            });
            self.link(version.clone(), read, Link::Contains, None);
            self.link(GraphNode::Whole(tree), version, Link::Member, None);
        }
    }

    fn holds(&self, page: Digest, wanted: &str, id: Content) -> bool {
        let Some(members) = self.members.get(&page) else {
            return false;
        };
        // Sorted: files by path, then pages.
        let file = Member::File {
            path: wanted.to_owned(),
            content: id,
        };
        let pages = members.partition_point(|m| matches!(m, Member::File { .. }));
        members.binary_search(&file).is_ok()
            || members[pages..].iter().any(|m| match m {
                Member::Page(next) => self.holds(*next, wanted, id),
                Member::File { .. } => false,
            })
    }

    fn link_run(&mut self, id: EventId, run: &RunRecorded) {
        let node = GraphNode::Run(run.run, id);
        self.number(node.clone());
        for input in &run.inputs {
            let selector = input.selector.as_deref().map(str::trim).and_then(part_of);
            let link = || Link::Input {
                role: input.role.clone(),
                evidence: input.evidence.clone(),
                selector: input.selector.clone(),
            };
            let Some(ver) = &input.ver else {
                let name = input.path.trim_end_matches('/').to_owned();
                self.link(GraphNode::Named(name), node.clone(), link(), None);
                continue;
            };
            let read = self.read_node(ver.content(), &ver.asset);
            let Some(part) = selector.filter(|_| ver.form == Form::Tree) else {
                self.link(read, node.clone(), link(), None);
                continue;
            };
            // What taints the whole taints every part; what taints some member may lie outside the part.
            self.link(read, node.clone(), link(), Some(Weak::Selector));
            self.link(GraphNode::Whole(ver.id), node.clone(), link(), None);
            let mut found = BTreeSet::new();
            self.part(ver.id, part, &mut found);
            for member in found {
                self.link(GraphNode::Content(member), node.clone(), link(), None);
            }
        }
        for output in &run.outputs {
            let written = self.write_node(output.ver.content(), &output.ver.asset);
            let partial = is_partial(run, output.partial);
            self.link(node.clone(), written, Link::Output { partial }, None);
        }
        // Kept under the node's event; the step's name is for people.
        self.run_facts.insert(
            id,
            RunFacts {
                step: run.step.clone(),
            },
        );
    }

    fn part(&self, page: Digest, part: &str, found: &mut BTreeSet<Content>) {
        for member in self.members.get(&page).into_iter().flatten() {
            match member {
                Member::File { path, content } if rest_below(part, path).is_some() => {
                    found.insert(*content);
                }
                Member::File { .. } => {}
                Member::Page(next) => self.part(*next, part, found),
            }
        }
    }

    /// An input that is only named may have been anything that the name, or a name around or below it, held.
    fn link_named(&mut self) {
        let named: Vec<String> = self
            .numbers
            .keys()
            .filter_map(|n| match n {
                GraphNode::Named(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        for name in named {
            let mut held = BTreeSet::new();
            let outer = name.match_indices('/').map(|(cut, _)| &name[..cut]);
            for above in outer.chain([name.as_str()]) {
                held.extend(self.holdings.get(above).into_iter().flatten().cloned());
            }
            let below = self
                .holdings
                .range(name.clone()..)
                .take_while(|(n, _)| n.starts_with(&name));
            for (_, contents) in below.filter(|(n, _)| covers(&name, n)) {
                held.extend(contents.iter().cloned());
            }
            for (content, asset) in held {
                let from = self.read_node(content, &asset);
                self.link(
                    from,
                    GraphNode::Named(name.clone()),
                    Link::Name,
                    Some(Weak::Named),
                );
            }
        }
    }

    fn finish(
        self,
        classes: Vec<crate::ledger::ActiveClass>,
        totals: Totals,
    ) -> Result<Graph, Error> {
        let limit = u64::from(NONE) - 1;
        for (what, actual) in [("nodes", self.numbers.len()), ("edges", self.edges.len())] {
            if actual as u64 > limit {
                return Err(Error::TooLarge {
                    what,
                    actual: actual as u64,
                    limit,
                });
            }
        }
        let mut sorted = vec![0u32; self.numbers.len()];
        let mut nodes = Vec::with_capacity(self.numbers.len());
        for (node, first) in self.numbers {
            sorted[first] = nodes.len() as u32;
            nodes.push(node);
        }
        let edge = |(from, to, link, weak): (usize, usize, Link, Option<Weak>)| Edge {
            from: sorted[from],
            to: sorted[to],
            link,
            weak,
        };
        let mut edges: Vec<Edge> = self.edges.into_iter().map(edge).collect();
        edges.sort();
        edges.dedup();
        let mut in_edges: Vec<u32> = (0..edges.len() as u32).collect();
        in_edges.sort_by_key(|e| (edges[*e as usize].to, *e));
        let out_start = starts(nodes.len(), edges.iter().map(|e| e.from));
        let in_start = starts(nodes.len(), in_edges.iter().map(|e| edges[*e as usize].to));
        let mut graph = Graph {
            unknown_from: vec![NONE; nodes.len()],
            nodes,
            edges,
            out_start,
            in_edges,
            in_start,
            facts: self.facts,
            holdings: self.holdings,
            runs: self.run_facts,
            members: self.members,
            places: self.places,
            trivial: self.trivial,
            classes,
            totals,
        };
        graph.find_unknown();
        Ok(graph)
    }
}

/// Where each node's run of edges begins, in a list that is sorted by node.
fn starts(nodes: usize, ends: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut start = vec![0u32; nodes + 1];
    for n in ends {
        start[n as usize + 1] += 1;
    }
    for n in 0..nodes {
        start[n + 1] += start[n];
    }
    start
}

fn is_partial(run: &RunRecorded, partial: bool) -> bool {
    partial || run.outcome != Outcome::Done
}

/// The path that a selector names; `None` when it means everything.
fn part_of(selector: &str) -> Option<&str> {
    let path = selector.trim_start_matches(':');
    let path = path.split_once('#').map_or(path, |(path, _)| path);
    let path = path.trim_start_matches("./").trim_end_matches('/');
    (!matches!(selector, "" | "all" | "*" | "**") && path != ".").then_some(path)
}

impl Graph {
    /// Finds the models that nobody recorded a run for, and what descends from them.
    fn find_unknown(&mut self) {
        // Made by a run, alone or as a part of something that was.
        let mut known = vec![false; self.nodes.len()];
        let mut todo: Vec<u32> = Vec::new();
        for edge in &self.edges {
            if matches!(edge.link, Link::Output { .. }) {
                todo.push(edge.to);
            }
        }
        while let Some(n) = todo.pop() {
            if !std::mem::replace(&mut known[n as usize], true) {
                let parts = self.outgoing(n).iter().filter(|e| {
                    e.weak.is_none()
                        && (e.link == Link::Member
                            || (e.link == Link::Same && self.is_whole(e.from)))
                });
                todo.extend(parts.map(|e| e.to));
            }
        }
        let mut sources: BTreeSet<u32> = BTreeSet::new();
        for (content, asset, _) in self.versions() {
            if !self.is_model(&content) {
                continue;
            }
            let whole = match content.form {
                Form::Tree => self.find(&GraphNode::Whole(content.id)),
                _ => self.version_node(content, asset),
            };
            sources.extend(whole.filter(|n| !known[*n as usize]));
        }
        // Weights that are only named are of unknown origin as well.
        for edge in &self.edges {
            if let (
                GraphNode::Named(_),
                Link::Input {
                    role: Role::Base | Role::Resume,
                    ..
                },
            ) = (&self.nodes[edge.from as usize], &edge.link)
            {
                sources.insert(edge.from);
            }
        }
        let mut from = vec![NONE; self.nodes.len()];
        let mut queue: std::collections::VecDeque<u32> = sources.iter().copied().collect();
        for n in &sources {
            from[*n as usize] = *n;
        }
        while let Some(n) = queue.pop_front() {
            for edge in self.outgoing(n) {
                let to = edge.to as usize;
                let stops = edge.weak == Some(Weak::Trivial)
                    || (edge.link == Link::Member && (known[to] || !self.may_be_weights(edge.to)));
                if from[to] == NONE && !stops {
                    from[to] = from[n as usize];
                    queue.push_back(edge.to);
                }
            }
        }
        self.unknown_from = from;
    }

    fn is_whole(&self, n: u32) -> bool {
        matches!(
            self.nodes[n as usize],
            GraphNode::Whole(_) | GraphNode::WholePage(_)
        )
    }

    /// Whether a member of a model may hold weights: texts beside them (licence, configuration, tokenizer)
    /// are shared by many models and must not make all of them unknown.
    fn may_be_weights(&self, n: u32) -> bool {
        const TEXT: [&str; 12] = [
            "json", "jsonl", "txt", "md", "yaml", "yml", "toml", "cfg", "ini", "py", "csv", "rst",
        ];
        let GraphNode::Content(content) = &self.nodes[n as usize] else {
            return true;
        };
        let Some((_, path)) = self.places.get(content) else {
            return true;
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        name.rsplit_once('.')
            .is_some_and(|(_, ext)| !TEXT.contains(&ext))
    }

    /// A node as answers show it; pages and the two sides of a tree show as their content.
    pub(super) fn show(&self, n: u32) -> NodeRef {
        match &self.nodes[n as usize] {
            GraphNode::Content(content) => self.show_content(*content, None),
            GraphNode::Trivial(content, asset) => self.show_content(*content, Some(asset)),
            GraphNode::Whole(id) => self.show_content(
                Content {
                    form: Form::Tree,
                    id: *id,
                },
                None,
            ),
            GraphNode::Page(id) | GraphNode::WholePage(id) => NodeRef::Page { id: *id },
            GraphNode::Named(name) => NodeRef::Named { name: name.clone() },
            GraphNode::Run(run, event) => NodeRef::Run {
                run: *run,
                event: *event,
                step: self.runs.get(event).and_then(|r| r.step.clone()),
            },
        }
    }

    pub(super) fn show_content(&self, content: Content, asset: Option<&str>) -> NodeRef {
        let named = || self.facts.get(&content)?.names.keys().next().cloned();
        let placed = || {
            let (tree, path) = self.places.get(&content)?;
            let facts = self.facts.get(&Content {
                form: Form::Tree,
                id: *tree,
            })?;
            Some(join(facts.names.keys().next()?, path))
        };
        NodeRef::Content {
            asset: asset.map(str::to_owned).or_else(named).or_else(placed),
            form: content.form,
            id: content.id,
        }
    }
}
