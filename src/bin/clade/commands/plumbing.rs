//! What git calls.

use crate::args::{HookArgs, MergeDriverArgs, TextconvArgs};
use crate::context::Cx;
use clade::fsio::Pipe;
use clade::git::hooks::Hook;
use clade::ops::merge::MergeOutcome;
use clade::ops::{self, Kind};
use clade::repo::Repo;
use std::io::{Read, Write};
use std::os::fd::AsFd as _;

/// A stream of this process without the buffering of the standard library.
fn raw(fd: std::io::Result<std::os::fd::OwnedFd>) -> ops::Result<Pipe> {
    fd.map(Pipe::of).map_err(|e| ops::Error::new(Kind::Io, format!("the pipe to git cannot be used: {e}")))
}

pub(crate) fn filter_process(cx: &Cx) -> ops::Result<u8> {
    let input = raw(std::io::stdin().as_fd().try_clone_to_owned())?;
    let output = raw(std::io::stdout().as_fd().try_clone_to_owned())?;
    let repo = Repo::discover(&cx.context)?;
    ops::init::init_fresh_clone(&repo)?;
    ops::filter::filter_process(&repo, input, output, &mut |line| cx.printer.plain(line))?;
    Ok(0)
}

pub(crate) fn textconv(cx: &Cx, args: &TextconvArgs) -> ops::Result<u8> {
    let bytes = ops::merge::textconv(&cx.context.cwd.join(&args.file))?;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(&bytes);
    Ok(0)
}

pub(crate) fn merge_driver(cx: &Cx, args: &MergeDriverArgs) -> ops::Result<u8> {
    let cwd = &cx.context.cwd;
    match ops::merge::merge(&cwd.join(&args.base), &cwd.join(&args.ours), &cwd.join(&args.theirs))? {
        MergeOutcome::Merged => Ok(0),
        MergeOutcome::Conflict => {
            let path = args.path.to_string_lossy();
            cx.printer
                .plain(&format!("clade: {path}: both sides have a new version; ours is kept in the working tree"));
            cx.printer
                .plain(&format!("hint: take theirs with `git checkout --theirs -- {path}`, then `git add {path}`"));
            Ok(1)
        }
    }
}

pub(crate) fn hook(cx: &Cx, args: &HookArgs) -> ops::Result<u8> {
    let Some(hook) = Hook::from_name(&args.name) else {
        return Err(ops::Error::usage(format!("{:?} is no hook", args.name)));
    };
    let run = || -> ops::Result<()> {
        let repo = Repo::open(&cx.context)?;
        let mut input = String::new();
        if matches!(hook, Hook::PrePush | Hook::ReferenceTransaction) {
            std::io::stdin()
                .lock()
                .read_to_string(&mut input)
                .map_err(|e| ops::Error::new(Kind::Io, format!("git's words cannot be read: {e}")))?;
        }
        let words: Vec<String> = args.args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
        let uploaded = std::env::var_os(ops::push::UPLOADED).is_some();
        let report = ops::hook::run(&repo, hook, args.git_pid.unwrap_or(0), &words, &input, uploaded)?;
        for line in report.lines {
            cx.printer.plain(&line);
        }
        Ok(())
    };
    match run() {
        Ok(()) => Ok(0),
        // git knows one failure only.
        Err(e) => {
            cx.printer.error(&e);
            Ok(1)
        }
    }
}
