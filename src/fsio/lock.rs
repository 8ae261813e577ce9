//! Locks between processes. The system drops a lock when its holder ends, however it ends, so no lock is
//! ever stale and none needs to be removed by hand.

use super::{Error, Result};
use crate::clock::Stopwatch;
use std::fs;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A held lock; dropping it releases it.
#[derive(Debug)]
#[must_use = "the lock is released when this value is dropped"]
pub struct Lock {
    _file: fs::File,
    path: PathBuf,
}

impl Lock {
    /// Takes the exclusive lock on `path`, which is created where it is missing, and waits at most
    /// `timeout` for another holder. `purpose` is what others are told while it is held.
    pub fn acquire(path: &Path, timeout: Duration, purpose: &str) -> Result<Self> {
        let mut file = fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| Error::io("open the lock", path, e))?;
        let start = Stopwatch::start();
        let mut pause = Duration::from_millis(1);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(fs::TryLockError::WouldBlock) if start.elapsed() < timeout => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
                Err(fs::TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let _ = (&mut file).take(200).read_to_string(&mut holder);
                    let holder = match holder.trim() {
                        "" => "another process".to_owned(),
                        text => text.to_owned(),
                    };
                    return Err(Error::Locked { path: path.to_path_buf(), holder, waited: start.elapsed() });
                }
                Err(fs::TryLockError::Error(e)) => return Err(Error::io("lock", path, e)),
            }
        }
        // Only for messages: a failure to write it is no reason to stop.
        let _ = file.set_len(0);
        let _ = file.rewind();
        let _ = writeln!(file, "process {} ({purpose})", std::process::id());
        Ok(Self { _file: file, path: path.to_path_buf() })
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("lock");
        let held = Lock::acquire(&path, Duration::ZERO, "first").expect("free");
        let err = Lock::acquire(&path, Duration::from_millis(5), "second").expect_err("held");
        assert!(err.to_string().contains("(first)"), "{err}");
        drop(held);
        let _again = Lock::acquire(&path, Duration::ZERO, "third").expect("free again");
    }
}
