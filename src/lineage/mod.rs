//! The lineage graph and the questions it answers, as pure functions over a [`crate::ledger::Ledger`].
//!
//! [`Graph::build`] makes the graph of content, runs and what contains what. [`Graph::impact`] says for every
//! model whether some content went into it, [`Graph::why`] shows how, [`Graph::flags`] applies the
//! classifications. Answers depend on the ledger's set of batches and on the given unrecorded versions
//! only; they hold no times of this machine and come in a fixed order. See `docs/concepts/lineage.md`.

mod answer;
mod build;
mod flags;
mod graph;
mod impact;
mod link;
mod origin;
mod show;
mod sweep;
#[cfg(test)]
mod tests;
mod visit;
mod why;

pub use answer::{
    Basis, Counts, Coverage, Flag, ImpactReport, ImpactRow, NodeRef, Step, StepEdge, TargetRow, WhyPath, WhyReport,
    Witness,
};
pub use build::{TreeItem, Unrecorded, unrecorded_digest};
pub use graph::{Graph, GraphNode};

use crate::id::Digest;
use crate::ledger::{Content, Scope};

/// Why a question has no answer. None of these may be shown as an empty answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A page of a tree is needed and not to be had: the answer would be partial.
    #[error("page {page} of tree {tree} is missing: {reason}")]
    MissingPage {
        /// The tree whose members are asked for.
        tree: Digest,
        /// The page.
        page: Digest,
        /// What the caller says about it.
        reason: String,
    },
    /// The graph has more nodes or edges than 32 bits count.
    #[error("the lineage graph has {actual} {what}, at most {limit} are possible")]
    TooLarge {
        /// Nodes or edges.
        what: &'static str,
        /// How many.
        actual: u64,
        /// The ceiling.
        limit: u64,
    },
    /// Pages of a tree lie in each other deeper than a tree can be.
    #[error("tree {tree} has more than {limit} levels of pages")]
    TooDeep {
        /// The tree.
        tree: Digest,
        /// The ceiling.
        limit: u8,
    },
    /// No recorded version is named so.
    #[error("nothing recorded matches {scope:?}")]
    NoSuchScope {
        /// What was asked for.
        scope: Scope,
    },
    /// No recorded version has this content.
    #[error("nothing recorded has the content {content:?}")]
    NoSuchContent {
        /// What was asked for.
        content: Content,
    },
}
