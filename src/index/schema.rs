//! The tables, as a list of steps. A step is never edited or removed once released; the number of steps
//! done is the database's `user_version`.

use super::{Error, Result};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

const STEPS: &[&str] = &["
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE stat_cache(
  worktree TEXT NOT NULL, path BLOB NOT NULL,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
  dev INTEGER NOT NULL, ino INTEGER NOT NULL,
  seen_ns INTEGER NOT NULL, file_id BLOB NOT NULL,
  PRIMARY KEY(worktree, path)) WITHOUT ROWID;
CREATE TABLE pack(
  id BLOB PRIMARY KEY, size INTEGER NOT NULL, digest BLOB, verified_ms INTEGER) WITHOUT ROWID;
CREATE TABLE batch(id BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blob_content(oid TEXT PRIMARY KEY, file_id BLOB NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tree_assets(tree TEXT PRIMARY KEY, versions TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sha256(file_id BLOB PRIMARY KEY, sha256 BLOB NOT NULL) WITHOUT ROWID;
"];

/// Brings the tables to the newest step, in one exclusive transaction.
pub(super) fn migrate(conn: &mut Connection, path: &Path) -> Result<()> {
    let err = |op| move |source| Error::Sqlite { path: path.to_path_buf(), op, source };
    let version = |conn: &Connection| -> Result<i64> {
        conn.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(err("read its version"))
    };
    let known = i64::try_from(STEPS.len()).expect("there are few steps");
    let found = version(conn)?;
    if found == known {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(err("lock it"))?;
    let found = version(&tx)?;
    if found > known {
        return Err(Error::Newer { path: path.to_path_buf(), found, known });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        tx.execute_batch(step).map_err(err("create its tables"))?;
    }
    tx.pragma_update(None, "user_version", known).map_err(err("create its tables"))?;
    tx.commit().map_err(err("create its tables"))
}
