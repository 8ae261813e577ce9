//! init, uninstall, doctor, completions.

use crate::args::{Cli, CompletionsArgs, InitArgs, UninstallArgs};
use crate::context::Cx;
use crate::ui::{Render, count, human_bytes};
use clade::ops;
use clade::ops::doctor::DoctorOutcome;
use clade::ops::init::{InitOutcome, UninstallOutcome};
use clap::CommandFactory as _;

impl Render for InitOutcome {
    const TYPE: &'static str = "init";

    fn human(&self, _: Option<usize>) -> String {
        let Some(repository) = &self.repository else {
            return "clade is set up for all clones of this user. A fresh clone is ready after its checkout.\n"
                .to_owned();
        };
        let mut out = format!("clade is set up in this clone. Ledger {repository}\n");
        if self.created {
            out.push_str("Commit .clade/config.toml (it is staged): it gives the repository its identity.\n");
        }
        for hook in &self.chained_hooks {
            out.push_str(&format!("The hook {hook} that was there runs first, then clade's.\n"));
        }
        for found in &self.found {
            out.push_str(&format!("{}:\n  {}\n", found.what, found.command));
        }
        out
    }
}

pub(crate) fn init(cx: &Cx, args: &InitArgs) -> ops::Result<u8> {
    if args.global {
        cx.printer.answer(&ops::init::init_global(&cx.context)?)?;
        return Ok(0);
    }
    let outcome = ops::init::init(&cx.context)?;
    cx.printer.answer(&outcome)?;
    if let Some(path) = &outcome.hooks_elsewhere {
        cx.printer.warn(&format!(
            "hooks are kept in {path}, where clade writes nothing: checkouts leave pointers, and pushes do not upload"
        ));
        cx.printer.hint("after a checkout run `clade pull`; push with `clade push`");
    }
    if let Some(problem) = &outcome.ledger_problem {
        cx.printer.warn(&format!("the ledger could not be fetched: {problem}"));
    }
    if outcome.pointers > 0 {
        cx.printer.hint(&format!(
            "{} in the working tree: `clade pull` fetches the bytes",
            count(outcome.pointers, "pointer is", "pointers are")
        ));
    }
    Ok(0)
}

impl Render for UninstallOutcome {
    const TYPE: &'static str = "uninstall";

    fn human(&self, _: Option<usize>) -> String {
        let Some(store) = &self.store else {
            return "clade is no longer set up for all clones of this user.\n".to_owned();
        };
        let mut out = "clade is taken out of this clone: settings, refspecs and hooks are what they were.\n".to_owned();
        out.push_str(&format!(
            "The store stays, so that nothing is lost: {} in {store}\n",
            human_bytes(self.store_bytes)
        ));
        if self.pointers > 0 {
            let files = count(self.pointers, "file is a pointer", "files are pointers");
            out.push_str(&format!("{files} in the working tree; `clade init` and `clade pull` bring the bytes.\n"));
        }
        out
    }
}

pub(crate) fn uninstall(cx: &Cx, args: &UninstallArgs) -> ops::Result<u8> {
    let outcome =
        if args.global { ops::init::uninstall_global(&cx.context)? } else { ops::init::uninstall(&cx.context)? };
    cx.printer.answer(&outcome)?;
    Ok(0)
}

impl Render for DoctorOutcome {
    const TYPE: &'static str = "doctor";

    fn human(&self, _: Option<usize>) -> String {
        let mut out = String::new();
        for check in &self.checks {
            out.push_str(&format!("{}  {}: {}\n", if check.ok { "ok  " } else { "FAIL" }, check.what, check.detail));
            if let Some(command) = &check.command {
                out.push_str(&format!("      next: {command}\n"));
            }
        }
        out
    }
}

pub(crate) fn doctor(cx: &Cx) -> ops::Result<u8> {
    let outcome = ops::doctor::doctor(&cx.context)?;
    cx.printer.answer(&outcome)?;
    Ok(u8::from(!outcome.is_healthy()))
}

pub(crate) fn completions(args: &CompletionsArgs) -> ops::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "clade", &mut script);
    let mut out = std::io::stdout().lock();
    match std::io::Write::write_all(&mut out, &script) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(ops::Error::new(ops::Kind::Io, format!("cannot write the completions: {e}")))
        }
        _ => Ok(0),
    }
}
