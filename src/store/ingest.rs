//! Files in: cut, looked up, encoded, appended.

use super::feed::{self, Piece, Source, Window};
use super::sink::{Sink, open_path};
use super::{Error, Result, Store};
use crate::chunk::{Class, Profile};
use crate::codec::{self, Encoded};
use crate::fsio::{self, File, Stat};
use crate::id::{ChunkId, FileId, PackId};
use crate::index::PackRow;
use crate::limits::{META_PACK_TARGET_BYTES, PACK_TARGET_BYTES};
use crate::manifest::{Page, RecipeBuilder};
use crate::pack::{FrameGrouper, FrameMeta, FramePolicy, FrameSpec, PlainFrame, RecordKey, RecordKind};
use crate::progress::{Interrupt, Progress};
use crate::tensor::Element;
use rayon::prelude::*;
use std::collections::HashSet;
use std::path::Path;

/// How a session makes its work durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// Once, at the end: for a command that reports at the end.
    Batch,
    /// After every file: for git's filter, which reports each file, and may be killed between two.
    PerFile,
}

/// What is known of a file after it was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ingested {
    /// BLAKE3 of its bytes.
    pub file_id: FileId,
    /// Its length.
    pub size_bytes: u64,
    /// Plain bytes that the store did not have before.
    pub new_bytes: u64,
    /// Bytes that were appended to packs for it.
    pub stored_bytes: u64,
}

/// What a session added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionOutcome {
    /// Files taken in.
    pub file_count: u64,
    /// Their plain bytes.
    pub size_bytes: u64,
    /// Plain bytes that the store did not have before.
    pub new_bytes: u64,
    /// Bytes of the packs that were written.
    pub stored_bytes: u64,
    /// The packs that were written.
    pub packs: Vec<PackId>,
}

/// Takes files in. What it stored counts once [`Session::finish`] returned, or for
/// [`SessionKind::PerFile`] once [`Session::add`] did. A dropped session loses nothing that was reported.
pub struct Session<'a> {
    store: &'a Store,
    kind: SessionKind,
    profile: Profile,
    data: Option<Sink>,
    meta: Option<Sink>,
    pending_meta: FrameGrouper,
    /// Keys of metadata of this session, in the open group or already appended.
    pending_keys: HashSet<RecordKey>,
    rows: Vec<PackRow>,
    outcome: SessionOutcome,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
}

/// Where frames go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Data,
    Meta,
}

impl Store {
    /// Begins taking files in.
    pub fn session<'a>(
        &'a self,
        kind: SessionKind,
        progress: &'a dyn Progress,
        interrupt: &'a Interrupt,
    ) -> Session<'a> {
        Session {
            store: self,
            kind,
            profile: Profile::One,
            data: None,
            meta: None,
            pending_meta: FrameGrouper::new(FramePolicy::small_records()),
            pending_keys: HashSet::new(),
            rows: Vec::new(),
            outcome: SessionOutcome::default(),
            progress,
            interrupt,
        }
    }
}

impl Session<'_> {
    /// Takes in a file of the working tree. Returns what it held, and what the file system said before it
    /// was read and still said afterwards; a file that was changed meanwhile is an error.
    pub fn add_path(&mut self, path: &Path) -> Result<(Ingested, Stat)> {
        let changed = || Error::Changed { path: path.to_path_buf() };
        let before = fsio::stat(path)?.ok_or_else(changed)?;
        let out = self.add(Source::File(File::open(path)?))?;
        let after = fsio::stat(path)?.ok_or_else(changed)?;
        if before != after || out.size_bytes != after.size_bytes {
            return Err(changed());
        }
        Ok((out, after))
    }

    /// Takes in everything that `source` gives.
    pub fn add(&mut self, mut source: Source<'_>) -> Result<Ingested> {
        let mut hasher = blake3::Hasher::new();
        let mut recipe = RecipeBuilder::new(self.profile.number());
        let (mut new_bytes, mut stored_bytes) = (0, 0);
        let mut pages: Vec<Page> = Vec::new();
        let profile = self.profile;
        feed::for_each_window(&mut source, profile, |window| {
            self.interrupt.check()?;
            let consumed = &window.bytes[..window.consumed];
            let ((), stored) = rayon::join(
                || {
                    hasher.update_rayon(consumed);
                },
                || self.store_window(&window, &mut recipe),
            );
            let (new, stored) = stored?;
            new_bytes += new;
            stored_bytes += stored;
            pages.extend(recipe.take_pages());
            self.progress.bytes(window.consumed as u64);
            Ok(())
        })?;
        let file_id = FileId::from(hasher.finalize());
        let size_bytes = recipe.size_bytes();
        let built = recipe.finish(file_id)?;
        pages.extend(built.pages);
        if let Some(recipe) = built.recipe
            && !self.knows(&RecordKey::recipe(file_id))?
        {
            for page in pages {
                self.push_meta(RecordKey::page(page.id), page.bytes)?;
            }
            self.push_meta(RecordKey::recipe(file_id), recipe.encode())?;
        }
        if self.kind == SessionKind::PerFile {
            self.flush_meta()?;
            self.sync()?;
        }
        self.progress.items(1);
        self.outcome.file_count += 1;
        self.outcome.size_bytes += size_bytes;
        self.outcome.new_bytes += new_bytes;
        Ok(Ingested { file_id, size_bytes, new_bytes, stored_bytes })
    }

    /// Stores a metadata page.
    pub fn add_page(&mut self, page: &Page) -> Result<()> {
        let key = RecordKey::page(page.id);
        if !self.knows(&key)? {
            self.push_meta(key, page.bytes.clone())?;
        }
        Ok(())
    }

    /// Makes everything durable, gives packs their names and indexes them.
    pub fn finish(mut self) -> Result<SessionOutcome> {
        self.flush_meta()?;
        for lane in [Lane::Data, Lane::Meta] {
            if let Some(sink) = self.slot(lane).take() {
                self.close(sink)?;
            }
        }
        if !self.rows.is_empty() {
            self.store.index_packs(&self.rows)?;
        }
        Ok(std::mem::take(&mut self.outcome))
    }

    /// Appends the chunks of a window that the store does not have. Returns their plain and stored bytes.
    fn store_window(&mut self, window: &Window<'_>, recipe: &mut RecipeBuilder) -> Result<(u64, u64)> {
        let ids: Vec<Option<ChunkId>> = window
            .pieces
            .par_iter()
            .map(|piece| match *piece {
                Piece::Chunk { start, len, .. } => Some(ChunkId::of(&window.bytes[start..start + len])),
                Piece::Hole { .. } => None,
            })
            .collect();
        let mut fresh: Vec<(ChunkId, &[u8], codec::Hint)> = Vec::new();
        let mut in_window = HashSet::new();
        for (piece, id) in window.pieces.iter().zip(&ids) {
            match (*piece, id) {
                (Piece::Chunk { start, len, class }, Some(id)) => {
                    recipe.push_chunk(*id, len)?;
                    if !in_window.contains(id) && !self.knows(&RecordKey::chunk(*id))? {
                        in_window.insert(*id);
                        fresh.push((*id, &window.bytes[start..start + len], hint_of(class)));
                    }
                }
                (Piece::Hole { len }, _) => recipe.push_hole(len)?,
                (Piece::Chunk { .. }, None) => unreachable!("every chunk has an id"),
            }
        }
        let new_bytes = fresh.iter().map(|(_, bytes, _)| bytes.len() as u64).sum();
        let mut grouper = FrameGrouper::new(FramePolicy::small_records());
        let mut frames: Vec<(PlainFrame<'_>, codec::Hint)> = Vec::new();
        let mut hint = codec::Hint::Plain;
        for (id, bytes, next_hint) in fresh {
            if next_hint != hint {
                frames.extend(grouper.flush().map(|f| (f, hint)));
                hint = next_hint;
            }
            frames.extend(grouper.push(RecordKey::chunk(id), bytes).into_iter().map(|f| (f, hint)));
        }
        frames.extend(grouper.flush().map(|f| (f, hint)));
        let stored = self.append(Lane::Data, &frames)?;
        Ok((new_bytes, stored))
    }

    /// Encodes frames on all cores and appends them in order. Returns the stored bytes.
    fn append(&mut self, lane: Lane, frames: &[(PlainFrame<'_>, codec::Hint)]) -> Result<u64> {
        let encoded: Vec<Encoded<'_>> =
            frames.par_iter().map(|(frame, hint)| codec::encode(*hint, &frame.plain)).collect();
        let mut stored = 0;
        for ((frame, _), encoded) in frames.iter().zip(encoded) {
            stored += encoded.payload.len() as u64;
            self.append_encoded(lane, frame, &encoded)?;
        }
        Ok(stored)
    }

    fn append_encoded(&mut self, lane: Lane, frame: &PlainFrame<'_>, encoded: &Encoded<'_>) -> Result<()> {
        let spec = FrameSpec::with_records(encoded.codec.number(), 0, Vec::new(), frame.records.clone());
        self.append_spec(lane, spec, &encoded.payload)
    }

    fn append_spec(&mut self, lane: Lane, spec: FrameSpec, payload: &[u8]) -> Result<()> {
        // A session that reports after every file writes one pack, so that one sync covers all of it.
        let lane = if self.kind == SessionKind::PerFile { Lane::Data } else { lane };
        let target = if lane == Lane::Data { PACK_TARGET_BYTES } else { META_PACK_TARGET_BYTES };
        if let Some(full) = self.slot(lane).take_if(|sink| sink.is_full(target)) {
            self.close(full)?;
        }
        if self.slot(lane).is_none() {
            let sink = Sink::create(&self.store.dir)?;
            *self.slot(lane) = Some(sink);
        }
        let sink = self.slot(lane).as_mut().expect("it was just made");
        let meta = sink.append(spec, payload)?;
        let id = sink.id();
        let path = open_path(&self.store.dir, &id);
        self.store.write_catalog().note_open(id, &path, meta);
        Ok(())
    }

    fn push_meta(&mut self, key: RecordKey, bytes: Vec<u8>) -> Result<()> {
        self.pending_keys.insert(key);
        let full = self.pending_meta.push(key, &bytes);
        let frames: Vec<_> = full.into_iter().map(|f| (f, codec::Hint::Plain)).collect();
        self.append(Lane::Meta, &frames).map(|_| ())
    }

    fn flush_meta(&mut self) -> Result<()> {
        let frames: Vec<_> = self.pending_meta.flush().map(|f| (f, codec::Hint::Plain)).into_iter().collect();
        self.append(Lane::Meta, &frames).map(|_| ())
    }

    fn sync(&mut self) -> Result<()> {
        for sink in [&mut self.data, &mut self.meta].into_iter().flatten() {
            sink.sync()?;
        }
        Ok(())
    }

    fn close(&mut self, sink: Sink) -> Result<()> {
        let row = sink.finish()?;
        self.store.write_catalog().note_finished(&self.store.dir, &row);
        self.outcome.stored_bytes += row.size_bytes;
        self.outcome.packs.push(row.id);
        self.rows.push(row);
        Ok(())
    }

    fn slot(&mut self, lane: Lane) -> &mut Option<Sink> {
        match lane {
            Lane::Data => &mut self.data,
            Lane::Meta => &mut self.meta,
        }
    }

    fn knows(&self, key: &RecordKey) -> Result<bool> {
        Ok(self.pending_keys.contains(key) || self.store.has(key.kind, &key.id)?)
    }

    /// Takes in a frame from elsewhere as it is encoded there, after decoding it and comparing every record
    /// with its id. Returns whether it held anything new. Its bases must be in the store already. With `again`
    /// it is taken although its records are listed: to replace damaged ones.
    pub fn add_frame(&mut self, meta: &FrameMeta, payload: &[u8], again: bool) -> Result<bool> {
        self.interrupt.check()?;
        let mut fresh = again;
        for record in &meta.records {
            fresh |= !self.knows(&record.key)?;
        }
        if fresh {
            self.store.check_foreign(meta, payload)?;
            let data = meta.records[0].key.kind == RecordKind::DATA;
            self.append_spec(if data { Lane::Data } else { Lane::Meta }, meta.to_spec(), payload)?;
        }
        Ok(fresh)
    }

    /// Stores a record of a kind other than data.
    pub fn add_record(&mut self, kind: RecordKind, id: [u8; 32], bytes: &[u8]) -> Result<()> {
        let key = RecordKey::new(kind, id);
        if !self.knows(&key)? {
            self.push_meta(key, bytes.to_vec())?;
        }
        Ok(())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // Open packs that were reported stay for the next process to adopt. Others hold nothing that anyone
        // was told of; what they hold must not be taken for stored by this process.
        if self.kind == SessionKind::Batch {
            for sink in [self.data.take(), self.meta.take()].into_iter().flatten() {
                self.store.write_catalog().note_discarded(&sink.id());
                let _ = sink.discard();
            }
        }
    }
}

/// What a chunk's class says to the codecs.
fn hint_of(class: Class) -> codec::Hint {
    match class {
        Class::Plain => codec::Hint::Plain,
        Class::Tensor(Element::Float { bytes }) => codec::Hint::Float { bytes },
        Class::Tensor(_) => codec::Hint::Opaque,
    }
}
