//! `clade env list|show|history`: which version each environment has, had, and why it moved.

use super::{Error, Result};
use crate::clock;
use crate::id::EventId;
use crate::ledger::{Content, EnvState, Environments, Event, Finding, Ledger, MoveCause, Text};
use crate::repo::{self, LedgerState, Repo};
use serde::Serialize;

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvRow {
    /// Its name.
    pub env: String,
    /// How many assets it has.
    pub assets: u64,
    /// How many of them have conflicting moves.
    pub conflicts: u64,
}

/// The answer of `clade env list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvListOutcome {
    /// The environments, by name.
    pub environments: Vec<EnvRow>,
}

/// What an environment has of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvVersion {
    /// The asset.
    pub asset: String,
    /// Whether it is undisputed.
    pub state: EnvState,
    /// The version that readers get; absent where there was never an undisputed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Content>,
    /// The moves in force; several in a conflict.
    pub moves: Vec<MoveRow>,
}

/// A move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MoveRow {
    /// The event.
    pub event: EventId,
    /// The asset.
    pub asset: String,
    /// What the environment had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Content>,
    /// What it got.
    pub to: Content,
    /// Why.
    pub cause: MoveCause,
    /// Who.
    pub actor: String,
    /// When, in milliseconds since 1970, by the writer's clock.
    pub time_ms: u64,
    /// Why a refusal was overridden.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<Text>,
    /// What checks said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// The answer of `clade env show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvShowOutcome {
    /// The environment.
    pub env: String,
    /// What it has, by asset.
    pub assets: Vec<EnvVersion>,
}

/// The answer of `clade env history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvHistoryOutcome {
    /// The environment.
    pub env: String,
    /// Its moves, newest first.
    pub moves: Vec<MoveRow>,
}

/// Fetches the ledger where it can be fetched. Otherwise what is here is used, and the warning says how old it
/// is.
///
/// # Errors
/// When the ledger was never fetched.
pub fn refreshed(repo: &Repo) -> Result<(Ledger, Option<String>)> {
    let warning = match repo.fetch_ledger() {
        Ok(_) => None,
        Err(repo::Error::LedgerRemote { remote, .. }) => match repo.ledger_state()? {
            LedgerState::Fetched { at_ms: Some(at), .. } => Some(format!(
                "{remote} cannot be asked; this is the ledger as of {}, when it was last fetched",
                clock::rfc3339(at)
            )),
            _ => Some(format!("{remote} cannot be asked; this is the ledger as this clone has it")),
        },
        Err(e) => return Err(e.into()),
    };
    Ok((repo.ledger_for_questions()?, warning))
}

/// All environments.
#[must_use]
pub fn list(ledger: &Ledger) -> EnvListOutcome {
    let envs = Environments::new(ledger);
    let row = |env: &str| {
        let current = envs.current(env);
        let conflicts = current.values().filter(|v| v.state == EnvState::Conflict).count() as u64;
        EnvRow { env: env.to_owned(), assets: current.len() as u64, conflicts }
    };
    EnvListOutcome { environments: envs.names().map(row).collect() }
}

/// What an environment has; had at a time, by the writers' clocks.
///
/// # Errors
/// When there is no such environment, or the time is none.
pub fn show(ledger: &Ledger, env: &str, at: Option<&str>) -> Result<EnvShowOutcome> {
    exists(ledger, env)?;
    let ledger = as_of(ledger, at)?;
    let envs = Environments::new(&ledger);
    let moves = moves(&ledger, env);
    let assets = envs.current(env).into_iter().map(|(asset, value)| {
        let here = |m: &&MoveRow| m.asset == asset && value.heads.contains(&m.event);
        let moves = moves.iter().filter(here).cloned().collect();
        EnvVersion { state: value.state, version: value.content, moves, asset }
    });
    Ok(EnvShowOutcome { env: env.to_owned(), assets: assets.collect() })
}

/// Every move of an environment, newest first; of one asset and up to a time where given.
///
/// # Errors
/// When there is no such environment or asset in it, or the time is none.
pub fn history(ledger: &Ledger, env: &str, name: Option<&str>, at: Option<&str>) -> Result<EnvHistoryOutcome> {
    exists(ledger, env)?;
    if let Some(name) = name
        && Environments::new(ledger).value(env, name).is_none()
    {
        let assets: Vec<String> = Environments::new(ledger).current(env).into_keys().collect();
        return Err(Error::not_found(format!("environment {env:?} never had {name:?}"))
            .hint(format!("it has: {}", assets.join(", "))));
    }
    let mut moves = moves(&as_of(ledger, at)?, env);
    moves.retain(|m| name.is_none_or(|n| n == m.asset));
    moves.reverse();
    Ok(EnvHistoryOutcome { env: env.to_owned(), moves })
}

fn exists(ledger: &Ledger, env: &str) -> Result<()> {
    let envs = Environments::new(ledger);
    let names: Vec<&str> = envs.names().collect();
    if names.contains(&env) {
        return Ok(());
    }
    let out = Error::not_found(format!("there is no environment {env:?}"));
    Err(match names[..] {
        [] => out.hint(format!("the first promotion makes it: `clade promote NAME@X --to {env}`")),
        _ => out.hint(format!("environments: {}", names.join(", "))),
    })
}

fn as_of(ledger: &Ledger, at: Option<&str>) -> Result<Ledger> {
    let Some(text) = at else { return Ok(ledger.clone()) };
    let ms = clock::parse_time_ms(text).ok_or_else(|| {
        Error::usage(format!("{text:?} is no time"))
            .hint("write a date such as 2026-03-01 (its first moment in UTC), or 2026-03-01T09:30:00Z")
    })?;
    Ok(ledger.as_of_time(ms))
}

/// All moves in the ledger's order.
fn moves(ledger: &Ledger, env: &str) -> Vec<MoveRow> {
    let mut out = Vec::new();
    for entry in ledger.events() {
        let Event::EnvMoved(moved) = entry.event else { continue };
        if moved.env != env {
            continue;
        }
        let payload = &entry.batch.payload;
        for one in &moved.moves {
            out.push(MoveRow {
                event: entry.id,
                asset: one.asset.clone(),
                from: one.from,
                to: one.to,
                cause: moved.cause.clone(),
                actor: format!("{} <{}>", payload.actor.name, payload.actor.email),
                time_ms: payload.time_ms,
                override_reason: moved.override_reason.clone(),
                findings: moved
                    .findings
                    .iter()
                    .filter(|f| f.asset.as_ref().is_none_or(|a| *a == one.asset))
                    .cloned()
                    .collect(),
            });
        }
    }
    out
}
