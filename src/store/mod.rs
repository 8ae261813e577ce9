//! The local chunk store.
