//! Layouts of tensor files.
