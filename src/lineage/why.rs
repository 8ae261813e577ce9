//! How some content got into a version.

use super::graph::{Edge, Graph, GraphNode, Link, NONE};
use super::sweep::Sweep;
use super::{Error, NodeRef, Step, StepEdge, WhyPath, WhyReport};
use crate::id::EventId;
use crate::ledger::{Scope, Verdict, Version};

impl Graph {
    /// Shows how what `from` covers got into `to`: a shortest path for each kind of connection.
    ///
    /// # Errors
    /// Nothing recorded matches `from`, or has the content of `to`.
    pub fn why(&self, from: &Scope, to: &Version) -> Result<WhyReport, Error> {
        self.why_caused(from, to, None)
    }

    /// As [`Graph::why`], from what the classification `event` covers. A classification that is not in force
    /// covers nothing.
    ///
    /// # Errors
    /// As for [`Graph::why`].
    pub fn why_class(&self, event: EventId, to: &Version) -> Result<WhyReport, Error> {
        match self.classes.iter().find(|c| c.event == event) {
            Some(class) => self.why_caused(&class.scope, to, Some(event)),
            None => {
                self.target(to)?;
                let verdict = Verdict::Unaffected;
                Ok(WhyReport { to: to.content(), verdict, paths: Vec::new() })
            }
        }
    }

    fn target(&self, to: &Version) -> Result<u32, Error> {
        self.version_node(to.content(), &to.asset).ok_or_else(|| Error::NoSuchContent { content: to.content() })
    }

    fn why_caused(&self, from: &Scope, to: &Version, event: Option<EventId>) -> Result<WhyReport, Error> {
        let n = self.target(to)?;
        let seeds = self.seeds(from);
        if seeds.matched.is_empty() && seeds.possible.is_empty() {
            return Err(Error::NoSuchScope { scope: from.clone() });
        }
        let mut sweep = Sweep::new(self);
        sweep.run(&seeds);
        let mut paths: Vec<WhyPath> = Vec::new();
        for reach in sweep.ways(n) {
            let (seed, edges) = sweep.path(n, reach);
            paths.push(WhyPath {
                verdict: reach.verdict(),
                learned: reach.learned,
                steps: self.steps(seed, &edges, event),
            });
        }
        let mut verdict = paths.first().map_or(Verdict::Unaffected, |p| p.verdict);
        let origin = self.unknown_from[n as usize];
        if paths.is_empty() && origin != NONE {
            verdict = Verdict::Unknown;
            let mut seeds = super::graph::Seeds::default();
            seeds.certain.insert(origin);
            sweep.run(&seeds);
            if let Some(reach) = sweep.best(n) {
                let (seed, edges) = sweep.path(n, reach);
                let steps = self.steps(seed, &edges, None);
                paths.push(WhyPath { verdict, learned: reach.learned, steps });
            }
        }
        Ok(WhyReport { to: to.content(), verdict, paths })
    }

    /// A path as people see it: pages and the two sides of a tree are one step.
    pub(super) fn steps(&self, seed: u32, edges: &[&Edge], event: Option<EventId>) -> Vec<Step> {
        let mut steps = vec![Step { node: self.show(seed), edge: StepEdge::Start { event }, possible: false }];
        for edge in edges {
            let node = self.show(edge.to);
            let page = matches!(self.nodes[edge.to as usize], GraphNode::Page(_) | GraphNode::WholePage(_));
            if page || steps.last().is_some_and(|last| same(&last.node, &node)) {
                continue;
            }
            let shown = match &edge.link {
                Link::Contains => StepEdge::Contains,
                Link::Member => StepEdge::Member,
                Link::Input { role, evidence, selector } => {
                    StepEdge::Input { role: role.clone(), evidence: evidence.clone(), selector: selector.clone() }
                }
                Link::Output { partial } => StepEdge::Output { partial: *partial },
                Link::Same => StepEdge::SameContent,
                Link::Name => StepEdge::Named,
            };
            steps.push(Step { node, edge: shown, possible: edge.weak.is_some() });
        }
        steps
    }
}

/// Whether two nodes show the same thing. Trivial content under another name is another thing.
fn same(a: &NodeRef, b: &NodeRef) -> bool {
    a == b
}
