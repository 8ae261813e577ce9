//! Making the edges: trees, trivial content, runs, names.

use std::collections::BTreeSet;

use super::Error;
use super::build::{Builder, is_partial};
use super::graph::{Edge, Graph, GraphNode, Link, Member, NONE, RunFacts, Totals, Weak};
use crate::id::{Digest, EventId};
use crate::ledger::{ActiveClass, Content, Form, RunRecorded, covers, rest_below};
use crate::limits;

impl Builder<'_> {
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

    pub(super) fn link_all(&mut self) {
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
        let roots: Vec<Digest> = self.sizes.keys().filter(|c| c.form == Form::Tree).map(|c| c.id).collect();
        let mut pages = BTreeSet::new();
        for root in roots {
            let read = GraphNode::Content(Content { form: Form::Tree, id: root });
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

    fn link_container(&mut self, id: Digest, whole: GraphNode, read: GraphNode, pages: &mut BTreeSet<Digest>) {
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
                    self.link(whole.clone(), GraphNode::WholePage(page), Link::Member, None);
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
                self.link(version.clone(), bytes.clone(), Link::Same, Some(Weak::Trivial));
                self.link(bytes, version, Link::Same, None);
            }
        }
        let mut found = BTreeSet::new();
        for (name, held) in &self.holdings {
            for (content, asset) in held.iter().filter(|(c, _)| self.trivial.contains(c)) {
                for (cut, _) in name.match_indices('/') {
                    for (tree, _) in self.holdings.get(&name[..cut]).into_iter().flatten() {
                        if tree.form == Form::Tree && self.holds(tree.id, &name[cut + 1..], *content) {
                            found.insert((tree.id, *content, asset.clone()));
                        }
                    }
                }
            }
        }
        for (tree, content, asset) in found {
            let version = GraphNode::Trivial(content, asset);
            let read = GraphNode::Content(Content { form: Form::Tree, id: tree });
            self.link(version.clone(), read, Link::Contains, None);
            self.link(GraphNode::Whole(tree), version, Link::Member, None);
        }
    }

    fn holds(&self, page: Digest, wanted: &str, id: Content) -> bool {
        let Some(members) = self.members.get(&page) else {
            return false;
        };
        // Sorted: files by path, then pages.
        let file = Member::File { path: wanted.to_owned(), content: id };
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
        self.run_facts.insert(id, RunFacts { step: run.step.clone() });
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
            let below = self.holdings.range(name.clone()..).take_while(|(n, _)| n.starts_with(&name));
            for (_, contents) in below.filter(|(n, _)| covers(&name, n)) {
                held.extend(contents.iter().cloned());
            }
            for (content, asset) in held {
                let from = self.read_node(content, &asset);
                self.link(from, GraphNode::Named(name.clone()), Link::Name, Some(Weak::Named));
            }
        }
    }

    pub(super) fn finish(self, classes: Vec<ActiveClass>, totals: Totals) -> Result<Graph, Error> {
        let limit = u64::from(NONE) - 1;
        for (what, actual) in [("nodes", self.numbers.len()), ("edges", self.edges.len())] {
            if actual as u64 > limit {
                return Err(Error::TooLarge { what, actual: actual as u64, limit });
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

/// The path that a selector names; `None` when it means everything.
fn part_of(selector: &str) -> Option<&str> {
    let path = selector.trim_start_matches(':');
    let path = path.split_once('#').map_or(path, |(path, _)| path);
    let path = path.trim_start_matches("./").trim_end_matches('/');
    (!matches!(selector, "" | "all" | "*" | "**") && path != ".").then_some(path)
}
