//! Files mapped into memory for reading.

use super::{Error, File, Result};
use std::ops::Deref;
use std::path::Path;

/// The bytes of a file, mapped. Empty files have no mapping and read as no bytes.
#[derive(Debug)]
pub struct Map {
    inner: Option<memmap2::Mmap>,
}

impl Map {
    /// Maps a file of this program's own that is never changed in place (packs, segments).
    pub fn open(path: &Path) -> Result<Self> {
        Self::of(&File::open(path)?)
    }

    /// Maps an open file. If another program shortens the file meanwhile, reading it ends the process with
    /// a bus error, so files of the user are mapped only where that loses nothing.
    #[expect(
        unsafe_code,
        reason = "mapping is the one thing that needs it; the bytes are only read and always verified"
    )]
    pub fn of(file: &File) -> Result<Self> {
        if file.is_empty()? {
            return Ok(Self { inner: None });
        }
        // SAFETY: the map is read-only and its bytes are treated as untrusted: nothing relies on them
        // staying the same between two reads.
        let map = unsafe { memmap2::Mmap::map(file.std()) }.map_err(|e| Error::io("map", file.path(), e))?;
        Ok(Self { inner: Some(map) })
    }

    /// Tells the system that the map will be read from front to back.
    pub fn advise_sequential(&self) {
        if let Some(map) = &self.inner {
            let _ = map.advise(memmap2::Advice::Sequential);
        }
    }
}

impl Deref for Map {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.inner.as_deref().unwrap_or(&[])
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
