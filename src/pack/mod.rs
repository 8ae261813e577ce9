//! Packs and index segments.
