//! Nodes as answers show them.

use super::NodeRef;
use super::graph::{Graph, GraphNode};
use crate::ledger::{Content, Form, join};

impl Graph {
    /// A node as answers show it; pages and the two sides of a tree show as their content.
    pub(super) fn show(&self, n: u32) -> NodeRef {
        match &self.nodes[n as usize] {
            GraphNode::Content(content) => self.show_content(*content, None),
            GraphNode::Trivial(content, asset) => self.show_content(*content, Some(asset)),
            GraphNode::Whole(id) => self.show_content(Content { form: Form::Tree, id: *id }, None),
            GraphNode::Page(id) | GraphNode::WholePage(id) => NodeRef::Page { id: *id },
            GraphNode::Named(name) => NodeRef::Named { name: name.clone() },
            GraphNode::Run(run, event) => {
                NodeRef::Run { run: *run, event: *event, step: self.runs.get(event).and_then(|r| r.step.clone()) }
            }
        }
    }

    pub(super) fn show_content(&self, content: Content, asset: Option<&str>) -> NodeRef {
        let named = || self.facts.get(&content)?.names.keys().next().cloned();
        let placed = || {
            let (tree, path) = self.places.get(&content)?;
            let facts = self.facts.get(&Content { form: Form::Tree, id: *tree })?;
            Some(join(facts.names.keys().next()?, path))
        };
        NodeRef::Content {
            asset: asset.map(str::to_owned).or_else(named).or_else(placed),
            form: content.form,
            id: content.id,
        }
    }
}
