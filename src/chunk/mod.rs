//! Chunk boundaries, without I/O.
