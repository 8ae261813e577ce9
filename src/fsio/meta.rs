//! Names, folders and metadata.

use super::{Error, Result, fault};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// What kind of thing a path names, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatKind {
    /// An ordinary file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

/// What the file system says about a path, links not followed. Equal values mean "not touched since", as
/// far as the clock's grain allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The kind.
    pub kind: StatKind,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Time of the last change of content, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Time of the last change of metadata, nanoseconds since 1970.
    pub ctime_ns: i128,
    /// Device number.
    pub dev: u64,
    /// Number of the file on its device.
    pub ino: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Stat {
    fn of(meta: &fs::Metadata) -> Self {
        let t = meta.file_type();
        let kind = if t.is_file() {
            StatKind::File
        } else if t.is_dir() {
            StatKind::Dir
        } else if t.is_symlink() {
            StatKind::Symlink
        } else {
            StatKind::Other
        };
        let ns = |s: i64, n: i64| i128::from(s) * 1_000_000_000 + i128::from(n);
        Self {
            kind,
            size_bytes: meta.len(),
            mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
            dev: meta.dev(),
            ino: meta.ino(),
            mode: meta.mode(),
            uid: meta.uid(),
            gid: meta.gid(),
        }
    }

    /// Whether the owner may execute it.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }
}

/// What is at `path`, without following a link; `None` when nothing is.
pub fn stat(path: &Path) -> Result<Option<Stat>> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(Stat::of(&meta))),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(Error::io("stat", path, e)),
    }
}

/// Whether something is at `path`; a path that cannot be looked at counts as absent.
#[must_use]
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The path without links, `.` and `..`; `None` when it does not exist.
#[must_use]
pub fn real_path(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

/// Whether `path` is a folder, links followed.
#[must_use]
pub fn is_dir(path: &Path) -> bool {
    path.is_dir()
}

/// Creates a folder and those above it.
pub fn create_dir_all(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| Error::io("create the folder", path, e))
}

/// Removes a file or link; one that is missing is no error.
pub fn remove_file(path: &Path) -> Result<()> {
    fault::point(|| ()).map_err(|e| Error::io("remove", path, e))?;
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("remove", path, e)),
    }
}

/// Removes a folder with all that is in it; one that is missing is no error.
pub fn remove_dir_all(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("remove", path, e)),
    }
}

/// Moves a file over another name in one step. Neither name is durable until its folder is synced.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fault::point(|| ()).and_then(|()| fs::rename(from, to)).map_err(|e| Error::io("rename to", to, e))
}

/// Makes the names in a folder durable.
pub fn sync_dir(path: &Path) -> Result<()> {
    fault::point(|| ())
        .and_then(|()| fs::File::open(path))
        .and_then(|d| d.sync_all())
        .map_err(|e| Error::io("write to disk", path, e))
}

/// Makes everything durable that was written to the file system that holds `path`.
pub fn sync_file_system(path: &Path) -> Result<()> {
    fault::point(|| ()).map_err(|e| Error::io("write to disk", path, e))?;
    #[cfg(target_os = "linux")]
    {
        let dir = fs::File::open(path).map_err(|e| Error::io("open", path, e))?;
        rustix::fs::syncfs(&dir).map_err(|e| Error::io("write to disk", path, e.into()))
    }
    #[cfg(not(target_os = "linux"))]
    {
        rustix::fs::sync();
        Ok(())
    }
}

/// The names in a folder, sorted by their bytes; none for a folder that is missing.
pub fn list_dir(path: &Path) -> Result<Vec<std::ffi::OsString>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list", path, e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(|e| Error::io("list", path, e))?.file_name());
    }
    names.sort();
    Ok(names)
}

/// Where a symbolic link points.
pub fn read_link(path: &Path) -> Result<PathBuf> {
    fs::read_link(path).map_err(|e| Error::io("read the link", path, e))
}

/// Creates a symbolic link at `path` that points to `target`.
pub fn symlink(target: &Path, path: &Path) -> Result<()> {
    fault::point(|| ()).and_then(|()| std::os::unix::fs::symlink(target, path)).map_err(|e| Error::io("link", path, e))
}

/// Sets the permission bits.
pub fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|e| Error::io("set the mode of", path, e))
}

/// Sets the time of the last change of content, in nanoseconds since 1970.
pub fn set_mtime_ns(path: &Path, mtime_ns: u64) -> Result<()> {
    let time = UNIX_EPOCH + Duration::from_nanos(mtime_ns);
    fs::File::options()
        .write(true)
        .open(path)
        .and_then(|f| f.set_times(fs::FileTimes::new().set_modified(time)))
        .map_err(|e| Error::io("set the time of", path, e))
}

/// Copies a file to a name that does not exist, sharing its blocks on disk where the file system can.
/// Returns whether they are shared.
pub fn copy_or_reflink(from: &Path, to: &Path) -> Result<bool> {
    fault::point(|| ()).map_err(|e| Error::io("copy to", to, e))?;
    match reflink_copy::reflink_or_copy(from, to) {
        Ok(copied) => Ok(copied.is_none()),
        Err(e) => Err(Error::io("copy to", to, e)),
    }
}

/// Bytes that an ordinary user can still write on the file system that holds `path`.
pub fn disk_free_bytes(path: &Path) -> Result<u64> {
    let s = rustix::fs::statvfs(path).map_err(|e| Error::io("look at the disk of", path, e.into()))?;
    Ok(s.f_bavail.saturating_mul(s.f_frsize))
}

/// The machine's memory in bytes, where the system tells (Linux); else `None`.
#[must_use]
pub fn memory_total_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Whether `path` (or, while it does not exist, its folder) lies on a network file system. Only known on Linux.
#[must_use]
pub fn is_network(path: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        // From `linux/magic.h` and the file systems' own sources.
        const NFS: i64 = 0x6969;
        const SMB: i64 = 0x517b;
        const SMB2: i64 = 0xfe53_4d42;
        const CIFS: i64 = 0xff53_4d42;
        const FUSE: i64 = 0x6573_5546;
        const V9FS: i64 = 0x0102_1997;
        let found = rustix::fs::statfs(path).or_else(|_| rustix::fs::statfs(super::atomic::parent(path)));
        found.is_ok_and(|s| [NFS, SMB, SMB2, CIFS, FUSE, V9FS].contains(&s.f_type))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}
