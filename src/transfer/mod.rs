//! Moving bytes between the local store and remotes.
