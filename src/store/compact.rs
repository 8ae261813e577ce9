//! Index segments: one for the packs of each session, united when they become many.

use super::{Error, Result, Store};
use crate::fsio::{self, Map};
use crate::id::{PackId, SegmentId};
use crate::index::PackRow;
use crate::pack::segment::{Check, Segment};
use std::path::PathBuf;

/// With more segments than this, they are united.
const MAX_SEGMENTS: usize = 8;

impl Store {
    /// Writes a segment over finished packs, and records them in the catalog. Durable when it returns.
    pub(super) fn index_packs(&self, rows: &[PackRow]) -> Result<()> {
        self.write_segment(rows.iter().map(|r| r.id).collect(), &[])?;
        self.index.put_packs(rows)?;
        self.unite_segments()
    }

    fn unite_segments(&self) -> Result<()> {
        let (paths, packs) = {
            let catalog = self.read_catalog();
            if catalog.segments().len() <= MAX_SEGMENTS {
                return Ok(());
            }
            let missing = catalog.missing();
            let paths: Vec<PathBuf> = catalog.segments().iter().map(|(p, _)| p.clone()).collect();
            let packs: Vec<PackId> = catalog.packs().map(|(id, ..)| *id).filter(|id| !missing.contains(id)).collect();
            (paths, packs)
        };
        self.write_segment(packs, &paths)?;
        for path in paths {
            fsio::remove_file(&path)?;
        }
        Ok(())
    }

    fn write_segment(&self, packs: Vec<PackId>, replaced: &[PathBuf]) -> Result<()> {
        let id = SegmentId::new_v7();
        let path = self.dir.join("segments").join(format!("{id}.seg"));
        let err = |source| Error::Pack { path: path.clone(), source };
        let bytes = self.read_catalog().build_segment(packs)?.finish(id).map_err(err)?;
        fsio::write_atomic(&path, &bytes)?;
        let segment = Segment::open(Map::open(&path)?, Check::Quick).map_err(err)?;
        self.write_catalog().swap_segments(replaced, path.clone(), segment);
        Ok(())
    }

    /// Takes a finished pack from elsewhere into the store: `bytes` are written, read back and indexed.
    pub fn adopt_pack(&self, id: PackId, bytes: &[u8]) -> Result<()> {
        let path = super::sink::pack_path(&self.dir, &id);
        let err = |source| Error::Pack { path: path.clone(), source };
        let footer = crate::pack::read_footer(bytes).map_err(err)?;
        if footer.pack_id() != id {
            return Err(err(crate::pack::Error::Magic { what: "pack of this name" }));
        }
        fsio::write_atomic(&path, bytes)?;
        let row = PackRow {
            id,
            size_bytes: bytes.len() as u64,
            digest: Some(crate::id::Digest::of(bytes)),
            verified_ms: None,
        };
        self.write_catalog().note_finished(&self.dir, &row);
        self.index_packs(&[row])
    }
}
