//! The lineage graph and the questions it answers.
