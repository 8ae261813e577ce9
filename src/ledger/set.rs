//! The ledger in memory: a set of batches, and what follows from the set alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use serde::Serialize;

use super::{Batch, Event, Head};
use crate::id::{BatchId, EventId, LedgerId, RepositoryId, WriterId};

/// Id of a set of batches: BLAKE3 over their sorted ids.
#[must_use]
pub fn ledger_id<'a>(batches: impl IntoIterator<Item = &'a BatchId>) -> LedgerId {
    let sorted: BTreeSet<&BatchId> = batches.into_iter().collect();
    let mut hash = blake3::Hasher::new();
    for id in sorted {
        hash.update(id.as_bytes());
    }
    LedgerId::from(hash.finalize())
}

/// A set of batches.
///
/// **Order.** Batches are ordered so that each comes after its writer's previous batch and after the heads
/// that it had seen; of the batches whose predecessors are all placed, the one with the smallest
/// (`time_ms`, batch id) comes next. A predecessor that is not in the set holds nothing up. Events follow
/// the order of their batches, then their index. The order serves display and numbering: no meaning hangs
/// on it, since events that replace others name them by id.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    batches: BTreeMap<BatchId, Batch>,
    order: Vec<BatchId>,
}

/// An event in its ledger.
#[derive(Debug, Clone, Copy)]
pub struct EventRef<'a> {
    /// The event's id.
    pub id: EventId,
    /// The batch that holds it.
    pub batch: &'a Batch,
    /// The event.
    pub event: &'a Event,
}

/// A writer, as far as the ledger knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct WriterState {
    /// The writer.
    pub writer: WriterId,
    /// The greatest time on any of its batches, in milliseconds since 1970.
    pub last_seen_ms: u64,
    /// The number of its newest batch.
    pub seq: u64,
}

/// A writer gave one number to several batches: a copied clone, or a forgery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Equivocation {
    /// The writer.
    pub writer: WriterId,
    /// The number.
    pub seq: u64,
    /// The batches, sorted.
    pub batches: Vec<BatchId>,
}

/// A batch that others name and that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    /// Its writer.
    pub writer: WriterId,
    /// Its number.
    pub seq: u64,
    /// The batch.
    pub batch: BatchId,
}

impl Ledger {
    /// The ledger of these batches, in whatever order and however often they come.
    #[must_use]
    pub fn new(batches: impl IntoIterator<Item = Batch>) -> Self {
        let batches: BTreeMap<_, _> = batches.into_iter().map(|b| (b.id, b)).collect();
        let order = sort(&batches);
        Self { batches, order }
    }

    /// Id of the set.
    #[must_use]
    pub fn id(&self) -> LedgerId {
        ledger_id(self.batches.keys())
    }

    /// How many batches there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// Whether there is no batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// The batch of this id.
    #[must_use]
    pub fn get(&self, id: BatchId) -> Option<&Batch> {
        self.batches.get(&id)
    }

    /// All batches in the ledger's order.
    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.order.iter().filter_map(|id| self.batches.get(id))
    }

    /// All events in the ledger's order.
    pub fn events(&self) -> impl Iterator<Item = EventRef<'_>> {
        self.batches().flat_map(|batch| {
            batch.payload.events.iter().enumerate().map(|(index, event)| EventRef {
                id: batch.event_id(index),
                batch,
                event,
            })
        })
    }

    /// How many events have a kind that this program does not know.
    #[must_use]
    pub fn unknown_events(&self) -> usize {
        self.events().filter(|e| matches!(e.event, Event::Unknown { .. })).count()
    }

    /// How many fields of known events this program does not know.
    #[must_use]
    pub fn unknown_fields(&self) -> usize {
        self.batches().map(|b| b.unknown_fields).sum()
    }

    /// The repositories that batches name, sorted.
    #[must_use]
    pub fn repositories(&self) -> BTreeSet<RepositoryId> {
        self.batches().map(|b| b.payload.repository).collect()
    }

    /// All writers, sorted by id.
    #[must_use]
    pub fn writers(&self) -> Vec<WriterState> {
        let mut writers: BTreeMap<WriterId, WriterState> = BTreeMap::new();
        for batch in self.batches.values() {
            let Batch { payload: p, .. } = batch;
            let state = writers.entry(p.writer).or_insert(WriterState { writer: p.writer, last_seen_ms: 0, seq: 0 });
            state.last_seen_ms = state.last_seen_ms.max(p.time_ms);
            state.seq = state.seq.max(p.seq);
        }
        writers.into_values().collect()
    }

    /// Each writer's newest batch (of several with one number, the greatest id), sorted by writer: what a
    /// new batch puts in `seen.heads`, minus what its writer's earlier batches named.
    #[must_use]
    pub fn heads(&self) -> Vec<Head> {
        let mut heads: BTreeMap<WriterId, Head> = BTreeMap::new();
        for (id, batch) in &self.batches {
            let Batch { payload: p, .. } = batch;
            let head = Head { writer: p.writer, seq: p.seq, batch: *id };
            let entry = heads.entry(p.writer).or_insert(head);
            *entry = (*entry).max(head);
        }
        heads.into_values().collect()
    }

    /// What `writer`'s next batch names: its number, its previous batch, and the heads of other writers
    /// that none of its earlier batches named, sorted.
    #[must_use]
    pub fn next_for(&self, writer: WriterId) -> (u64, Option<BatchId>, Vec<Head>) {
        let mine = self.batches.values().filter(|b| b.payload.writer == writer);
        let named: BTreeSet<Head> = mine.flat_map(|b| b.payload.seen.heads.clone()).collect();
        let heads = self.heads();
        let last = heads.iter().find(|h| h.writer == writer);
        let new = heads.iter().filter(|h| h.writer != writer && !named.contains(h));
        (last.map_or(0, |h| h.seq.saturating_add(1)), last.map(|h| h.batch), new.copied().collect())
    }

    /// Numbers that a writer gave to several batches, sorted.
    #[must_use]
    pub fn equivocations(&self) -> Vec<Equivocation> {
        let mut slots: BTreeMap<(WriterId, u64), Vec<BatchId>> = BTreeMap::new();
        for (id, batch) in &self.batches {
            slots.entry((batch.payload.writer, batch.payload.seq)).or_default().push(*id);
        }
        let several = slots.into_iter().filter(|(_, batches)| batches.len() > 1);
        several.map(|((writer, seq), batches)| Equivocation { writer, seq, batches }).collect()
    }

    /// Batches that others name as their previous batch or as seen, and that are missing; sorted.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps = BTreeSet::new();
        for batch in self.batches.values() {
            for named in named_by(batch) {
                if !self.batches.contains_key(&named.batch) {
                    gaps.insert(Gap { writer: named.writer, seq: named.seq, batch: named.batch });
                }
            }
        }
        gaps.into_iter().collect()
    }

    /// The ledger of the batches that `keep` accepts.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&Batch) -> bool) -> Self {
        Self::new(self.batches.values().filter(|b| keep(b)).cloned())
    }

    /// The ledger as it was at a time, by the writers' clocks: batches of `time_ms` or earlier.
    #[must_use]
    pub fn as_of_time(&self, time_ms: u64) -> Self {
        self.filtered(|b| b.payload.time_ms <= time_ms)
    }

    /// The subset of batches whose id is `id`, looked for among: all; what some batch had seen; the first
    /// n batches of the ledger's order. `None` when none of these has the id.
    #[must_use]
    pub fn as_of_ledger(&self, id: LedgerId) -> Option<Self> {
        if self.id() == id {
            return Some(self.clone());
        }
        for batch in self.batches().filter(|b| b.payload.seen.digest == id) {
            let seen = self.closure(batch);
            if ledger_id(&seen) == id {
                return Some(self.filtered(|b| seen.contains(&b.id)));
            }
        }
        (0..self.order.len()).rev().find_map(|n| {
            let first: BTreeSet<BatchId> = self.order[..n].iter().copied().collect();
            (ledger_id(&first) == id).then(|| self.filtered(|b| first.contains(&b.id)))
        })
    }

    /// Everything that `batch` had seen, itself excluded.
    fn closure(&self, batch: &Batch) -> BTreeSet<BatchId> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![batch];
        while let Some(next) = todo.pop() {
            for named in named_by(next) {
                if let Some(found) = self.batches.get(&named.batch)
                    && seen.insert(named.batch)
                {
                    todo.push(found);
                }
            }
        }
        seen
    }
}

/// The batches that a batch says came before it.
fn named_by(batch: &Batch) -> impl Iterator<Item = Head> + '_ {
    let Batch { payload: p, .. } = batch;
    let prev = p.prev.map(|prev| Head { writer: p.writer, seq: p.seq.saturating_sub(1), batch: prev });
    prev.into_iter().chain(p.seen.heads.iter().copied())
}

fn sort(batches: &BTreeMap<BatchId, Batch>) -> Vec<BatchId> {
    let mut waits: BTreeMap<BatchId, usize> = BTreeMap::new();
    let mut after: BTreeMap<BatchId, Vec<BatchId>> = BTreeMap::new();
    for (id, batch) in batches {
        let before: BTreeSet<BatchId> = named_by(batch).map(|h| h.batch).filter(|b| batches.contains_key(b)).collect();
        waits.insert(*id, before.len());
        for named in before {
            after.entry(named).or_default().push(*id);
        }
    }
    let key = |id: BatchId| Reverse((batches.get(&id).map_or(0, |b| b.payload.time_ms), id));
    let mut ready: BinaryHeap<_> = waits.iter().filter(|(_, n)| **n == 0).map(|(id, _)| key(*id)).collect();
    let mut order = Vec::with_capacity(batches.len());
    while let Some(Reverse((_, id))) = ready.pop() {
        order.push(id);
        for next in after.remove(&id).unwrap_or_default() {
            if let Some(n) = waits.get_mut(&next) {
                *n -= 1;
                if *n == 0 {
                    ready.push(key(next));
                }
            }
        }
    }
    // Ids are digests of what names them, so a circle cannot be made; were there one, no batch is lost.
    if order.len() < batches.len() {
        let placed: BTreeSet<BatchId> = order.iter().copied().collect();
        order.extend(batches.keys().filter(|id| !placed.contains(id)));
    }
    order
}
