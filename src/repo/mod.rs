//! The handle on a repository.
