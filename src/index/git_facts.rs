//! What blobs and trees of git hold: never changes, only slow to find out.

use super::{Index, Result};
use crate::id::FileId;
use rusqlite::OptionalExtension as _;

impl Index {
    /// File id and size in bytes of a blob, where they were found out before.
    pub fn blob_content(&self, oid: &str) -> Result<Option<(FileId, u64)>> {
        let row: Option<(Vec<u8>, i64)> = self
            .conn()
            .query_row("SELECT file_id, size FROM blob_content WHERE oid = ?1", [oid], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()
            .map_err(self.err("look up a blob"))?;
        Ok(row.and_then(|(id, size)| Some((FileId::from_slice(&id)?, size.cast_unsigned()))))
    }

    /// Keeps file id and size of a blob.
    pub fn put_blob_content(&self, oid: &str, id: FileId, size_bytes: u64) -> Result<()> {
        self.conn()
            .execute(
                "INSERT OR REPLACE INTO blob_content VALUES (?1, ?2, ?3)",
                (oid, id.as_bytes().as_slice(), size_bytes.cast_signed()),
            )
            .map(|_| ())
            .map_err(self.err("keep a blob"))
    }

    /// What was kept of a tree's assets.
    pub fn tree_assets(&self, tree: &str) -> Result<Option<String>> {
        self.conn()
            .query_row("SELECT versions FROM tree_assets WHERE tree = ?1", [tree], |r| r.get(0))
            .optional()
            .map_err(self.err("look up a tree"))
    }

    /// Keeps a tree's assets.
    pub fn put_tree_assets(&self, tree: &str, versions: &str) -> Result<()> {
        self.conn()
            .execute("INSERT OR REPLACE INTO tree_assets VALUES (?1, ?2)", [tree, versions])
            .map(|_| ())
            .map_err(self.err("keep a tree"))
    }
}
