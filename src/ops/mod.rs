//! One file a verb: plain options in, an outcome out. Nothing here prints, asks or ends the process.

pub mod add;
pub mod class;
pub mod doctor;
pub mod drop;
pub mod env;
pub mod error;
pub mod fetching;
pub mod filter;
pub mod flag;
pub mod hook;
pub mod hydrate;
pub mod impact;
mod index_stat;
pub mod init;
pub mod log;
pub mod merge;
pub mod pipeline;
pub mod promote;
pub mod pull;
pub mod push;
pub mod questions;
pub mod remotes;
pub mod restore;
pub mod run;
pub mod run_journal;
pub mod status;
pub mod track;
pub mod verify;

pub use error::{Error, Kind, Result};
