//! The integration tests, one binary.

mod architecture;
mod cmd_govern;
mod conform_remote;
mod demo;
mod exit_door;
mod formats_v1;
mod git_filter;
mod git_hooks;
mod git_index_patch;
mod git_partial;
mod support;
