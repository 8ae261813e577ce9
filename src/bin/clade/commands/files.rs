//! track, untrack, add, status, log, drop.

use crate::args::{AddArgs, DropArgs, LogArgs, TrackArgs, UntrackArgs};
use crate::context::Cx;
use crate::ui::{Render, Table, count, human_bytes};
use clade::ops;
use clade::ops::add::{AddOptions, AddOutcome};
use clade::ops::drop::DropOutcome;
use clade::ops::log::LogOutcome;
use clade::ops::status::StatusOutcome;
use clade::ops::track::{TrackOptions, TrackOutcome};

impl Render for AddOutcome {
    const TYPE: &'static str = "add";

    fn human(&self, _: Option<usize>) -> String {
        if self.files == 0 {
            return format!("Nothing for clade; git keeps {} itself.\n", count(self.plain_files, "file", "files"));
        }
        format!(
            "{}, {}: {} new, {} written\n",
            count(self.files, "file", "files"),
            human_bytes(self.size_bytes),
            human_bytes(self.new_bytes),
            human_bytes(self.stored_bytes)
        )
    }
}

pub(crate) fn add(cx: &Cx, args: &AddArgs) -> ops::Result<u8> {
    let options = AddOptions { paths: args.paths.clone(), as_is: args.as_is };
    cx.printer.answer(&ops::add::add(&cx.repo()?, &options)?)?;
    Ok(0)
}

impl Render for TrackOutcome {
    const TYPE: &'static str = "track";

    fn human(&self, _: Option<usize>) -> String {
        let mut out = match self.changed_lines {
            0 => format!("{} says so already.\n", self.attributes_file),
            n => format!("{} changed in {} (staged).\n", count(n, "line", "lines"), self.attributes_file),
        };
        if self.staged.files > 0 {
            out.push_str(&format!(
                "{} that git knew ({}) staged as pointers.\n",
                count(self.staged.files, "file", "files"),
                human_bytes(self.staged.size_bytes)
            ));
        }
        if self.staged.plain_files > 0 {
            out.push_str(&format!("{} staged as content.\n", count(self.staged.plain_files, "file", "files")));
        }
        out
    }
}

pub(crate) fn track(cx: &Cx, args: &TrackArgs) -> ops::Result<u8> {
    let options = TrackOptions {
        patterns: args.patterns.clone(),
        kind: args.kind.clone(),
        asset: args.asset.clone(),
        owner: args.owner.clone(),
        attributes_only: args.attributes_only,
    };
    cx.printer.answer(&ops::track::track(&cx.repo()?, &options)?)?;
    Ok(0)
}

pub(crate) fn untrack(cx: &Cx, args: &UntrackArgs) -> ops::Result<u8> {
    cx.printer.answer(&ops::track::untrack(&cx.repo()?, &args.patterns)?)?;
    Ok(0)
}

impl Render for StatusOutcome {
    const TYPE: &'static str = "status";

    fn human(&self, width: Option<usize>) -> String {
        let mut out = String::new();
        let branch = self.branch.as_deref().unwrap_or("no branch");
        out.push_str(&format!(
            "On {branch}: {} in {} kept by clade\n",
            count(self.files, "file", "files"),
            count(self.assets, "asset", "assets")
        ));
        let mut table = Table::default();
        for file in &self.changed {
            table.row([file.change, if file.staged { "staged" } else { "" }, &file.path]);
        }
        if !table.is_empty() {
            out.push_str("Changed:\n");
            out.push_str(&table.render("  ", width));
        }
        if self.pointers > 0 {
            let pointers = count(self.pointers, "file is a pointer", "files are pointers");
            out.push_str(&format!("{pointers} here ({}): `clade pull`\n", human_bytes(self.pointer_bytes)));
        }
        for (remote, lacking) in &self.unpushed {
            match lacking {
                0 => out.push_str(&format!("Remote {remote} has every version of HEAD\n")),
                n => out.push_str(&format!(
                    "Remote {remote} lacks {} of HEAD: `clade push`\n",
                    count(*n, "version", "versions")
                )),
            }
        }
        for remote in &self.unreachable {
            out.push_str(&format!("Remote {remote} could not be asked\n"));
        }
        out.push_str(&format!(
            "Ledger {}{}\n",
            self.ledger,
            if self.ledger_unsent { "; unsent batches: `clade push`" } else { "" }
        ));
        let mut table = Table::default();
        for (env, asset, id) in &self.environments {
            table.row([env, asset, id]);
        }
        if !table.is_empty() {
            out.push_str("Environments:\n");
            out.push_str(&table.render("  ", width));
        }
        out.push_str(&format!(
            "Store: {} in {}\n",
            human_bytes(self.store_bytes),
            count(self.store_packs, "pack", "packs")
        ));
        out
    }
}

pub(crate) fn status(cx: &Cx) -> ops::Result<u8> {
    let repo = cx.repo()?;
    let _ = ops::hook::send_after_interrupted_push(&repo);
    cx.printer.answer(&ops::status::status(&repo)?)?;
    Ok(0)
}

impl Render for LogOutcome {
    const TYPE: &'static str = "log";

    fn human(&self, width: Option<usize>) -> String {
        let mut table = Table::default();
        for row in &self.versions {
            let envs: Vec<&str> = row.environments.iter().map(String::as_str).collect();
            let envs = if envs.is_empty() { String::new() } else { format!("[{}] ", envs.join(", ")) };
            table.row([
                format!("b3:{}", &row.id[..12]),
                row.commit[..10].to_owned(),
                row.time[..10].to_owned(),
                human_bytes(row.size_bytes),
                row.asset.clone(),
                format!("{envs}{}", row.subject),
            ]);
        }
        if table.is_empty() { "No versions are committed yet.\n".to_owned() } else { table.render("", width) }
    }
}

pub(crate) fn log(cx: &Cx, args: &LogArgs) -> ops::Result<u8> {
    cx.printer.answer(&ops::log::log(&cx.repo()?, args.name.as_deref(), args.max_count)?)?;
    Ok(0)
}

struct Dropped {
    outcome: DropOutcome,
    dry_run: bool,
}

impl serde::Serialize for Dropped {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.outcome.serialize(s)
    }
}

impl Render for Dropped {
    const TYPE: &'static str = "drop";

    fn human(&self, width: Option<usize>) -> String {
        let verb = if self.dry_run { "would become" } else { "became" };
        let files = count(self.outcome.dropped, "file", "files");
        let mut out = format!("{files} ({}) {verb} pointers.\n", human_bytes(self.outcome.dropped_bytes));
        let mut table = Table::default();
        for kept in &self.outcome.kept {
            table.row([&kept.path, &kept.reason]);
        }
        if !table.is_empty() {
            out.push_str("Kept:\n");
            out.push_str(&table.render("  ", width));
        }
        out
    }
}

pub(crate) fn drop(cx: &Cx, args: &DropArgs) -> ops::Result<u8> {
    let outcome = ops::drop::drop(&cx.repo()?, &args.paths, args.dry_run)?;
    cx.printer.answer(&Dropped { outcome, dry_run: args.dry_run })?;
    Ok(0)
}
