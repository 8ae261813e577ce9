//! What several test modules share.

pub(crate) mod git_env;
pub(crate) mod world;
