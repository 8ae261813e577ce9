//! Reversible encodings of chunks.
