//! Following content through the graph.

use std::collections::VecDeque;

use super::graph::{Edge, Graph, GraphNode, Link, NONE, Seeds, Weak};
use crate::ledger::Verdict;

/// How a node was reached. What leaves a weak edge only may have happened; what leaves a measuring role was
/// not learned. Neither is ever undone further on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    pub certain: bool,
    pub learned: bool,
}

impl Reach {
    /// All ways, strongest first.
    pub(super) const ALL: [Self; 4] = [
        Self { certain: true, learned: true },
        Self { certain: true, learned: false },
        Self { certain: false, learned: true },
        Self { certain: false, learned: false },
    ];

    fn index(self) -> usize {
        usize::from(!self.certain) * 2 + usize::from(!self.learned)
    }

    fn implies(self, other: Self) -> bool {
        self.certain >= other.certain && self.learned >= other.learned
    }

    pub(super) fn verdict(self) -> Verdict {
        if self.certain { Verdict::Affected } else { Verdict::Possible }
    }

    fn along(self, edge: &Edge) -> Self {
        let learns = match &edge.link {
            Link::Input { role, .. } => role.learns(),
            _ => true,
        };
        Self { certain: self.certain && edge.weak.is_none(), learned: self.learned && learns }
    }
}

const SEED: u32 = NONE - 1;

/// How a node was first reached in one way.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    /// The edge, [`SEED`] or [`NONE`].
    edge: u32,
    /// The way in which the edge's source was reached.
    way: u8,
    /// Why the way proves nothing, where it does not.
    weak: Option<Weak>,
}

const NOT_YET: Arrival = Arrival { edge: NONE, way: 0, weak: None };

/// One walk's state: for each node and way, how it was first reached. It is reused: only what a walk touched
/// is reset.
pub(super) struct Sweep<'g> {
    graph: &'g Graph,
    arrivals: Vec<[Arrival; 4]>,
    touched: Vec<u32>,
}

impl<'g> Sweep<'g> {
    pub(super) fn new(graph: &'g Graph) -> Self {
        Self { graph, arrivals: vec![[NOT_YET; 4]; graph.nodes.len()], touched: Vec::new() }
    }

    /// Follows the seeds, breadth first, so that paths are shortest; by node numbers among equals.
    pub(super) fn run(&mut self, seeds: &Seeds) {
        for n in self.touched.drain(..) {
            self.arrivals[n as usize] = [NOT_YET; 4];
        }
        let mut queue = VecDeque::new();
        for n in &seeds.certain {
            let seed = Arrival { edge: SEED, way: 0, weak: None };
            self.arrive(*n, Reach::ALL[0], seed, &mut queue);
        }
        for n in &seeds.possible {
            let weak = match self.graph.nodes[*n as usize] {
                GraphNode::Named(_) => Weak::Named,
                _ => Weak::Trivial,
            };
            let seed = Arrival { edge: SEED, way: 0, weak: Some(weak) };
            self.arrive(*n, Reach::ALL[2], seed, &mut queue);
        }
        let graph = self.graph;
        while let Some((n, reach)) = queue.pop_front() {
            let first = graph.out_start[n as usize];
            let weak = self.arrivals[n as usize][reach.index()].weak;
            for (number, edge) in (first..).zip(graph.outgoing(n)) {
                let way = reach.index() as u8;
                let arrival = Arrival { edge: number, way, weak: weak.or(edge.weak) };
                self.arrive(edge.to, reach.along(edge), arrival, &mut queue);
            }
        }
    }

    fn arrive(&mut self, n: u32, reach: Reach, arrival: Arrival, queue: &mut VecDeque<(u32, Reach)>) {
        let state = &mut self.arrivals[n as usize];
        let there = |r: &Reach| state[r.index()].edge != NONE;
        if Reach::ALL.iter().any(|r| there(r) && r.implies(reach)) {
            return;
        }
        if !Reach::ALL.iter().any(there) {
            self.touched.push(n);
        }
        state[reach.index()] = arrival;
        queue.push_back((n, reach));
    }

    /// The nodes that were reached, in the order in which they were.
    pub(super) fn touched(&self) -> &[u32] {
        &self.touched
    }

    /// The ways by which a node was reached, strongest first.
    pub(super) fn ways(&self, n: u32) -> impl Iterator<Item = Reach> {
        let state = self.arrivals[n as usize];
        Reach::ALL.into_iter().filter(move |r| state[r.index()].edge != NONE)
    }

    /// The strongest way by which a node was reached.
    pub(super) fn best(&self, n: u32) -> Option<Reach> {
        self.ways(n).next()
    }

    /// The edges of the path to a node, the last one first.
    pub(super) fn back(&self, n: u32, reach: Reach) -> impl Iterator<Item = &'g Edge> {
        let (mut n, mut way) = (n, reach.index());
        std::iter::from_fn(move || {
            let arrival = self.arrivals[n as usize][way];
            let edge = self.graph.edges.get(arrival.edge as usize)?;
            (n, way) = (edge.from, usize::from(arrival.way));
            Some(edge)
        })
    }

    /// The seed and the edges from it to a node.
    pub(super) fn path(&self, n: u32, reach: Reach) -> (u32, Vec<&'g Edge>) {
        let mut edges: Vec<&Edge> = self.back(n, reach).collect();
        edges.reverse();
        (edges.first().map_or(n, |e| e.from), edges)
    }

    /// Why the way to a node proves nothing: its first weak edge.
    pub(super) fn weakness(&self, n: u32, reach: Reach) -> Option<Weak> {
        self.arrivals[n as usize][reach.index()].weak
    }
}
