//! Open files: whole reads, appends, positional reads.

use super::{Error, Result, fault};
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// An open file that knows its path.
#[derive(Debug)]
pub struct File {
    inner: fs::File,
    path: PathBuf,
}

impl File {
    /// Opens an existing file for reading.
    pub fn open(path: &Path) -> Result<Self> {
        let inner = fs::File::open(path).map_err(|e| Error::io("open", path, e))?;
        Ok(Self { inner, path: path.to_path_buf() })
    }

    /// Creates a file that must not exist, for reading and writing. Its name is not durable yet.
    pub fn create_new(path: &Path) -> Result<Self> {
        fault::point(|| ()).map_err(|e| Error::io("create", path, e))?;
        let inner = fs::File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|e| Error::io("create", path, e))?;
        Ok(Self { inner, path: path.to_path_buf() })
    }

    /// Opens an existing file for reading and writing.
    pub fn open_rw(path: &Path) -> Result<Self> {
        let inner = fs::File::options().read(true).write(true).open(path).map_err(|e| Error::io("open", path, e))?;
        Ok(Self { inner, path: path.to_path_buf() })
    }

    /// Opens a file for reading and appending, and creates it where it is missing.
    pub fn append(path: &Path) -> Result<Self> {
        fault::point(|| ()).map_err(|e| Error::io("open", path, e))?;
        let inner = fs::File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(|e| Error::io("open", path, e))?;
        Ok(Self { inner, path: path.to_path_buf() })
    }

    /// The path that the file was opened with.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The present size in bytes.
    pub fn len(&self) -> Result<u64> {
        let meta = self.inner.metadata().map_err(|e| Error::io("stat", &self.path, e))?;
        Ok(meta.len())
    }

    /// Whether the file has no bytes.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buf` from `offset`; a shorter file is an error.
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.inner.read_exact_at(buf, offset).map_err(|e| Error::io("read", &self.path, e))
    }

    /// Writes all of `buf` at the current position (at the end of a file opened by [`File::append`]).
    pub fn write_all(&mut self, buf: &[u8]) -> Result<()> {
        self.write_inner(buf).map_err(|e| Error::io("write", &self.path, e))
    }

    fn write_inner(&mut self, buf: &[u8]) -> io::Result<()> {
        let mut torn = &self.inner;
        fault::point(|| {
            let _ = torn.write_all(&buf[..buf.len() / 2]);
        })?;
        self.inner.write_all(buf)
    }

    /// Writes all of `buf` at `offset`.
    pub fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        fault::point(|| {
            let _ = self.inner.write_all_at(&buf[..buf.len() / 2], offset);
        })
        .and_then(|()| self.inner.write_all_at(buf, offset))
        .map_err(|e| Error::io("write", &self.path, e))
    }

    /// Cuts or extends the file.
    pub fn set_len(&self, len: u64) -> Result<()> {
        fault::point(|| ()).and_then(|()| self.inner.set_len(len)).map_err(|e| Error::io("resize", &self.path, e))
    }

    /// Makes the content durable, not the name.
    pub fn sync_data(&self) -> Result<()> {
        fault::point(|| ()).and_then(|()| self.inner.sync_data()).map_err(|e| Error::io("write to disk", &self.path, e))
    }

    /// Makes content and metadata durable, not the name.
    pub fn sync_all(&self) -> Result<()> {
        fault::point(|| ()).and_then(|()| self.inner.sync_all()).map_err(|e| Error::io("write to disk", &self.path, e))
    }

    /// Marks the file as in use by this process, until it is closed or the process ends.
    pub fn lock_exclusive(&self) -> Result<()> {
        self.inner.lock().map_err(|e| Error::io("lock", &self.path, e))
    }

    /// Like [`File::lock_exclusive`], but returns `false` at once when another process uses the file.
    pub fn try_lock_exclusive(&self) -> Result<bool> {
        match self.inner.try_lock() {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(e)) => Err(Error::io("lock", &self.path, e)),
        }
    }

    pub(super) fn std(&self) -> &fs::File {
        &self.inner
    }
}

impl Read for File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf)
    }
}

impl Write for File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_inner(buf).map(|()| buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.inner.seek(pos)
    }
}

/// A stream that this process was given, without buffers: for conversations with a parent process.
#[derive(Debug)]
pub struct Pipe(fs::File);

impl Pipe {
    /// The stream behind a descriptor.
    #[must_use]
    pub fn of(fd: std::os::fd::OwnedFd) -> Self {
        Self(fs::File::from(fd))
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All bytes of a file. For files whose size this program chose; others use [`read_limited`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| Error::io("read", path, e))
}

/// All bytes of a file that may be missing.
pub fn read_opt(path: &Path) -> Result<Option<Vec<u8>>> {
    match read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e),
    }
}

/// All bytes of a file with at most `max_bytes`; a larger one is an error and is not read.
pub fn read_limited(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let too_large = |size_bytes| Error::TooLarge { path: path.to_path_buf(), size_bytes, max_bytes };
    let size_bytes = file.len()?;
    if size_bytes > max_bytes {
        return Err(too_large(size_bytes));
    }
    let mut out = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or(0));
    // The file may grow while it is read.
    (&mut file).take(max_bytes.saturating_add(1)).read_to_end(&mut out).map_err(|e| Error::io("read", path, e))?;
    if out.len() as u64 > max_bytes {
        return Err(too_large(out.len() as u64));
    }
    Ok(out)
}
