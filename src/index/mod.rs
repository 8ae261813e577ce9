//! The only room that knows SQLite. `clade.db` holds what is slow to find out again: which files were read
//! already, which packs there are, what remotes said, and the batches of the
//! ledger. All of it can be deleted at any time: it is found out again from the working tree, the packs, the
//! remotes and git.

mod git_facts;
mod ledger_copy;
mod packs;
mod schema;
mod stat_cache;

pub use packs::PackRow;
pub use stat_cache::CachedFile;

use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What went wrong with the index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// SQLite refused.
    #[error("index {}: cannot {op}: {source}", path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// The operation, as a verb.
        op: &'static str,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// The database was written by a newer clade.
    #[error("index {} has schema {found}, newer than {known}", path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that is understood.
        known: i64,
    },
    /// A file could not be handled.
    #[error(transparent)]
    Fsio(#[from] crate::fsio::Error),
}

/// The result of a question to the index.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An open index. Calls from several threads take turns; several processes may have it open.
#[derive(Debug)]
pub struct Index {
    conn: Mutex<Connection>,
    path: PathBuf,
}

/// How long a call waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

impl Index {
    /// Opens the database at `path`, or creates it. A file that is damaged, or not a database, is removed
    /// and made anew: nothing is lost by it.
    pub fn open(path: &Path) -> Result<Self> {
        match Self::try_open(path) {
            Err(Error::Sqlite { source, .. }) if is_damage(&source) => {
                Self::delete(path)?;
                Self::try_open(path)
            }
            other => other,
        }
    }

    /// Removes the database's files.
    pub fn delete(path: &Path) -> Result<()> {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            crate::fsio::remove_file(Path::new(&name))?;
        }
        Ok(())
    }

    fn try_open(path: &Path) -> Result<Self> {
        let err = |op| move |source| Error::Sqlite { path: path.to_path_buf(), op, source };
        let mut conn = Connection::open(path).map_err(err("open it"))?;
        conn.busy_timeout(BUSY_TIMEOUT).map_err(err("set it up"))?;
        // The write-ahead log needs shared memory, which network file systems do not have.
        let journal = if crate::fsio::is_network(path) { "DELETE" } else { "WAL" };
        conn.pragma_update(None, "journal_mode", journal).map_err(err("set it up"))?;
        conn.pragma_update(None, "synchronous", "NORMAL").map_err(err("set it up"))?;
        schema::migrate(&mut conn, path)?;
        Ok(Self { conn: Mutex::new(conn), path: path.to_path_buf() })
    }

    fn conn(&self) -> MutexGuard<'_, Connection> {
        // A panic in another thread cannot leave a transaction half done: dropping it rolls it back.
        self.conn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn err(&self, op: &'static str) -> impl Fn(rusqlite::Error) -> Error + '_ {
        move |source| Error::Sqlite { path: self.path.clone(), op, source }
    }

    /// A value kept under `key`.
    pub fn get_meta(&self, key: &str) -> Result<Option<String>> {
        use rusqlite::OptionalExtension as _;
        self.conn()
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(self.err("read a value"))
    }

    /// Keeps a value under `key`.
    pub fn set_meta(&self, key: &str, value: &str) -> Result<()> {
        self.conn()
            .execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)", [key, value])
            .map(|_| ())
            .map_err(self.err("keep a value"))
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_replaced() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("clade.db");
        Index::open(&path).expect("creates").set_meta("k", "v").expect("keeps");
        assert_eq!(Index::open(&path).expect("opens").get_meta("k").expect("reads").as_deref(), Some("v"));
        crate::fsio::write_atomic(&path, &[7; 9000]).expect("overwrites");
        assert_eq!(Index::open(&path).expect("replaces").get_meta("k").expect("reads"), None);
    }
}
