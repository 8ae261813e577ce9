//! Records and recipes out of packs, verified.

use super::catalog::Place;
use super::{Error, Presence, Result, Store, digest_of};
use crate::codec::{self, Codec};
use crate::fsio::File;
use crate::id::{ChunkId, FileId, PackId};
use crate::limits::{MAX_DEPTH, MAX_FRAME_RAW_BYTES};
use crate::manifest::{Recipe, Term};
use crate::pack::{self, FrameMeta, RecordKey, RecordKind};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

impl Store {
    /// The plain bytes of a record, verified; `None` when no pack lists it. A damaged copy is passed over
    /// when another pack holds a good one, and is an error when none does.
    pub fn record(&self, kind: RecordKind, id: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        self.record_at_depth(&RecordKey::new(kind, *id), 0)
    }

    /// Whether a record is listed in a pack that is there.
    pub fn has(&self, kind: RecordKind, id: &[u8; 32]) -> Result<bool> {
        self.read_catalog().contains(&RecordKey::new(kind, *id))
    }

    fn record_at_depth(&self, key: &RecordKey, depth: u8) -> Result<Option<Vec<u8>>> {
        let mut damage = None;
        let places = self.read_catalog().locate(key)?;
        for place in &places {
            match self.read_frame(&place.path, place.pack, &place.frame, depth) {
                Ok(plain) => {
                    let meta = &place.frame.records[place.record];
                    match plain.get(meta.range()) {
                        Some(bytes) if digest_of(bytes) == meta.plain_digest() => return Ok(Some(bytes.to_vec())),
                        _ => damage = Some(damaged(place, "its digest differs".to_owned())),
                    }
                }
                Err(Error::Fsio(e)) if !e.is_not_found() => return Err(e.into()),
                Err(e) => damage = Some(damaged(place, e.to_string())),
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// The plain bytes of a whole frame. Records in it are not verified yet.
    pub(super) fn read_frame(&self, path: &Path, pack: PackId, meta: &FrameMeta, depth: u8) -> Result<Vec<u8>> {
        let file = File::open(path)?;
        let payload = pack::read_frame(&Reader::of(&file)?, meta).map_err(|e| Error::of_pack(path, e))?;
        self.decode_frame(&payload, pack, meta, depth)
    }

    fn decode_frame(&self, payload: &[u8], pack: PackId, meta: &FrameMeta, depth: u8) -> Result<Vec<u8>> {
        let base = if meta.bases.is_empty() { None } else { Some(self.base_bytes(&meta.bases, depth)?) };
        Codec::try_from(meta.codec)
            .and_then(|codec| codec::decode(codec, payload, meta.raw_len as usize, base.as_deref()))
            .map_err(|e| Error::Damaged {
                kind: meta.records[0].key.kind,
                id: meta.records[0].key.id,
                pack,
                offset: meta.offset,
                reason: e.to_string(),
            })
    }

    /// Decodes a frame that came from elsewhere and compares every record with its id.
    pub(super) fn check_foreign(&self, meta: &FrameMeta, payload: &[u8]) -> Result<()> {
        let nowhere = PackId([0; 16]);
        let plain = self.decode_frame(payload, nowhere, meta, 0)?;
        pack::verify_frame(meta, &plain).map_err(|e| Error::Damaged {
            kind: meta.records[0].key.kind,
            id: meta.records[0].key.id,
            pack: nowhere,
            offset: meta.offset,
            reason: e.to_string(),
        })
    }

    /// Whether a stored frame decodes to its records: asked before it is sent elsewhere.
    #[must_use]
    pub fn is_sound(&self, meta: &FrameMeta, payload: &[u8]) -> bool {
        self.check_foreign(meta, payload).is_ok()
    }

    /// The plain bytes of base chunks, one after the other.
    fn base_bytes(&self, bases: &[ChunkId], depth: u8) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for base in bases {
            // Hostile packs may name each other as bases for ever.
            if depth >= MAX_DEPTH || out.len() > MAX_FRAME_RAW_BYTES * 4 {
                return Err(Error::Missing { kind: RecordKind::DATA, id: base.0 });
            }
            let bytes = self.record_at_depth(&RecordKey::chunk(*base), depth + 1)?;
            out.extend(bytes.ok_or(Error::Missing { kind: RecordKind::DATA, id: base.0 })?);
        }
        Ok(out)
    }

    /// The terms of a file in order; `None` when nothing is known of it. The empty file has none.
    ///
    /// A file of one chunk is its own recipe.
    pub fn terms(&self, file: FileId, size_bytes: u64) -> Result<Option<Vec<Term>>> {
        if size_bytes == 0 {
            return Ok(Some(Vec::new()));
        }
        if let Some(bytes) = self.record(RecordKind::RECIPE, file.as_bytes())? {
            let recipe = Recipe::decode(&bytes)?;
            if recipe.file_id() != file {
                return Err(Error::WrongFile { expected: file, actual: recipe.file_id() });
            }
            let fetch = |id| self.page(id);
            return recipe.terms(fetch).collect::<Result<Vec<_>>>().map(Some);
        }
        if self.has(RecordKind::DATA, file.as_bytes())?
            && let Ok(len_bytes) = u32::try_from(size_bytes)
        {
            return Ok(Some(vec![Term::Chunk { id: ChunkId(file.0), len_bytes }]));
        }
        Ok(None)
    }

    /// The recipe record of a file and its term pages as they are stored; `None` for a file without one.
    pub fn recipe(&self, file: FileId) -> Result<Option<Recipe>> {
        match self.record(RecordKind::RECIPE, file.as_bytes())? {
            Some(bytes) => Ok(Some(Recipe::decode(&bytes)?)),
            None => Ok(None),
        }
    }

    /// Whether all parts of a file are listed in packs that are there. Reads no data.
    pub fn presence(&self, file: FileId, size_bytes: u64) -> Result<Presence> {
        let terms = match self.terms(file, size_bytes) {
            Ok(Some(terms)) => terms,
            Ok(None) => return Ok(Presence::Absent),
            Err(e) if e.is_integrity() => return Ok(Presence::Partial { missing_chunks: 1 }),
            Err(e) => return Err(e),
        };
        let missing_chunks = self.missing_chunks(&terms)?.len() as u64;
        Ok(if missing_chunks == 0 { Presence::Complete } else { Presence::Partial { missing_chunks } })
    }

    /// The chunks of `terms` that no pack lists.
    pub fn missing_chunks(&self, terms: &[Term]) -> Result<BTreeSet<ChunkId>> {
        let catalog = self.read_catalog();
        let mut out = BTreeSet::new();
        for term in terms {
            if let Term::Chunk { id, .. } = term
                && !out.contains(id)
                && !catalog.contains(&RecordKey::chunk(*id))?
            {
                out.insert(*id);
            }
        }
        Ok(out)
    }

    /// A frame of this store that holds `key`, as it is stored: for sending it elsewhere unchanged.
    pub fn stored_frame(&self, key: &RecordKey) -> Result<Option<(Arc<FrameMeta>, Vec<u8>)>> {
        let places = self.read_catalog().locate(key)?;
        for place in &places {
            let file = File::open(&place.path)?;
            if let Ok(payload) = pack::read_frame(&Reader::of(&file)?, &place.frame) {
                return Ok(Some((place.frame.clone(), payload)));
            }
        }
        Ok(None)
    }
}

fn damaged(place: &Place, reason: String) -> Error {
    let key = place.frame.records[place.record].key;
    Error::Damaged { kind: key.kind, id: key.id, pack: place.pack, offset: place.frame.offset, reason }
}

/// A file as the pack room reads one.
struct Reader<'a> {
    file: &'a File,
    len_bytes: u64,
}

impl<'a> Reader<'a> {
    fn of(file: &'a File) -> Result<Self> {
        Ok(Self { file, len_bytes: file.len()? })
    }
}

impl pack::ReadAt for Reader<'_> {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.file.read_exact_at(buf, offset).map_err(|e| match e {
            crate::fsio::Error::Io { source, .. } => source,
            other => std::io::Error::other(other),
        })
    }
}
