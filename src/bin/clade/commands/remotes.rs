//! pull, push, restore, remote, verify.

use crate::args::{PullArgs, PushArgs, RemoteCommand, RestoreArgs, VerifyArgs};
use crate::context::Cx;
use crate::ui::{Render, Table, count, human_bytes};
use clade::ops;
use clade::ops::pull::{PullOptions, PullOutcome};
use clade::ops::push::PushOutcome;
use clade::ops::remotes::{ChunkRemote, RemoteAddOutcome};
use clade::ops::restore::{RestoreOptions, RestoreOutcome};
use clade::ops::verify::VerifyOutcome;
use clade::store::VerifyLevel;

impl Render for PullOutcome {
    const TYPE: &'static str = "pull";

    fn human(&self, _: Option<usize>) -> String {
        match self.pointers {
            0 => "Everything is in place.\n".to_owned(),
            _ => format!(
                "{} ({}) put in place.\n",
                count(self.hydrated.hydrated, "file", "files"),
                human_bytes(self.hydrated.hydrated_bytes)
            ),
        }
    }
}

pub(crate) fn pull(cx: &Cx, args: &PullArgs) -> ops::Result<u8> {
    let options =
        PullOptions { paths: args.paths.clone(), include: args.include.clone(), no_checkout: args.no_checkout };
    let outcome = ops::pull::pull(&cx.repo()?, &options)?;
    cx.printer.answer(&outcome)?;
    if let Some(problem) = &outcome.ledger_problem {
        cx.printer.warn(&format!("the ledger could not be fetched: {problem}"));
    }
    Ok(0)
}

struct Pushed {
    outcome: PushOutcome,
    dry_run: bool,
}

impl serde::Serialize for Pushed {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.outcome.serialize(s)
    }
}

impl Render for Pushed {
    const TYPE: &'static str = "push";

    fn human(&self, _: Option<usize>) -> String {
        let mut out = String::new();
        for upload in &self.outcome.uploads {
            let sent = &upload.sent;
            let line = match (self.dry_run, sent.record_count) {
                (_, 0) => format!("{}: nothing new\n", upload.remote),
                (true, n) => {
                    format!("{}: {} would be sent in {n} records\n", upload.remote, human_bytes(sent.plain_bytes))
                }
                (false, n) => format!(
                    "{}: {} sent for {} in {n} records\n",
                    upload.remote,
                    human_bytes(sent.sent_bytes),
                    human_bytes(sent.plain_bytes)
                ),
            };
            out.push_str(&line);
        }
        if self.outcome.ledger_sent {
            out.push_str("Ledger sent.\n");
        }
        if out.is_empty() { "Nothing to upload.\n".to_owned() } else { out }
    }
}

pub(crate) fn push(cx: &Cx, args: &PushArgs) -> ops::Result<u8> {
    let repo = cx.repo()?;
    let remote = args.remote.as_deref();
    let outcome = if args.dry_run {
        ops::push::dry_run(&repo, remote, &args.refspecs)?
    } else {
        ops::push::push(&repo, remote, &args.refspecs, args.no_refs)?
    };
    let outcome = Pushed { outcome, dry_run: args.dry_run };
    cx.printer.answer(&outcome)?;
    if let Some(problem) = &outcome.outcome.ledger_problem {
        cx.printer.warn(&format!("the ledger could not be sent: {problem}"));
        cx.printer.hint("`clade push` tries again");
        return Ok(6);
    }
    Ok(0)
}

impl Render for RestoreOutcome {
    const TYPE: &'static str = "restore";

    fn human(&self, _: Option<usize>) -> String {
        let unchanged = match self.unchanged {
            0 => String::new(),
            n => format!(", {n} already there"),
        };
        format!(
            "{} b3:{} ({}): {} written{unchanged}, {}\n",
            self.asset,
            &self.id[..12],
            self.via,
            count(self.written, "file", "files"),
            human_bytes(self.size_bytes)
        )
    }
}

pub(crate) fn restore(cx: &Cx, args: &RestoreArgs) -> ops::Result<u8> {
    let options = RestoreOptions {
        version: args.version.clone(),
        to: args.to.clone(),
        from: args.from.clone(),
        git: args.git.clone(),
        force: args.force,
        offline: args.offline,
    };
    let outcome = ops::restore::restore(&cx.context, &options)?;
    cx.printer.answer(&outcome)?;
    for warning in &outcome.warnings {
        cx.printer.warn(warning);
    }
    Ok(0)
}

impl Render for RemoteAddOutcome {
    const TYPE: &'static str = "remote.add";

    fn human(&self, _: Option<usize>) -> String {
        let entries = match self.log_entries {
            0 => "new".to_owned(),
            n => format!("{n} log entries"),
        };
        format!(
            "Remote {} at {} ({entries}): it keeps keys from being created twice.\n",
            self.remote.name, self.remote.url
        )
    }
}

#[derive(serde::Serialize)]
struct Remotes {
    remotes: Vec<ChunkRemote>,
}

impl Render for Remotes {
    const TYPE: &'static str = "remote.list";

    fn human(&self, width: Option<usize>) -> String {
        let mut table = Table::default();
        for remote in &self.remotes {
            table.row([
                remote.name.as_str(),
                remote.url.as_str(),
                if remote.implied { "(beside the git remote)" } else { "" },
            ]);
        }
        if table.is_empty() { "No remote holds copies yet.\n".to_owned() } else { table.render("", width) }
    }
}

#[derive(serde::Serialize)]
struct Removed {
    #[serde(flatten)]
    remote: ChunkRemote,
}

impl Render for Removed {
    const TYPE: &'static str = "remote.remove";

    fn human(&self, _: Option<usize>) -> String {
        format!("Remote {} is forgotten; what it holds stays at {}\n", self.remote.name, self.remote.url)
    }
}

pub(crate) fn remote(cx: &Cx, command: &RemoteCommand) -> ops::Result<u8> {
    let repo = cx.repo()?;
    match command {
        RemoteCommand::Add { name, url } => cx.printer.answer(&ops::remotes::add(&repo, name, url)?)?,
        RemoteCommand::List => cx.printer.answer(&Remotes { remotes: ops::remotes::readable(&repo)? })?,
        RemoteCommand::Remove { name } => cx.printer.answer(&Removed { remote: ops::remotes::remove(&repo, name)? })?,
    }
    Ok(0)
}

impl Render for VerifyOutcome {
    const TYPE: &'static str = "verify";

    fn human(&self, width: Option<usize>) -> String {
        let mut out = format!(
            "{} ({}) and {} checked, {} of refs\n",
            count(self.store.pack_count, "pack", "packs"),
            human_bytes(self.store.pack_bytes),
            count(self.store.record_count, "record", "records"),
            count(self.version_count, "version", "versions")
        );
        let mut table = Table::default();
        for finding in &self.store.findings {
            table.row([finding.code, &finding.pack, finding.record.as_deref().unwrap_or(""), &finding.detail]);
        }
        for file in &self.incomplete {
            table.row(["file_hit", &file.path, &file.asset, &format!("b3:{}", &file.file[..12])]);
        }
        out.push_str(&table.render("  ", width));
        if self.elsewhere > 0 {
            out.push_str(&format!(
                "{} not here; remotes may have them\n",
                count(self.elsewhere, "file is", "files are")
            ));
        }
        if !self.is_damaged() {
            out.push_str("No damage.\n");
        }
        out
    }
}

pub(crate) fn verify(cx: &Cx, args: &VerifyArgs) -> ops::Result<u8> {
    let level = if args.quick { VerifyLevel::Quick } else { VerifyLevel::Full };
    let outcome = ops::verify::verify(&cx.repo()?, level)?;
    cx.printer.answer(&outcome)?;
    if outcome.is_damaged() {
        cx.printer.hint("`clade pull` fetches good copies of what remotes have");
        return Ok(5);
    }
    Ok(0)
}
