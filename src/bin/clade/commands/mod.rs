//! One file a group of verbs: typed arguments to options, outcomes to text.

mod demo;
mod envs;
mod files;
mod govern;
mod plumbing;
mod remotes;
mod run;
mod setup;

use crate::args::Command;
use crate::context::Cx;
use clade::ops;

/// Runs a command and returns its exit code.
pub(crate) fn run(cx: &Cx, command: &Command) -> ops::Result<u8> {
    match command {
        Command::Init(args) => setup::init(cx, args),
        Command::Uninstall(args) => setup::uninstall(cx, args),
        Command::Track(args) => files::track(cx, args),
        Command::Untrack(args) => files::untrack(cx, args),
        Command::Add(args) => files::add(cx, args),
        Command::Status(_) => files::status(cx),
        Command::Log(args) => files::log(cx, args),
        Command::Pull(args) => remotes::pull(cx, args),
        Command::Push(args) => remotes::push(cx, args),
        Command::Drop(args) => files::drop(cx, args),
        Command::Restore(args) => remotes::restore(cx, args),
        Command::Remote(command) => remotes::remote(cx, command),
        Command::Verify(args) => remotes::verify(cx, args),
        Command::Doctor => setup::doctor(cx),
        Command::Completions(args) => setup::completions(args),
        Command::FilterProcess => plumbing::filter_process(cx),
        Command::Textconv(args) => plumbing::textconv(cx, args),
        Command::MergeDriver(args) => plumbing::merge_driver(cx, args),
        Command::Hook(args) => plumbing::hook(cx, args),
        Command::Run(args) => run::run(cx, args),
        Command::Impact(args) => govern::impact(cx, args),
        Command::Why(args) => govern::why(cx, args),
        Command::Flag(command) => govern::flag(cx, command),
        Command::Class(command) => govern::class(cx, command),
        Command::Promote(args) => envs::promote(cx, args),
        Command::Rollback(args) => envs::rollback(cx, args),
        Command::Env(command) => envs::env(cx, command),
        Command::Demo(args) => demo::demo(cx, args),
    }
}
