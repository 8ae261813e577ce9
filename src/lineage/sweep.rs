//! Following content through the graph.

use std::collections::VecDeque;

use super::graph::{Edge, Graph, Link, NONE, Seeds, Weak};
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
        Self {
            certain: true,
            learned: true,
        },
        Self {
            certain: true,
            learned: false,
        },
        Self {
            certain: false,
            learned: true,
        },
        Self {
            certain: false,
            learned: false,
        },
    ];

    fn index(self) -> usize {
        usize::from(!self.certain) * 2 + usize::from(!self.learned)
    }

    fn implies(self, other: Self) -> bool {
        self.certain >= other.certain && self.learned >= other.learned
    }

    pub(super) fn verdict(self) -> Verdict {
        if self.certain {
            Verdict::Affected
        } else {
            Verdict::Possible
        }
    }

    fn along(self, edge: &Edge) -> Self {
        let learns = match &edge.link {
            Link::Input { role, .. } => role.learns(),
            _ => true,
        };
        Self {
            certain: self.certain && edge.weak.is_none(),
            learned: self.learned && learns,
        }
    }
}

const SEED: u32 = NONE - 1;

/// One walk's state: for each node and way, the edge and the way it was first reached by. It is reused: only
/// what a walk touched is reset.
pub(super) struct Sweep<'g> {
    graph: &'g Graph,
    by_edge: Vec<[u32; 4]>,
    by_way: Vec<[u8; 4]>,
    touched: Vec<u32>,
}

impl<'g> Sweep<'g> {
    pub(super) fn new(graph: &'g Graph) -> Self {
        Self {
            graph,
            by_edge: vec![[NONE; 4]; graph.nodes.len()],
            by_way: vec![[0; 4]; graph.nodes.len()],
            touched: Vec::new(),
        }
    }

    /// Follows the seeds, breadth first, so that paths are shortest; by node numbers among equals.
    pub(super) fn run(&mut self, seeds: &Seeds) {
        for n in self.touched.drain(..) {
            self.by_edge[n as usize] = [NONE; 4];
        }
        let mut queue = VecDeque::new();
        let certain = seeds.certain.iter().map(|n| (*n, Reach::ALL[0]));
        let possible = seeds.possible.iter().map(|n| (*n, Reach::ALL[2]));
        for (n, reach) in certain.chain(possible) {
            self.arrive(n, reach, SEED, 0, &mut queue);
        }
        let graph = self.graph;
        while let Some((n, reach)) = queue.pop_front() {
            let first = graph.out_start[n as usize];
            for (number, edge) in (first..).zip(graph.outgoing(n)) {
                let way = reach.index() as u8;
                self.arrive(edge.to, reach.along(edge), number, way, &mut queue);
            }
        }
    }

    fn arrive(
        &mut self,
        n: u32,
        reach: Reach,
        edge: u32,
        way: u8,
        queue: &mut VecDeque<(u32, Reach)>,
    ) {
        let state = &mut self.by_edge[n as usize];
        let implied = Reach::ALL
            .into_iter()
            .any(|r| state[r.index()] != NONE && r.implies(reach));
        if implied {
            return;
        }
        if *state == [NONE; 4] {
            self.touched.push(n);
        }
        state[reach.index()] = edge;
        self.by_way[n as usize][reach.index()] = way;
        queue.push_back((n, reach));
    }

    /// The nodes that were reached, in the order in which they were.
    pub(super) fn touched(&self) -> &[u32] {
        &self.touched
    }

    /// The ways by which a node was reached, strongest first.
    pub(super) fn ways(&self, n: u32) -> impl Iterator<Item = Reach> {
        let state = self.by_edge[n as usize];
        Reach::ALL
            .into_iter()
            .filter(move |r| state[r.index()] != NONE)
    }

    /// The strongest way by which a node was reached.
    pub(super) fn best(&self, n: u32) -> Option<Reach> {
        self.ways(n).next()
    }

    /// The seed and the edges from it to a node.
    pub(super) fn path(&self, n: u32, reach: Reach) -> (u32, Vec<&'g Edge>) {
        let (mut n, mut way) = (n, reach.index());
        let mut edges = Vec::new();
        while let Some(edge) = self.graph.edges.get(self.by_edge[n as usize][way] as usize) {
            edges.push(edge);
            way = usize::from(self.by_way[n as usize][way]);
            n = edge.from;
        }
        edges.reverse();
        (n, edges)
    }

    /// Why the way to a node proves nothing: its first weak edge.
    pub(super) fn weakness(&self, n: u32, reach: Reach) -> Option<Weak> {
        self.path(n, reach).1.iter().find_map(|e| e.weak)
    }
}
