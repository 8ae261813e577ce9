//! `run`: a command, or the steps of a pipeline file. Standard output belongs to the command.

use super::govern::close_leftovers;
use crate::args::RunArgs;
use crate::context::Cx;
use crate::ui::{Render, count};
use clade::ledger::Outcome;
use clade::ops;
use clade::ops::pipeline::{self, PipelineOutcome};
use clade::ops::run::{self, RunOptions, RunOutcome};
use clade::repo::Repo;

pub(crate) fn run(cx: &Cx, args: &RunArgs) -> ops::Result<u8> {
    let repo = cx.repo()?;
    close_leftovers(cx, &repo)?;
    if let Some(file) = &args.file {
        let json = cx.printer.is_json();
        let out = pipeline::run_file(&repo, file, &args.step, json, &mut |step| say(cx, step))?;
        if json {
            cx.printer.answer(&out)?;
        }
        if !out.skipped.is_empty() {
            cx.printer.warn(&format!("not run: {}", out.skipped.join(", ")));
        }
        return Ok(out.exit_code);
    }
    let options = RunOptions {
        step: None,
        inputs: args.inputs.iter().map(|text| run::parse_input(text)).collect(),
        outputs: args.outputs.clone(),
        code: from_here(&repo, &args.code)?,
        params: args.params.iter().map(|text| run::parse_param(text)).collect::<ops::Result<_>>()?,
        seed: args.seed,
        image: None,
        command: args.command.clone(),
        stdout_to_stderr: cx.printer.is_json(),
    };
    let out = run::run(&repo, &options)?;
    if cx.printer.is_json() {
        cx.printer.answer(&out)?;
    }
    say(cx, &out);
    Ok(out.exit_code)
}

/// Patterns that were typed in a folder, from the top of the working tree.
fn from_here(repo: &Repo, patterns: &[String]) -> ops::Result<Vec<String>> {
    let here = String::from_utf8_lossy(&repo.relative(&repo.context.cwd)?).into_owned();
    let full = |p: &String| if here.is_empty() { p.clone() } else { format!("{here}/{p}") };
    Ok(patterns.iter().map(full).collect())
}

fn say(cx: &Cx, out: &RunOutcome) {
    let step = out.step.as_ref().map(|s| format!("step {s}, ")).unwrap_or_default();
    let how = match (&out.outcome, out.signal, out.exit) {
        (Outcome::Done, ..) => "done".to_owned(),
        (_, Some(signal), _) => format!("killed by signal {signal}"),
        (_, None, Some(code)) => format!("failed with status {code}"),
        (other, ..) => other.to_string(),
    };
    let inputs = count(out.inputs.len() as u64, "input", "inputs");
    let outputs = count(out.outputs.len() as u64, "output", "outputs");
    cx.printer.status(&format!("recorded: {step}run {} {how}, {inputs}, {outputs}", out.run.short()));
    for file in &out.outputs {
        let partial = if file.partial { "  unfinished" } else { "" };
        cx.printer.status(&format!("  wrote {}@b3:{}{partial}", file.ver.asset, file.ver.id.short()));
    }
    for name in &out.undeclared {
        cx.printer.warn(&format!("no input says what {name} learned from: its origin stays unknown; add --in"));
    }
    if !out.unwritten.is_empty() {
        cx.printer.error(
            &ops::Error::not_found(format!("the command did not write {}", out.unwritten.join(", ")))
                .hint("name what it writes with --out; everything else of the run is recorded"),
        );
    }
}

impl Render for RunOutcome {
    const TYPE: &'static str = "run";

    fn human(&self, _width: Option<usize>) -> String {
        String::new()
    }
}

impl Render for PipelineOutcome {
    const TYPE: &'static str = "run.pipeline";

    fn human(&self, _width: Option<usize>) -> String {
        String::new()
    }
}
