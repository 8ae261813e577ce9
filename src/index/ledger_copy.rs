//! A copy of the ledger's batch files, so that a question does not walk git's trees. The copy belongs to
//! one ledger commit; what has changed since is found by comparing trees.

use super::{Index, Result};
use crate::id::BatchId;
use rusqlite::OptionalExtension as _;

const COMMIT_KEY: &str = "ledger-commit";

impl Index {
    /// The ledger commit that the copy belongs to.
    pub fn ledger_commit(&self) -> Result<Option<String>> {
        self.get_meta(COMMIT_KEY)
    }

    /// Every batch of the copy, by id.
    pub fn batches(&self) -> Result<Vec<(BatchId, Vec<u8>)>> {
        let conn = self.conn();
        let mut query =
            conn.prepare_cached("SELECT id, bytes FROM batch ORDER BY id").map_err(self.err("read the ledger copy"))?;
        let rows = query
            .query_map([], |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, Vec<u8>>(1)?)))
            .map_err(self.err("read the ledger copy"))?;
        let mut out = Vec::new();
        for row in rows {
            let (id, bytes) = row.map_err(self.err("read the ledger copy"))?;
            if let Some(id) = BatchId::from_slice(&id) {
                out.push((id, bytes));
            }
        }
        Ok(out)
    }

    /// Replaces the copy's commit and adds batches to it; with `reset`, all earlier ones are dropped first.
    /// All or nothing.
    pub fn update_batches(&self, commit: &str, reset: bool, added: &[(BatchId, Vec<u8>)]) -> Result<()> {
        let mut conn = self.conn();
        let tx = conn.transaction().map_err(self.err("update the ledger copy"))?;
        let run = || -> rusqlite::Result<()> {
            if reset {
                tx.execute("DELETE FROM batch", [])?;
            }
            let mut insert = tx.prepare_cached("INSERT OR REPLACE INTO batch VALUES (?1, ?2)")?;
            for (id, bytes) in added {
                insert.execute((id.as_bytes().as_slice(), bytes))?;
            }
            tx.execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)", [COMMIT_KEY, commit])?;
            Ok(())
        };
        run().map_err(self.err("update the ledger copy"))?;
        tx.commit().map_err(self.err("update the ledger copy"))
    }

    /// The SHA-256 of a file's bytes, where it was computed before.
    pub fn sha256(&self, file: &crate::id::FileId) -> Result<Option<crate::id::Sha256>> {
        let row: Option<Vec<u8>> = self
            .conn()
            .query_row("SELECT sha256 FROM sha256 WHERE file_id = ?1", [file.as_bytes().as_slice()], |r| r.get(0))
            .optional()
            .map_err(self.err("look up a digest"))?;
        Ok(row.and_then(|b| crate::id::Sha256::from_slice(&b)))
    }

    /// Keeps the SHA-256 of a file's bytes.
    pub fn put_sha256(&self, file: &crate::id::FileId, sha256: &crate::id::Sha256) -> Result<()> {
        self.conn()
            .execute(
                "INSERT OR REPLACE INTO sha256 VALUES (?1, ?2)",
                [file.as_bytes().as_slice(), sha256.as_bytes().as_slice()],
            )
            .map(|_| ())
            .map_err(self.err("keep a digest"))
    }
}
