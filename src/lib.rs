//! clade: Git-native versioning and lineage for machine-learning models and datasets.

pub mod chunk;
pub mod clock;
pub mod codec;
pub mod fsio;
pub mod git;
pub mod id;
pub mod index;
pub mod ledger;
pub mod limits;
pub mod lineage;
pub mod manifest;
pub mod ops;
pub mod pack;
pub mod process;
pub mod progress;
pub mod remote;
pub mod repo;
pub mod store;
pub mod tensor;
pub mod transfer;
