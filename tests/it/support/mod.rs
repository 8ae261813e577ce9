//! What several test modules share.

pub(crate) mod git_env;
