//! `class`, `impact`, `why`, `flag`: classifications and the questions about them.

use crate::args::{ClassCommand, FlagCommand, ImpactArgs, WhyArgs};
use crate::context::Cx;
use crate::ui::{Render, Table, count};
use clade::clock::rfc3339;
use clade::ledger::{FlagKind, Scope, Text, Verdict};
use clade::lineage::{Basis, Coverage, ImpactRow, NodeRef, Step, StepEdge};
use clade::ops::class::{ClassEntry, ClassLogOutcome, ClassOutcome, ClassSetOptions, Sent};
use clade::ops::flag::FlagListOutcome;
use clade::ops::impact::{ImpactCount, ImpactOutcome, Target, WhyOutcome};
use clade::ops::questions::EnvPlace;
use clade::ops::{self, class, flag, impact, promote::scope_text, run_journal};
use clade::repo::Repo;
use std::fmt::Write as _;

/// Records runs whose process is gone, and says so.
pub(crate) fn close_leftovers(cx: &Cx, repo: &Repo) -> ops::Result<()> {
    for run in run_journal::close_leftovers(repo)? {
        let outputs =
            if run.outputs.is_empty() { String::new() } else { format!(", leaving {}", run.outputs.join(", ")) };
        cx.printer.status(&format!("recorded as killed: run {} ({}){outputs}", run.run.short(), run.command.join(" ")));
    }
    Ok(())
}

pub(crate) fn impact(cx: &Cx, args: &ImpactArgs) -> ops::Result<u8> {
    let repo = cx.repo()?;
    close_leftovers(cx, &repo)?;
    let target = match (&args.target, &args.file) {
        (_, Some(file)) => Target::File(file.clone()),
        (Some(name), None) => Target::Name(name.clone()),
        (None, None) => return Err(ops::Error::usage("nothing is named")),
    };
    let out = impact::impact(&repo, &target)?;
    let counts = out.report.counts;
    if args.count {
        cx.printer.answer(&ImpactCount { counts, coverage: out.report.coverage })?;
    } else {
        cx.printer.answer(&out)?;
    }
    Ok(u8::from(args.exit_code && counts.affected + counts.possible + counts.unknown > 0))
}

pub(crate) fn why(cx: &Cx, args: &WhyArgs) -> ops::Result<u8> {
    let repo = cx.repo()?;
    cx.printer.answer(&impact::why(&repo, &args.descendant, &args.ancestor)?)?;
    Ok(0)
}

pub(crate) fn flag(cx: &Cx, command: &FlagCommand) -> ops::Result<u8> {
    let FlagCommand::List { name, exit_code } = command;
    let repo = cx.repo()?;
    close_leftovers(cx, &repo)?;
    let out = flag::list(&repo, name.as_deref())?;
    cx.printer.answer(&out)?;
    Ok(u8::from(*exit_code && !out.flags.is_empty()))
}

pub(crate) fn class(cx: &Cx, command: &ClassCommand) -> ops::Result<u8> {
    let repo = cx.repo()?;
    let out = match command {
        ClassCommand::Set { target, content, level, tags, reason, supersedes } => {
            let target = match (target, content) {
                (_, Some(file)) => Target::File(file.clone()),
                (Some(name), None) => Target::Name(name.clone()),
                (None, None) => return Err(ops::Error::usage("nothing is named")),
            };
            let options = ClassSetOptions {
                target,
                level: level.clone(),
                tags: tags.clone(),
                reason: reason.clone(),
                supersedes: supersedes.clone(),
            };
            class::set(&repo, &options)?
        }
        ClassCommand::Retract { events, reason } => class::retract(&repo, events, reason)?,
        ClassCommand::Log { name } => {
            cx.printer.answer(&class::log(&repo, name.as_deref())?)?;
            return Ok(0);
        }
    };
    cx.printer.answer(&out)?;
    for id in &out.stays {
        cx.printer.warn(&format!(
            "classification {} of the same scope is higher and stays in force; --supersedes {} replaces it",
            id.short(),
            id.short()
        ));
    }
    if let Sent::Here { reason } = &out.sent {
        cx.printer.warn(&format!("recorded here only: {reason}"));
        cx.printer.hint("`clade push` sends it when the remote can be reached");
    }
    if let (Some(scope), true) = (out.scopes.first(), matches!(command, ClassCommand::Set { .. })) {
        cx.printer.hint(&format!("`clade impact {}` names the models that descend from it", full_scope(scope)));
    }
    Ok(0)
}

/// A scope as it can be typed again.
fn full_scope(scope: &Scope) -> String {
    match scope {
        Scope::Content(id) => format!("b3:{id}"),
        scope => scope_text(scope),
    }
}

impl Render for ClassOutcome {
    const TYPE: &'static str = "class.recorded";

    fn human(&self, _width: Option<usize>) -> String {
        let scopes: Vec<String> = self.scopes.iter().map(scope_text).collect();
        let mut said: Vec<String> = self.level.iter().map(ToString::to_string).collect();
        said.extend(self.tags.iter().cloned());
        let mut out = String::new();
        if said.is_empty() {
            let ids: Vec<String> = self.replaces.iter().map(|id| id.short()).collect();
            let _ = writeln!(out, "retracted {} of {}", ids.join(", "), scopes.join(", "));
        } else {
            let _ = writeln!(out, "{}: {}", scopes.join(", "), said.join(", "));
            for id in &self.replaces {
                let _ = writeln!(out, "  replaces {}", id.short());
            }
        }
        let _ = writeln!(out, "  event {}", self.event.short());
        out
    }
}

fn words(text: &Text) -> &str {
    match text {
        Text::Plain(words) => words,
        Text::Sealed { .. } => "(sealed)",
    }
}

impl Render for ClassLogOutcome {
    const TYPE: &'static str = "class.log";

    fn human(&self, _width: Option<usize>) -> String {
        if self.classes.is_empty() {
            return "no classification\n".to_owned();
        }
        let mut out = String::new();
        for ClassEntry {
            event,
            scope,
            level,
            tags,
            reason,
            source,
            actor,
            time_ms,
            active,
            replaced_by,
            retracted_by,
        } in &self.classes
        {
            let mut label: Vec<&str> = level.iter().map(|l| l.as_str()).collect();
            label.extend(tags.iter().map(String::as_str));
            let state = match (active, retracted_by.is_empty()) {
                (true, _) => "in force",
                (false, false) => "retracted",
                (false, true) => "replaced",
            };
            let _ = writeln!(out, "{}  {state}  {}  {}", event.short(), label.join(", "), scope_text(scope));
            let _ = writeln!(out, "  {} by {actor} ({source})", rfc3339(*time_ms));
            if !words(reason).is_empty() {
                let _ = writeln!(out, "  reason: {}", words(reason));
            }
            for id in replaced_by {
                let _ = writeln!(out, "  replaced by {}", id.short());
            }
            for r in retracted_by {
                let _ = writeln!(out, "  retracted {} by {}: {}", rfc3339(r.time_ms), r.actor, words(&r.reason));
            }
        }
        out
    }
}

fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Affected => "affected",
        Verdict::Possible => "possible",
        Verdict::Unknown => "unknown",
        Verdict::Unaffected => "unaffected",
    }
}

fn basis_words(basis: Basis) -> &'static str {
    match basis {
        Basis::Selected => "is this content",
        Basis::Contains => "contains it",
        Basis::Run => "made from it",
        Basis::TrivialContent => "same few bytes",
        Basis::NamedOnly => "a name in a run",
        Basis::Selector => "read a part",
        Basis::NoRecordedRun => "no recorded origin",
        Basis::DescendsFromUnknown => "made from unknown",
        Basis::Unrecorded => "not recorded",
        Basis::NotDownstream => "recorded otherwise",
    }
}

fn node_words(node: &NodeRef) -> String {
    match node {
        NodeRef::Content { asset: Some(asset), id, .. } => format!("{asset}@b3:{}", id.short()),
        NodeRef::Content { id, .. } => format!("b3:{}", id.short()),
        NodeRef::Page { id } => format!("page {}", id.short()),
        NodeRef::Named { name } => format!("{name} (only named)"),
        NodeRef::Run { run, step: Some(step), .. } => format!("run {} (step {step})", run.short()),
        NodeRef::Run { run, .. } => format!("run {}", run.short()),
    }
}

fn envs_of(environments: &[EnvPlace], asset: &str, id: &clade::id::Digest) -> String {
    let here = environments.iter().filter(|e| e.asset == asset && e.content.id == *id);
    let names: Vec<&str> = here.map(|e| e.env.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("in {}", names.join(", ")) }
}

fn rows(out: &mut String, title: &str, rows: &[&ImpactRow], environments: &[EnvPlace]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "{title}");
    for row in rows {
        let mut table = Table::default();
        let partial = if row.partial { "unfinished" } else { "" };
        let cells = [
            format!("{}@b3:{}", row.asset, row.id.short()),
            basis_words(row.basis).to_owned(),
            envs_of(environments, &row.asset, &row.id),
            partial.to_owned(),
        ];
        table.row(cells.into_iter().filter(|c| !c.is_empty()));
        out.push_str(&table.render("  ", None));
        let paths: Vec<&str> = row.paths.iter().filter(|p| **p != row.asset).map(String::as_str).collect();
        if !paths.is_empty() {
            let _ = writeln!(out, "    at {}", paths.join(", "));
        }
        if let Some(w) = &row.witness {
            let role = w.role.as_ref().map(|r| format!(" as {r}")).unwrap_or_default();
            let run = w.run.as_ref().map(|r| format!(" by {}", node_words(r))).unwrap_or_default();
            let _ = writeln!(out, "    from {}{role}{run}", node_words(&w.from));
        }
    }
}

fn coverage(out: &mut String, c: &Coverage) {
    let _ = writeln!(
        out,
        "Coverage: ledger {} ({}), {}",
        c.ledger.short(),
        count(c.batches, "batch", "batches"),
        count(c.models_total, "model version", "model versions"),
    );
    let _ = writeln!(
        out,
        "  {} of unknown origin, {} on refs not recorded",
        c.models_unknown_origin,
        count(c.unrecorded_count, "version", "versions")
    );
    for w in &c.writers {
        let _ = writeln!(out, "  writer {} last seen {}", w.writer, rfc3339(w.last_seen_ms));
    }
    let odd = [
        (c.missing_batches, "batches that others name are missing"),
        (c.equivocations, "numbers were used twice by one writer"),
        (c.unknown_events, "events are of a newer clade and have no effect here"),
        (c.unknown_fields, "fields are of a newer clade and have no effect here"),
    ];
    for (n, what) in odd.into_iter().filter(|(n, _)| *n > 0) {
        let _ = writeln!(out, "  {n} {what}");
    }
}

impl Render for ImpactOutcome {
    const TYPE: &'static str = "impact";

    fn human(&self, _width: Option<usize>) -> String {
        let mut out = String::new();
        for t in &self.report.target {
            let matched = count(t.matched_count, "known content", "known contents");
            let _ = writeln!(out, "{}: {matched}", scope_text(&t.scope));
        }
        for verdict in [Verdict::Affected, Verdict::Possible, Verdict::Unknown, Verdict::Unaffected] {
            let found: Vec<&ImpactRow> = self.report.models.iter().filter(|r| r.verdict == verdict).collect();
            let title = format!("\nModels {} ({})", verdict_word(verdict), found.len());
            rows(&mut out, &title, &found, &self.environments);
        }
        if self.report.models.is_empty() {
            out.push_str("\nNo model is known\n");
        }
        let others: Vec<&ImpactRow> = self.report.others.iter().collect();
        rows(&mut out, &format!("\nOther versions downstream ({})", others.len()), &others, &self.environments);
        out.push('\n');
        coverage(&mut out, &self.report.coverage);
        out
    }
}

impl Render for ImpactCount {
    const TYPE: &'static str = "impact.count";

    fn human(&self, _width: Option<usize>) -> String {
        let c = &self.counts;
        let mut out = format!(
            "affected {}, possible {}, unknown {}, unaffected {}\n",
            c.affected, c.possible, c.unknown, c.unaffected
        );
        coverage(&mut out, &self.coverage);
        out
    }
}

fn step_words(step: &Step) -> String {
    let node = node_words(&step.node);
    let maybe = if step.possible { " (perhaps)" } else { "" };
    let how = match &step.edge {
        StepEdge::Start { .. } => return format!("{node}{maybe}"),
        StepEdge::Contains => "is in".to_owned(),
        StepEdge::Member => "holds".to_owned(),
        StepEdge::Input { role, evidence, selector } => {
            let part = selector.as_ref().map(|s| format!(", only {s}")).unwrap_or_default();
            format!("read as {role} ({evidence}{part}) by")
        }
        StepEdge::Output { partial: true } => "left unfinished".to_owned(),
        StepEdge::Output { partial: false } => "wrote".to_owned(),
        StepEdge::SameContent => "same few bytes as".to_owned(),
        StepEdge::Named => "may be what is named".to_owned(),
    };
    format!("{how} {node}{maybe}")
}

impl Render for WhyOutcome {
    const TYPE: &'static str = "why";

    fn human(&self, _width: Option<usize>) -> String {
        let mut out =
            format!("{}@b3:{}: {}\n", self.asset, self.report.to.id.short(), verdict_word(self.report.verdict));
        for path in &self.report.paths {
            let learned = if path.learned { "" } else { ", measured or looked up only" };
            let _ = writeln!(out, "\n{}{learned}", verdict_word(path.verdict));
            for step in &path.steps {
                let _ = writeln!(out, "  {}", step_words(step));
            }
        }
        out.push('\n');
        coverage(&mut out, &self.coverage);
        out
    }
}

impl Render for FlagListOutcome {
    const TYPE: &'static str = "flag.list";

    fn human(&self, _width: Option<usize>) -> String {
        let mut out = String::new();
        if self.flags.is_empty() {
            out.push_str("no flags\n");
        }
        for flag in &self.flags {
            let kind = match flag.flag {
                FlagKind::Retrain => "retrain",
                FlagKind::Review => "review",
            };
            let envs = envs_of(&self.environments, &flag.asset, &flag.id);
            let _ = writeln!(out, "{}", format!("{kind}  {}@b3:{}  {envs}", flag.asset, flag.id.short()).trim_end());
            let causes: Vec<String> = flag.causes.iter().map(|id| id.short()).collect();
            let _ = writeln!(
                out,
                "  {} by {} data, classification {}",
                verdict_word(flag.verdict),
                flag.level,
                causes.join(", ")
            );
            for step in &flag.path {
                let _ = writeln!(out, "    {}", step_words(step));
            }
        }
        out.push('\n');
        coverage(&mut out, &self.coverage);
        out
    }
}
