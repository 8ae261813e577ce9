//! One file a verb: plain options in, an outcome out. Nothing here prints, asks or ends the process.

pub mod error;
pub mod fetching;
pub mod remotes;

pub use error::{Error, Kind, Result};
