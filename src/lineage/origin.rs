//! Models whose origin nobody recorded, and what descends from them.

use std::collections::{BTreeSet, VecDeque};

use super::graph::{Graph, GraphNode, Link, NONE, Weak};
use crate::ledger::{Form, Role, Version};

impl Graph {
    /// Finds the models that nobody recorded a run for, and what descends from them.
    pub(super) fn find_unknown(&mut self) {
        // Made by a run, alone or as a part of something that was.
        let mut known = vec![false; self.nodes.len()];
        let mut todo: Vec<u32> = Vec::new();
        for edge in &self.edges {
            if matches!(edge.link, Link::Output { .. }) && self.declares_origin(edge.from) {
                todo.push(edge.to);
            }
        }
        while let Some(n) = todo.pop() {
            if !std::mem::replace(&mut known[n as usize], true) {
                let parts = self.outgoing(n).iter().filter(|e| {
                    e.weak.is_none() && (e.link == Link::Member || (e.link == Link::Same && self.is_whole(e.from)))
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
            if let (GraphNode::Named(_), Link::Input { role: Role::Base | Role::Resume, .. }) =
                (&self.nodes[edge.from as usize], &edge.link)
            {
                sources.insert(edge.from);
            }
        }
        let mut from = vec![NONE; self.nodes.len()];
        let mut queue: VecDeque<u32> = sources.iter().copied().collect();
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

    /// Whether a run says what its outputs learned from: a run that only names a configuration, or nothing at
    /// all, leaves their origin as unknown as it was.
    fn declares_origin(&self, run: u32) -> bool {
        self.incoming(run).any(|e| match &e.link {
            Link::Input { role, .. } => role.learns() && !matches!(role, Role::Config | Role::Tokenizer),
            _ => false,
        })
    }

    /// Whether nobody recorded where a version comes from, or where something that it descends from does.
    #[must_use]
    pub fn is_of_unknown_origin(&self, ver: &Version) -> bool {
        self.version_node(ver.content(), &ver.asset).is_none_or(|n| self.unknown_from[n as usize] != NONE)
    }

    fn is_whole(&self, n: u32) -> bool {
        matches!(self.nodes[n as usize], GraphNode::Whole(_) | GraphNode::WholePage(_))
    }

    /// Whether a member of a model may hold weights: texts beside them (licence, configuration, tokenizer)
    /// are shared by many models and must not make all of them unknown.
    fn may_be_weights(&self, n: u32) -> bool {
        const TEXT: [&str; 12] =
            ["json", "jsonl", "txt", "md", "yaml", "yml", "toml", "cfg", "ini", "py", "csv", "rst"];
        let GraphNode::Content(content) = &self.nodes[n as usize] else {
            return true;
        };
        let Some((_, path)) = self.places.get(content) else {
            return true;
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        name.rsplit_once('.').is_some_and(|(_, ext)| !TEXT.contains(&ext))
    }
}
