//! The packs that the store has written or adopted: what should be on disk, and when it was last read whole.

use super::{Index, Result};
use crate::id::{Digest, PackId};

/// One pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackRow {
    /// Its name.
    pub id: PackId,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// BLAKE3 of the whole file, where it was computed.
    pub digest: Option<Digest>,
    /// When every record was last read and found right, milliseconds since 1970.
    pub verified_ms: Option<u64>,
}

impl Index {
    /// All packs, by name.
    pub fn packs(&self) -> Result<Vec<PackRow>> {
        let conn = self.conn();
        let mut query = conn
            .prepare_cached("SELECT id, size, digest, verified_ms FROM pack ORDER BY id")
            .map_err(self.err("list packs"))?;
        let rows = query
            .query_map([], |r| {
                Ok((
                    r.get::<_, Vec<u8>>(0)?,
                    r.get::<_, i64>(1)?,
                    r.get::<_, Option<Vec<u8>>>(2)?,
                    r.get::<_, Option<i64>>(3)?,
                ))
            })
            .map_err(self.err("list packs"))?;
        let mut out = Vec::new();
        for row in rows {
            let (id, size, digest, verified) = row.map_err(self.err("list packs"))?;
            let Some(id) = PackId::from_slice(&id) else { continue };
            out.push(PackRow {
                id,
                size_bytes: size.cast_unsigned(),
                digest: digest.and_then(|d| Digest::from_slice(&d)),
                verified_ms: verified.map(i64::cast_unsigned),
            });
        }
        Ok(out)
    }

    /// Records packs in one transaction.
    pub fn put_packs(&self, rows: &[PackRow]) -> Result<()> {
        let mut conn = self.conn();
        let tx = conn.transaction().map_err(self.err("record packs"))?;
        for row in rows {
            tx.prepare_cached("INSERT OR REPLACE INTO pack VALUES (?1, ?2, ?3, ?4)")
                .and_then(|mut q| {
                    q.execute((
                        row.id.as_bytes().as_slice(),
                        row.size_bytes.cast_signed(),
                        row.digest.as_ref().map(|d| d.as_bytes().as_slice()),
                        row.verified_ms.map(u64::cast_signed),
                    ))
                })
                .map_err(self.err("record packs"))?;
        }
        tx.commit().map_err(self.err("record packs"))
    }

    /// Forgets a pack.
    pub fn remove_pack(&self, id: &PackId) -> Result<()> {
        self.conn()
            .execute("DELETE FROM pack WHERE id = ?1", [id.as_bytes().as_slice()])
            .map(|_| ())
            .map_err(self.err("forget a pack"))
    }
}
