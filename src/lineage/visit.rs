//! petgraph's traits over the compact arrays, so that its algorithms run on the graph as it is.

use petgraph::Direction;
use petgraph::visit::{
    GraphBase, GraphProp, IntoNeighbors, IntoNeighborsDirected, IntoNodeIdentifiers, NodeCompactIndexable, NodeCount,
    NodeIndexable, VisitMap, Visitable,
};

use super::Graph;

/// petgraph's own bit set, which it gives no name of its own.
type Bits = <petgraph::graph::DiGraph<(), ()> as Visitable>::Map;

impl GraphBase for Graph {
    type NodeId = u32;
    type EdgeId = u32;
}

impl GraphProp for Graph {
    type EdgeType = petgraph::Directed;
}

impl NodeCount for Graph {
    fn node_count(&self) -> usize {
        self.nodes.len()
    }
}

impl NodeIndexable for Graph {
    fn node_bound(&self) -> usize {
        self.nodes.len()
    }
    fn to_index(&self, n: u32) -> usize {
        n as usize
    }
    fn from_index(&self, n: usize) -> u32 {
        u32::try_from(n).expect("a graph has less than 2^32 nodes")
    }
}

impl NodeCompactIndexable for Graph {}

impl Visitable for Graph {
    type Map = Bits;
    fn visit_map(&self) -> Bits {
        Bits::with_capacity(self.nodes.len())
    }
    fn reset_map(&self, map: &mut Bits) {
        map.clear();
        map.grow(self.nodes.len());
        debug_assert!(self.nodes.is_empty() || !map.is_visited(&0usize));
    }
}

impl IntoNodeIdentifiers for &Graph {
    type NodeIdentifiers = std::ops::Range<u32>;
    fn node_identifiers(self) -> Self::NodeIdentifiers {
        0..u32::try_from(self.nodes.len()).expect("a graph has less than 2^32 nodes")
    }
}

/// The ends of a node's edges. Two nodes with several edges between them are neighbours once for each.
pub struct Neighbors<'g> {
    graph: &'g Graph,
    at: std::ops::Range<u32>,
    direction: Direction,
}

impl Iterator for Neighbors<'_> {
    type Item = u32;
    fn next(&mut self) -> Option<u32> {
        let i = self.at.next()? as usize;
        Some(match self.direction {
            Direction::Outgoing => self.graph.edges[i].to,
            Direction::Incoming => self.graph.edges[self.graph.in_edges[i] as usize].from,
        })
    }
}

impl<'g> IntoNeighbors for &'g Graph {
    type Neighbors = Neighbors<'g>;
    fn neighbors(self, n: u32) -> Neighbors<'g> {
        self.neighbors_directed(n, Direction::Outgoing)
    }
}

impl<'g> IntoNeighborsDirected for &'g Graph {
    type NeighborsDirected = Neighbors<'g>;
    fn neighbors_directed(self, n: u32, direction: Direction) -> Neighbors<'g> {
        let start = match direction {
            Direction::Outgoing => &self.out_start,
            Direction::Incoming => &self.in_start,
        };
        Neighbors { graph: self, at: start[n as usize]..start[n as usize + 1], direction }
    }
}
