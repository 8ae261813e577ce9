//! zstd frames, with contexts that each thread keeps: making one costs as much as a small chunk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use zstd::bulk::{Compressor, Decompressor};

thread_local! {
    static COMPRESSORS: RefCell<BTreeMap<i32, Compressor<'static>>> = const { RefCell::new(BTreeMap::new()) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A saving below this part of the plain bytes is not worth decoding.
const LEAST_SAVING: usize = 64;

/// One frame with its content size and without a checksum, or `None` when that would not save enough.
pub(super) fn encode(level: i32, plain: &[u8]) -> Option<Vec<u8>> {
    // Running out of room ends the work early on bytes that do not shrink.
    let room = plain.len() - plain.len() / LEAST_SAVING;
    let mut out = Vec::with_capacity(room);
    COMPRESSORS.with_borrow_mut(|by_level| {
        let compressor = match by_level.entry(level) {
            Entry::Occupied(kept) => kept.into_mut(),
            Entry::Vacant(free) => free.insert(Compressor::new(level).ok()?),
        };
        compressor.compress_to_buffer(plain, &mut out).ok()
    })?;
    // The allocator may give more capacity than asked for.
    (out.len() <= room).then_some(out)
}

/// The content of the frames in `payload`; `None` when they are damaged or longer than `raw_bytes`.
pub(super) fn decode(payload: &[u8], raw_bytes: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = Some(Decompressor::new().ok()?);
        }
        let mut out = Vec::with_capacity(raw_bytes);
        kept.as_mut()?.decompress_to_buffer(payload, &mut out).ok()?;
        Some(out)
    })
}
