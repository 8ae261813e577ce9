//! Environments: which version of an asset each has, and had.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Content, Event, Ledger, MoveCause};
use crate::id::EventId;

/// One move of one asset in one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvMove {
    /// The `env.moved` event.
    pub event: EventId,
    /// What the environment had, as the event says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Content>,
    /// What it got.
    pub to: Content,
    /// Why.
    pub cause: MoveCause,
    /// The moves of the same asset in the same environment that this one replaces, sorted.
    pub supersedes: Vec<EventId>,
    /// When, in milliseconds since 1970, by the writer's clock.
    pub time_ms: u64,
    /// Who: `Name <mail>`.
    pub actor: String,
}

/// Whether an environment's version is undisputed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvState {
    /// One version.
    Settled,
    /// Concurrent moves name different versions; the value is the last one that was undisputed.
    Conflict,
}

/// What an environment has of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvValue {
    /// Whether it is undisputed.
    pub state: EnvState,
    /// The version that readers take; absent when there was never an undisputed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The moves in force, in the ledger's order: what a next move supersedes. Several in a conflict, or
    /// when concurrent moves agree.
    pub heads: Vec<EventId>,
}

/// All moves of all environments.
#[derive(Debug, Clone, Default)]
pub struct Environments {
    moves: BTreeMap<String, BTreeMap<String, Vec<EnvMove>>>,
}

impl Environments {
    /// The moves that a ledger holds.
    #[must_use]
    pub fn new(ledger: &Ledger) -> Self {
        let mut moves: BTreeMap<String, BTreeMap<String, Vec<EnvMove>>> = BTreeMap::new();
        for entry in ledger.events() {
            let Event::EnvMoved(moved) = entry.event else {
                continue;
            };
            let payload = &entry.batch.payload;
            for one in &moved.moves {
                let asset = moves.entry(moved.env.clone()).or_default();
                let list: &mut Vec<EnvMove> = asset.entry(one.asset.clone()).or_default();
                // An event that moves one asset twice keeps its first word.
                if list.last().is_some_and(|last| last.event == entry.id) {
                    continue;
                }
                let supersedes: BTreeSet<EventId> = moved.supersedes.iter().copied().collect();
                list.push(EnvMove {
                    event: entry.id,
                    from: one.from,
                    to: one.to,
                    cause: moved.cause.clone(),
                    supersedes: supersedes.into_iter().collect(),
                    time_ms: payload.time_ms,
                    actor: format!("{} <{}>", payload.actor.name, payload.actor.email),
                });
            }
        }
        for list in moves.values_mut().flat_map(BTreeMap::values_mut) {
            let here: BTreeSet<EventId> = list.iter().map(|m| m.event).collect();
            for one in list {
                one.supersedes.retain(|id| here.contains(id));
            }
        }
        Self { moves }
    }

    /// The names of all environments, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.moves.keys().map(String::as_str)
    }

    /// What an environment has, by asset. Empty for an environment that never moved.
    #[must_use]
    pub fn current(&self, env: &str) -> BTreeMap<String, EnvValue> {
        let assets = self.moves.get(env).into_iter().flatten();
        assets.map(|(asset, moves)| (asset.clone(), value(moves))).collect()
    }

    /// What an environment has of one asset; `None` when it never had it.
    #[must_use]
    pub fn value(&self, env: &str, asset: &str) -> Option<EnvValue> {
        Some(value(self.moves.get(env)?.get(asset)?))
    }

    /// All moves of one asset, in the ledger's order. For an earlier time, make this from
    /// [`Ledger::as_of_time`].
    #[must_use]
    pub fn history(&self, env: &str, asset: &str) -> &[EnvMove] {
        self.moves.get(env).and_then(|a| a.get(asset)).map_or(&[], Vec::as_slice)
    }

    /// The moves that were written at `at_ms` or earlier by their writers' clocks, all assets, sorted by
    /// asset, then in the ledger's order.
    #[must_use]
    pub fn history_at(&self, env: &str, at_ms: u64) -> Vec<(String, EnvMove)> {
        let assets = self.moves.get(env).into_iter().flatten();
        let all = assets.flat_map(|(asset, moves)| moves.iter().map(move |m| (asset, m)));
        let until = all.filter(|(_, m)| m.time_ms <= at_ms);
        until.map(|(asset, m)| (asset.clone(), m.clone())).collect()
    }

    /// The version to go back to: the newest earlier one, along what each move replaced, that is not the
    /// current one, that the environment never rolled back from, and that `is_ok` accepts (not flagged, not
    /// retired, bytes complete). `None` when there is none.
    pub fn rollback_target(&self, env: &str, asset: &str, mut is_ok: impl FnMut(&Content) -> bool) -> Option<Content> {
        let moves = self.history(env, asset);
        let now = value(moves);
        let at: BTreeMap<EventId, usize> = moves.iter().enumerate().map(|(i, m)| (m.event, i)).collect();
        let mut refused: BTreeSet<Content> = now.content.into_iter().collect();
        for back in moves.iter().filter(|m| m.cause == MoveCause::Rollback) {
            let replaced = back.supersedes.iter().filter_map(|id| at.get(id)).map(|i| moves[*i].to);
            refused.extend(replaced.chain(back.from).filter(|content| *content != back.to));
        }
        let seen = ancestors(moves, &at, &now.heads);
        let earlier = seen.iter().rev().map(|i| moves[*i].to);
        earlier.filter(|c| !refused.contains(c)).find(|c| is_ok(c))
    }
}

/// Positions of the given moves and of all that they replaced, directly or not.
fn ancestors(moves: &[EnvMove], at: &BTreeMap<EventId, usize>, heads: &[EventId]) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut todo: Vec<usize> = heads.iter().filter_map(|id| at.get(id).copied()).collect();
    while let Some(i) = todo.pop() {
        if seen.insert(i) {
            todo.extend(moves[i].supersedes.iter().filter_map(|id| at.get(id).copied()));
        }
    }
    seen
}

fn value(moves: &[EnvMove]) -> EnvValue {
    let at: BTreeMap<EventId, usize> = moves.iter().enumerate().map(|(i, m)| (m.event, i)).collect();
    let replaced: BTreeSet<EventId> = moves.iter().flat_map(|m| m.supersedes.iter().copied()).collect();
    let mut tips: Vec<usize> = (0..moves.len()).filter(|i| !replaced.contains(&moves[*i].event)).collect();
    let heads = tips.iter().map(|i| moves[*i].event).collect();
    let mut state = EnvState::Settled;
    let content = loop {
        let agreed: BTreeSet<Content> = tips.iter().map(|i| moves[*i].to).collect();
        if agreed.len() <= 1 {
            break agreed.into_iter().next();
        }
        state = EnvState::Conflict;
        // What all disputed moves replaced, without what was replaced before that.
        let mut common: Option<BTreeSet<usize>> = None;
        for tip in &tips {
            let mut seen = ancestors(moves, &at, &[moves[*tip].event]);
            seen.remove(tip);
            common = Some(match common {
                Some(both) => both.intersection(&seen).copied().collect(),
                None => seen,
            });
        }
        let common = common.unwrap_or_default();
        let older: BTreeSet<usize> = common
            .iter()
            .flat_map(|i| {
                let mut seen = ancestors(moves, &at, &[moves[*i].event]);
                seen.remove(i);
                seen
            })
            .collect();
        tips = common.difference(&older).copied().collect();
    };
    EnvValue { state, content, heads }
}
