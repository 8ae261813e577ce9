//! `clade textconv` and `clade merge-driver`: what git shows and merges is pointers; no bytes move.

use super::{Error, Result};
use crate::fsio;
use crate::limits::MAX_POINTER_BYTES;
use crate::manifest::{DirectoryPointer, Parsed, Pointer, parse};
use std::path::Path;

/// What git shows of a file in a diff: its pointer, made from the content where that is given.
pub fn textconv(path: &Path) -> Result<Vec<u8>> {
    let stat = fsio::stat(path)?.ok_or_else(|| Error::not_found(format!("{} is not there", path.display())))?;
    if stat.size_bytes < MAX_POINTER_BYTES as u64 {
        let bytes = fsio::read_limited(path, MAX_POINTER_BYTES as u64)?;
        if bytes.is_empty() || !matches!(parse(&bytes), Parsed::NotAPointer) {
            return Ok(bytes);
        }
        return Ok(pointer_of(&bytes));
    }
    let map = fsio::Map::of(&fsio::File::open(path)?)?;
    Ok(pointer_of(&map))
}

fn pointer_of(bytes: &[u8]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_rayon(bytes);
    Pointer { file_id: hasher.finalize().into(), size_bytes: bytes.len() as u64 }.encode()
}

/// How a merge of one path ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeOutcome {
    /// The file with our version holds the result.
    Merged,
    /// Both sides changed it: our version stays.
    Conflict,
}

/// Merges three pointers: equal or one-sided changes are taken; otherwise ours stays a valid pointer.
pub fn merge(base: &Path, ours: &Path, theirs: &Path) -> Result<MergeOutcome> {
    let read = |path: &Path| -> Result<Vec<u8>> {
        let bytes = fsio::read(path)?;
        // git gives content where a version was committed without the filter.
        Ok(match parse(&bytes[..bytes.len().min(MAX_POINTER_BYTES)]) {
            _ if bytes.is_empty() => bytes,
            Parsed::Pointer(_) | Parsed::Directory(DirectoryPointer { .. }) => bytes,
            _ => pointer_or_content(bytes),
        })
    };
    let (base_bytes, our_bytes, their_bytes) = (read(base)?, read(ours)?, read(theirs)?);
    if our_bytes == their_bytes || their_bytes == base_bytes {
        return Ok(MergeOutcome::Merged);
    }
    if our_bytes == base_bytes {
        fsio::write_atomic_in_place_of(ours, &fsio::read(theirs)?)?;
        return Ok(MergeOutcome::Merged);
    }
    Ok(MergeOutcome::Conflict)
}

fn pointer_or_content(bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < MAX_POINTER_BYTES { bytes } else { pointer_of(&bytes) }
}
