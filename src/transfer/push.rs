//! From the local store to a remote: plan, upload, commit.

use super::view::{Found, RemoteView};
use super::{Error, Result, fetch};
use crate::codec::{self, Hint};
use crate::id::{BatchId, ContentId, Digest, FileId, PackId, PageId, SegmentId, WriterId};
use crate::limits::{META_PACK_TARGET_BYTES, PACK_TARGET_BYTES};
use crate::manifest::Term;
use crate::pack::segment::SegmentBuilder;
use crate::pack::{self, Footer, FrameSpec, RecordKey, RecordKind};
use crate::progress::{Interrupt, Progress};
use crate::remote::{
    self, AssetEntry, Commit, EnvMove, FrameRef, GitRef, InlineRecord, PackPlace, PackRef, PackUse, PushBody,
    PushDecision, RecordPlace, Root, SegmentRef, Session,
};
use crate::store::Store;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// A version that should be complete at the remote.
#[derive(Debug, Clone)]
pub struct PushRoot {
    /// The asset's name.
    pub asset: String,
    /// `model`, `dataset`, `pipeline` or `golden`.
    pub kind: String,
    /// The version.
    pub content: ContentId,
    /// Its files, each once, with their sizes; empty files may be left out.
    pub files: Vec<fetch::Wanted>,
    /// The pages of its tree; none for a file.
    pub pages: Vec<PageId>,
}

/// What a push carries besides roots, and how it goes about it.
pub struct PushOptions<'a> {
    /// Which clone pushes.
    pub writer: WriterId,
    /// The clone's clock.
    pub now_ms: u64,
    /// Git refs as they will be after the push.
    pub git: Vec<GitRef>,
    /// Ledger batches, with their bytes. Those that the remote has are not sent.
    pub ledger: Vec<(BatchId, Vec<u8>)>,
    /// Environments as they are.
    pub envs: Vec<EnvMove>,
    /// Plan only: nothing is written.
    pub dry_run: bool,
    /// Where progress goes.
    pub progress: &'a dyn Progress,
    /// Asked between packs.
    pub interrupt: &'a Interrupt,
}

/// What a push did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct PushOutcome {
    /// Versions that the remote did not have.
    pub new_roots: u64,
    /// Records that were sent.
    pub record_count: u64,
    /// Their plain bytes.
    pub plain_bytes: u64,
    /// Bytes of the packs that were sent.
    pub sent_bytes: u64,
    /// Packs that were sent.
    pub pack_count: u64,
    /// The log entry that committed it; none when the remote had everything already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// Attempts before a push gives up because others condemn what it relies on, or fence it.
const MAX_ATTEMPTS: u32 = 5;

/// Makes `roots` complete at the remote and commits them. When it returns, everything is durable there and in
/// the log; only then may refs move. Nothing is deleted on failure: a later push goes on from what is there.
pub fn push(
    view: &mut RemoteView,
    store: &Store,
    roots: &[PushRoot],
    options: &PushOptions<'_>,
) -> Result<PushOutcome> {
    for _ in 0..MAX_ATTEMPTS {
        let plan = Plan::make(view, store, roots, options)?;
        if options.dry_run || plan.is_empty() {
            return Ok(plan.outcome());
        }
        match plan.execute(view, store, options) {
            Err(Error::Remote {
                source: remote::Error::Fenced { .. } | remote::Error::PackNotUsable { .. }, ..
            }) => {
                view.refresh()?;
            }
            other => return other,
        }
    }
    Err(Error::TooManyRaces { location: view.location().to_owned(), attempts: MAX_ATTEMPTS })
}

/// What is to be done.
struct Plan<'a> {
    /// Roots that are not in the log, by their place in the input.
    new_roots: Vec<&'a PushRoot>,
    /// Records to send: metadata and data apart.
    meta: Vec<(RecordKey, Option<&'a [u8]>)>,
    data: Vec<RecordKey>,
    /// Packs at the remote on which the roots rely, with the stored bytes that they need of them.
    uses: BTreeMap<PackId, u64>,
    /// Where the records are that the remote has already.
    old: BTreeMap<RecordKey, Found>,
    /// Every record of each new root.
    closure: Vec<Vec<RecordKey>>,
    git: Vec<GitRef>,
    ledger: Vec<BatchId>,
    envs: Vec<EnvMove>,
    plain_bytes: u64,
}

impl<'a> Plan<'a> {
    fn make(view: &mut RemoteView, store: &Store, roots: &'a [PushRoot], options: &'a PushOptions<'_>) -> Result<Self> {
        let fold = view.fold();
        let git = options.git.iter().filter(|g| fold.git.get(&g.name) != Some(*g)).cloned().collect();
        let envs = options.envs.iter().filter(|e| fold.env(&e.env, &e.asset) != Some(*e)).cloned().collect();
        let ledger: Vec<_> = options.ledger.iter().filter(|(id, _)| !fold.ledger.contains(id)).collect();
        let new_roots: Vec<&PushRoot> = roots
            .iter()
            .filter(|r| {
                !fold.roots.contains_key(&Root { asset: r.asset.clone(), kind: r.kind.clone(), content: r.content })
            })
            .collect();
        let mut plan = Self {
            new_roots,
            meta: Vec::new(),
            data: Vec::new(),
            uses: BTreeMap::new(),
            old: BTreeMap::new(),
            closure: Vec::new(),
            git,
            ledger: ledger.iter().map(|(id, _)| *id).collect(),
            envs,
            plain_bytes: 0,
        };
        let mut seen = BTreeSet::new();
        let mut absent = BTreeSet::new();
        for root in plan.new_roots.clone() {
            options.interrupt.check()?;
            let mut closure = Vec::new();
            for page in &root.pages {
                closure.push((RecordKey::page(*page), 0));
            }
            for wanted in &root.files {
                if wanted.size_bytes > 0 && !file_records(view, store, *wanted, &mut closure, options)? {
                    absent.insert(wanted.file);
                }
            }
            plan.closure.push(closure.iter().map(|(key, _)| *key).collect());
            for (key, plain) in closure {
                if seen.insert(key) {
                    plan.need(view, store, key, plain, &mut absent)?;
                }
            }
        }
        for (id, bytes) in ledger {
            plan.meta.push((RecordKey::batch(*id), Some(bytes)));
            plan.plain_bytes += bytes.len() as u64;
        }
        if absent.is_empty() { Ok(plan) } else { Err(Error::Absent { files: absent.into_iter().collect() }) }
    }

    /// Notes one record: the remote has it, or it is sent.
    fn need(
        &mut self,
        view: &mut RemoteView,
        store: &Store,
        key: RecordKey,
        plain: u64,
        absent: &mut BTreeSet<FileId>,
    ) -> Result<()> {
        let found = view.locate(&key)?;
        if let Some(found) = found.into_iter().find(|f| view.fold().is_usable(&f.at.pack)) {
            let share = u64::from(found.frame.stored_len) / found.frame.records.len() as u64;
            *self.uses.entry(found.at.pack).or_default() += share;
            self.old.insert(key, found);
        } else if store.has(key.kind, &key.id)? {
            self.plain_bytes += plain;
            if key.kind == RecordKind::DATA {
                self.data.push(key);
            } else {
                self.meta.push((key, None));
            }
        } else {
            absent.insert(FileId(key.id));
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.new_roots.is_empty() && self.git.is_empty() && self.ledger.is_empty() && self.envs.is_empty()
    }

    fn outcome(&self) -> PushOutcome {
        PushOutcome {
            new_roots: self.new_roots.len() as u64,
            record_count: (self.meta.len() + self.data.len()) as u64,
            plain_bytes: self.plain_bytes,
            ..PushOutcome::default()
        }
    }

    fn execute(self, view: &mut RemoteView, store: &Store, options: &PushOptions<'_>) -> Result<PushOutcome> {
        let mut outcome = self.outcome();
        let seq = view.fold().seq;
        let session = view.remote().session(options.writer, options.now_ms, seq).map_err(|e| view.err(e))?;
        options.progress.begin("Uploading", Some(self.plain_bytes), None);
        let mut upload = Upload { view, store, session: &session, options, packs: Vec::new(), open: None };
        upload.data(&self.data)?;
        upload.meta(&self.meta)?;
        upload.close()?;
        let packs = std::mem::take(&mut upload.packs);
        let segments = upload.segment(&packs)?;
        options.progress.end();
        outcome.pack_count = packs.len() as u64;
        outcome.sent_bytes = packs.iter().map(|p| p.at.size_bytes).sum();

        let mut uses = self.uses.clone();
        for pack in &packs {
            uses.insert(pack.at.pack, pack.at.size_bytes);
        }
        let body = PushBody {
            roots: self
                .new_roots
                .iter()
                .map(|r| Root { asset: r.asset.clone(), kind: r.kind.clone(), content: r.content })
                .collect(),
            packs: packs.iter().map(|p| p.at).collect(),
            segments,
            uses: uses.iter().map(|(pack, live_bytes)| PackUse { pack: *pack, live_bytes: *live_bytes }).collect(),
            git: self.git.clone(),
            ledger: self.ledger.clone(),
            envs: self.envs.clone(),
        };
        self.publish_entries(view, store, &packs)?;
        let relied: Vec<PackId> = self.uses.keys().copied().collect();
        let committed = remote::commit_push(view.log_mut(), session.id(), options.writer, options.now_ms, |fold| {
            match relied.iter().find(|p| !fold.is_usable(p)) {
                Some(pack) => Err(remote::Error::PackNotUsable { pack: *pack }),
                None => Ok(PushDecision::Commit(body.clone())),
            }
        });
        match committed.map_err(|e| view.err(e))? {
            Commit::Committed { seq } => outcome.seq = Some(seq),
            Commit::Abandoned => {}
        }
        view.after_commit()?;
        Ok(outcome)
    }

    /// Writes the advisory entries by which a fresh machine restores in a few requests.
    fn publish_entries(&self, view: &RemoteView, store: &Store, packs: &[Sent]) -> Result<()> {
        let mut new: BTreeMap<RecordKey, (usize, usize, usize)> = BTreeMap::new();
        for (p, pack) in packs.iter().enumerate() {
            for (f, frame) in pack.footer.frames().iter().enumerate() {
                for (r, record) in frame.records.iter().enumerate() {
                    new.insert(record.key, (p, f, r));
                }
            }
        }
        for (root, closure) in self.new_roots.iter().zip(&self.closure) {
            let mut places: Vec<(RecordKey, PackPlace, u64, u32, u32)> = Vec::new();
            for key in closure {
                if let Some((p, f, r)) = new.get(key) {
                    let (pack, frame) = (&packs[*p], &packs[*p].footer.frames()[*f]);
                    let at = PackPlace { sid: pack.at.sid, pack: pack.at.pack };
                    places.push((*key, at, frame.offset, frame_len(frame), small(*r)));
                } else if let Some(found) = self.old.get(key) {
                    let at = PackPlace { sid: found.at.sid, pack: found.at.pack };
                    let record = found.frame.records.iter().position(|r| r.key == *key).unwrap_or(0);
                    places.push((*key, at, found.frame.offset, frame_len(&found.frame), small(record)));
                }
            }
            let entry = asset_entry(root, places, store)?;
            // Advisory: without it a restore asks the log.
            if let Err(e) = remote::publish_asset(view.remote().transport(), &entry)
                && !matches!(e, remote::Error::TooLarge { .. })
                && !e.is_integrity()
            {
                return Err(view.err(e));
            }
        }
        Ok(())
    }
}

fn small(n: usize) -> u32 {
    u32::try_from(n).expect("a frame has at most 4,096 records")
}

fn frame_len(frame: &pack::FrameMeta) -> u32 {
    let range = frame.range();
    u32::try_from(range.end - range.start).expect("a frame is a few MiB at most")
}

fn asset_entry(
    root: &PushRoot,
    places: Vec<(RecordKey, PackPlace, u64, u32, u32)>,
    store: &Store,
) -> Result<AssetEntry> {
    let packs: BTreeSet<PackPlace> = places.iter().map(|p| p.1).collect();
    let packs: Vec<PackPlace> = packs.into_iter().collect();
    let index = |at: &PackPlace| u32::try_from(packs.binary_search(at).expect("it was collected")).expect("few packs");
    let frames: BTreeSet<(u32, u64, u32)> = places.iter().map(|p| (index(&p.1), p.2, p.3)).collect();
    let frames: Vec<FrameRef> = frames.into_iter().map(|(pack, offset, len)| FrameRef { pack, offset, len }).collect();
    let mut records: Vec<RecordPlace> = places
        .iter()
        .map(|(key, at, offset, len, record)| {
            let want = FrameRef { pack: index(at), offset: *offset, len: *len };
            let frame = frames.binary_search(&want).expect("it was collected");
            let frame = u32::try_from(frame).expect("a version has less than 2^32 frames");
            RecordPlace { kind: key.kind.0, id: Digest(key.id), frame, record: *record }
        })
        .collect();
    records.sort_by_key(|r| (r.kind, r.id));
    records.dedup_by_key(|r| (r.kind, r.id));
    let first = match root.content {
        ContentId::File(id) => RecordKey::recipe(id),
        ContentId::Tree(id) => RecordKey::page(PageId(id.0)),
    };
    let inline = store.record(first.kind, &first.id)?.map(|bytes| InlineRecord {
        kind: first.kind.0,
        id: Digest(first.id),
        bytes,
    });
    Ok(AssetEntry {
        content: root.content,
        size_bytes: root.files.iter().map(|f| f.size_bytes).sum(),
        file_count: root.files.len() as u64,
        inline: inline.into_iter().collect(),
        packs,
        frames,
        records,
    })
}

/// Adds the records of which a file consists, with their plain sizes. `false` when its description is neither
/// in the store nor at the remote.
fn file_records(
    view: &mut RemoteView,
    store: &Store,
    wanted: fetch::Wanted,
    out: &mut Vec<(RecordKey, u64)>,
    options: &PushOptions<'_>,
) -> Result<bool> {
    let mut terms = store.terms(wanted.file, wanted.size_bytes)?;
    if terms.is_none() {
        // A pointer whose bytes were never fetched: the remote may be where they are.
        let recipe = RecordKey::recipe(wanted.file);
        fetch::fetch_records(view, store, &[recipe], options.interrupt)?;
        if let Some(recipe) = store.recipe(wanted.file)? {
            let pages: Vec<RecordKey> = recipe.pages().iter().map(|p| RecordKey::page(p.page_id)).collect();
            fetch::fetch_records(view, store, &pages, options.interrupt)?;
        }
        terms = store.terms(wanted.file, wanted.size_bytes)?;
    }
    let whole = RecordKey::new(RecordKind::DATA, wanted.file.0);
    let Some(terms) = terms else {
        out.push((whole, wanted.size_bytes));
        return view.has(&whole);
    };
    if let Some(recipe) = store.recipe(wanted.file)? {
        out.push((RecordKey::recipe(wanted.file), 0));
        out.extend(recipe.pages().iter().map(|p| (RecordKey::page(p.page_id), 0)));
    }
    for term in terms {
        if let Term::Chunk { id, len_bytes } = term {
            out.push((RecordKey::chunk(id), u64::from(len_bytes)));
        }
    }
    Ok(true)
}

/// A pack that was uploaded.
struct Sent {
    at: PackRef,
    footer: Footer,
}

/// A pack that is being filled in memory.
struct OpenPack {
    writer: pack::Writer<Vec<u8>>,
    is_meta: bool,
}

struct Upload<'a> {
    view: &'a RemoteView,
    store: &'a Store,
    session: &'a Session,
    options: &'a PushOptions<'a>,
    packs: Vec<Sent>,
    open: Option<OpenPack>,
}

impl Upload<'_> {
    /// Sends chunks. A stored frame whose records are all wanted goes as it is; of others the wanted records
    /// are encoded anew, without a base.
    fn data(&mut self, keys: &[RecordKey]) -> Result<()> {
        let wanted: BTreeSet<RecordKey> = keys.iter().copied().collect();
        let mut sent: BTreeSet<RecordKey> = BTreeSet::new();
        for key in keys {
            if sent.contains(key) {
                continue;
            }
            self.options.interrupt.check()?;
            let frame = self.store.stored_frame(key)?;
            let whole = frame.as_ref().is_some_and(|(meta, _)| {
                meta.bases.is_empty() && meta.records.iter().all(|r| wanted.contains(&r.key) && !sent.contains(&r.key))
            });
            match frame {
                Some((meta, payload)) if whole && self.store.is_sound(&meta, &payload) => {
                    self.append(false, meta.to_spec(), &payload)?;
                    sent.extend(meta.records.iter().map(|r| r.key));
                    self.options.progress.bytes(u64::from(meta.raw_len));
                }
                _ => {
                    let plain = self.plain(key)?;
                    self.encode(false, *key, &plain)?;
                    sent.insert(*key);
                    self.options.progress.bytes(plain.len() as u64);
                }
            }
        }
        Ok(())
    }

    fn meta(&mut self, keys: &[(RecordKey, Option<&[u8]>)]) -> Result<()> {
        for (key, bytes) in keys {
            match bytes {
                Some(bytes) => self.encode(true, *key, bytes)?,
                None => {
                    let plain = self.plain(key)?;
                    self.encode(true, *key, &plain)?;
                }
            }
        }
        Ok(())
    }

    fn plain(&self, key: &RecordKey) -> Result<Vec<u8>> {
        let missing = crate::store::Error::Missing { kind: key.kind, id: key.id };
        Ok(self.store.record(key.kind, &key.id)?.ok_or(missing)?)
    }

    fn encode(&mut self, is_meta: bool, key: RecordKey, plain: &[u8]) -> Result<()> {
        let encoded = codec::encode(Hint::Plain, plain);
        let mut spec = FrameSpec::new(encoded.codec.number());
        spec.push(key, plain);
        self.append(is_meta, spec, &encoded.payload)
    }

    fn append(&mut self, is_meta: bool, spec: FrameSpec, payload: &[u8]) -> Result<()> {
        let target = if is_meta { META_PACK_TARGET_BYTES } else { PACK_TARGET_BYTES };
        if self.open.as_ref().is_some_and(|o| o.is_meta != is_meta || o.writer.len_bytes() >= target) {
            self.close()?;
        }
        if self.open.is_none() {
            let writer = pack::Writer::new(Vec::new(), PackId::new_v7()).map_err(|e| self.err(e))?;
            self.open = Some(OpenPack { writer, is_meta });
        }
        let open = self.open.as_mut().expect("it was just made");
        match open.writer.append(spec, payload) {
            Ok(_) => Ok(()),
            Err(e) => Err(self.err(e)),
        }
    }

    /// Uploads the open pack.
    fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.options.interrupt.check()?;
        let (bytes, finished) = open.writer.finish().map_err(|e| self.err(e))?;
        let bytes = Bytes::from(bytes);
        let id = finished.footer.pack_id();
        let at = self.session.upload_pack(id, &bytes).map_err(|e| self.view.err(e))?;
        let footer_at = usize::try_from(finished.footer.offset()).expect("a pack in memory");
        self.view.keep_end(id, &bytes[footer_at..])?;
        self.packs.push(Sent { at, footer: finished.footer });
        Ok(())
    }

    /// Uploads an index segment over the packs of this push.
    fn segment(&self, packs: &[Sent]) -> Result<Vec<SegmentRef>> {
        if packs.is_empty() {
            return Ok(Vec::new());
        }
        let mut builder = SegmentBuilder::new();
        for pack in packs {
            builder.add_footer(&pack.footer, pack.at.size_bytes).map_err(|e| self.err(e))?;
        }
        let id = SegmentId::new_v7();
        let bytes = Bytes::from(builder.finish(id).map_err(|e| self.err(e))?);
        let at = self.session.upload_segment(id, &bytes).map_err(|e| self.view.err(e))?;
        self.view.keep_segment(at, &bytes)?;
        Ok(vec![at])
    }

    fn err(&self, source: pack::Error) -> Error {
        Error::Pack { location: self.view.location().to_owned(), source }
    }
}
