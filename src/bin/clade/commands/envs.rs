//! `promote`, `rollback`, `env`: which version each environment has.

use super::govern::close_leftovers;
use crate::args::{EnvCommand, PromoteArgs, RollbackArgs};
use crate::context::Cx;
use crate::ui::{Render, Table, count};
use clade::clock::rfc3339;
use clade::ledger::{Content, EnvState, Text};
use clade::ops;
use clade::ops::env::{self, EnvHistoryOutcome, EnvListOutcome, EnvShowOutcome, MoveRow};
use clade::ops::promote::{self, MoveOutcome, PromoteOptions, RollbackOptions};
use std::fmt::Write as _;

pub(crate) fn promote(cx: &Cx, args: &PromoteArgs) -> ops::Result<u8> {
    let repo = cx.repo()?;
    close_leftovers(cx, &repo)?;
    let options = PromoteOptions {
        versions: args.versions.clone(),
        env: args.to.clone(),
        override_reason: args.override_reason.clone(),
    };
    moved(cx, &promote::promote(&repo, &options)?)
}

pub(crate) fn rollback(cx: &Cx, args: &RollbackArgs) -> ops::Result<u8> {
    let repo = cx.repo()?;
    close_leftovers(cx, &repo)?;
    let options = RollbackOptions {
        name: args.name.clone(),
        env: args.env.clone(),
        to: args.to.clone(),
        override_reason: args.override_reason.clone(),
    };
    moved(cx, &promote::rollback(&repo, &options)?)
}

fn moved(cx: &Cx, out: &MoveOutcome) -> ops::Result<u8> {
    cx.printer.answer(out)?;
    for warning in &out.warnings {
        cx.printer.warn(warning);
    }
    Ok(0)
}

pub(crate) fn env(cx: &Cx, command: &EnvCommand) -> ops::Result<u8> {
    let repo = cx.repo()?;
    let (ledger, warning) = env::refreshed(&repo)?;
    if let Some(warning) = warning {
        cx.printer.warn(&warning);
    }
    match command {
        EnvCommand::List => cx.printer.answer(&env::list(&ledger))?,
        EnvCommand::Show { env: name, at } => cx.printer.answer(&env::show(&ledger, name, at.as_deref())?)?,
        EnvCommand::History { env: name, name: asset, at } => {
            cx.printer.answer(&env::history(&ledger, name, asset.as_deref(), at.as_deref())?)?;
        }
    }
    Ok(0)
}

fn id(content: &Content) -> String {
    format!("b3:{}", content.id.short())
}

impl Render for MoveOutcome {
    const TYPE: &'static str = "env.moved";

    fn human(&self, _width: Option<usize>) -> String {
        if self.moves.is_empty() {
            return format!("{} has this already\n", self.env);
        }
        let mut out = String::new();
        for m in &self.moves {
            let from = m.from.as_ref().map(|f| format!(" (was {})", id(f))).unwrap_or_default();
            let _ = writeln!(out, "{}: {}@{}{from}", self.env, m.asset, id(&m.to));
        }
        if let Some(reason) = &self.override_reason {
            for f in self.findings.iter().filter(|f| f.code != "origin.unknown") {
                let _ = writeln!(out, "  overridden: {}", f.detail.as_deref().unwrap_or(&f.code));
            }
            let _ = writeln!(out, "  reason: {reason}");
        }
        out
    }
}

impl Render for EnvListOutcome {
    const TYPE: &'static str = "env.list";

    fn human(&self, width: Option<usize>) -> String {
        if self.environments.is_empty() {
            return "no environments\n".to_owned();
        }
        let mut table = Table::default();
        for row in &self.environments {
            let conflicts = match row.conflicts {
                0 => String::new(),
                n => count(n, "conflict", "conflicts"),
            };
            table.row([row.env.clone(), count(row.assets, "asset", "assets"), conflicts]);
        }
        table.render("", width)
    }
}

impl Render for EnvShowOutcome {
    const TYPE: &'static str = "env.show";

    fn human(&self, width: Option<usize>) -> String {
        if self.assets.is_empty() {
            return format!("{} had nothing\n", self.env);
        }
        let mut out = String::new();
        for asset in &self.assets {
            let version = asset.version.as_ref().map_or_else(|| "nothing undisputed".to_owned(), id);
            let conflict = if asset.state == EnvState::Conflict { "  CONFLICT" } else { "" };
            let _ = writeln!(out, "{}@{version}{conflict}", asset.asset);
            let mut table = Table::default();
            for m in &asset.moves {
                table.row([rfc3339(m.time_ms), m.cause.to_string(), id(&m.to), format!("by {}", m.actor)]);
            }
            out.push_str(&table.render("  ", width));
            if asset.state == EnvState::Conflict {
                let _ = writeln!(out, "  settle it: `clade promote {}@VERSION --to {}`", asset.asset, self.env);
            }
        }
        out
    }
}

impl Render for EnvHistoryOutcome {
    const TYPE: &'static str = "env.history";

    fn human(&self, _width: Option<usize>) -> String {
        if self.moves.is_empty() {
            return "no moves\n".to_owned();
        }
        let mut out = String::new();
        for MoveRow { asset, from, to, cause, actor, time_ms, override_reason, findings, .. } in &self.moves {
            let from = from.as_ref().map(|f| format!(" (was {})", id(f))).unwrap_or_default();
            let _ = writeln!(out, "{}  {cause}  {asset}@{}{from}", rfc3339(*time_ms), id(to));
            let _ = writeln!(out, "  by {actor}");
            for f in findings {
                let _ = writeln!(out, "  finding {}: {}", f.code, f.detail.as_deref().unwrap_or("-"));
            }
            if let Some(Text::Plain(reason)) = override_reason {
                let _ = writeln!(out, "  overridden: {reason}");
            }
        }
        out
    }
}
