//! `clade run`: runs a command and records what it read and wrote.
//!
//! Inputs are identified before the command starts, outputs after it ended. A run that ended with another status
//! than 0 or by a signal is recorded with every output that it changed as partial. A declared output that a
//! command with status 0 did not write is an error: the run is recorded as done, with the outputs that it did
//! write, since those are finished. An output that was written again with equal bytes counts as written.

use super::questions::{self, page_sink, scrub};
use super::run_journal::{Journal, Process, close_leftovers};
use super::{Error, Result};
use crate::clock::Stopwatch;
use crate::fsio::{self, StatKind};
use crate::id::{FileId, RunId, StepDigest};
use crate::ledger::{
    Code, Content, Event, Evidence, Ledger, Lock, Machine, Outcome, Params, Role, RunInput, RunOutput, RunRecorded,
    Version, VersionSeen, redact_command, redact_params,
};
use crate::process::{self, Command, Exit};
use crate::progress::Interrupt;
use crate::repo::{AssetVersion, Repo};
use crate::store::{Presence, Session, SessionKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

/// The roles that can be typed.
pub const ROLES: [Role; 9] = [
    Role::Train,
    Role::Finetune,
    Role::Base,
    Role::Eval,
    Role::Golden,
    Role::Tokenizer,
    Role::Config,
    Role::Reference,
    Role::Resume,
];

/// What is to be run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Name of the pipeline's step.
    pub step: Option<String>,
    /// What it reads: role, and a path, asset or `NAME@X`.
    pub inputs: Vec<(Option<Role>, String)>,
    /// What it writes.
    pub outputs: Vec<PathBuf>,
    /// Patterns of its code, from the top of the working tree.
    pub code: Vec<String>,
    /// Parameters to record.
    pub params: Params,
    /// Random seed to record.
    pub seed: Option<u64>,
    /// Container image to record.
    pub image: Option<String>,
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// Let the command write its output to our error output.
    pub stdout_to_stderr: bool,
}

/// A version that a run read or wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunFile {
    /// The role of an input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The version.
    #[serde(flatten)]
    pub ver: Version,
    /// Its path in the repository.
    pub path: String,
    /// Whether an output is unfinished.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunOutcome {
    /// The run.
    pub run: RunId,
    /// Name of the pipeline's step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The command's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The signal that ended the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What clade exits with: the command's status, 128 plus its signal, or 3 for outputs that it did not write.
    pub exit_code: u8,
    /// What it read.
    pub inputs: Vec<RunFile>,
    /// What it wrote.
    pub outputs: Vec<RunFile>,
    /// Declared outputs that a command with status 0 did not write.
    pub unwritten: Vec<String>,
    /// Models among the outputs that no input says the origin of.
    pub undeclared: Vec<String>,
}

/// Stat data of a file: path, size, times, number.
type FileStat = (Vec<u8>, u64, String, u64);

/// What a declared output held before the command started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Before {
    /// From the top of the working tree.
    pub(super) path: Vec<u8>,
    /// The versions at or below it.
    pub(super) held: Vec<Version>,
    files: BTreeSet<FileStat>,
}

impl Before {
    /// Whether a version was not there before.
    pub(super) fn differs(&self, version: &AssetVersion) -> bool {
        !self.held.iter().any(|v| v.content() == Content::from(version.content))
    }

    fn was(&self, version: &AssetVersion) -> Option<Version> {
        self.held.iter().find(|v| v.asset == version.asset).cloned()
    }
}

/// Runs the command and records it.
///
/// # Errors
/// Before the command starts: an input that does not exist, a pattern that matches nothing, a path outside. After
/// it: when the record could not be written; then the journal stays and the next clade command records it.
pub fn run(repo: &Repo, options: &RunOptions) -> Result<RunOutcome> {
    let Some((program, args)) = options.command.split_first() else {
        return Err(Error::usage("no command was given").hint("clade run --in DATA --out MODEL -- COMMAND"));
    };
    repo.git.require_work_tree()?;
    close_leftovers(repo)?;
    let ledger = repo.ledger()?;
    let store = repo.store()?;
    let mut session = store.session(SessionKind::Batch, repo.progress(), repo.interrupt());
    let mut seen_now: Vec<AssetVersion> = Vec::new();
    let mut inputs: Vec<RunInput> = Vec::new();
    for (role, text) in &options.inputs {
        let (version, mut input) = resolve_input(repo, &ledger, text, &mut session)?;
        input.role = role.clone().unwrap_or(Role::Train);
        inputs.push(input);
        seen_now.extend(version);
    }
    let mut before = Vec::new();
    let partial = questions::partial_contents(repo, &ledger)?;
    for output in &options.outputs {
        let path = repo.relative(output)?;
        if path.is_empty() {
            return Err(Error::usage("the whole working tree cannot be an output").hint("name the files or folders"));
        }
        let versions = repo.places_written(&path, &mut page_sink(&mut session))?;
        let held = versions.iter().map(ledger_version).collect();
        for version in versions {
            let members = version.members.iter().map(|m| Content::file(m.file_id));
            let known = std::iter::once(Content::from(version.content)).chain(members).any(|c| partial.contains(&c));
            if known {
                inputs.push(RunInput {
                    ver: Some(ledger_version(&version)),
                    path: version.path.clone(),
                    role: Role::Resume,
                    selector: None,
                    evidence: Evidence::Observed,
                    by: None,
                    at_ms: None,
                });
                seen_now.push(version);
            }
        }
        before.push(Before { files: files_at(repo, &path)?, path, held });
    }
    session.finish()?;
    let secrets = &repo.context.secrets;
    let command: Vec<String> = options.command.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let command = redact_command(&command, secrets);
    let params = redact_params(&options.params, secrets);
    let image = options.image.as_deref().map(|i| scrub(repo, i));
    let code = code_files(repo, &options.code)?;
    let step_digest = (!options.code.is_empty()).then(|| step_digest(&command, &params, image.as_deref(), &code));
    let record = RunRecorded {
        run: RunId::new_v7(),
        step: options.step.clone(),
        step_digest,
        command,
        start_ms: repo.now_ms(),
        wall_ms: 0,
        outcome: Outcome::Killed,
        exit: None,
        signal: None,
        code: code_state(repo)?,
        env: machine(repo, image)?,
        params,
        seed: options.seed,
        inputs,
        outputs: Vec::new(),
    };
    let top = repo.git.require_work_tree()?.to_path_buf();
    let seen = unknown_of(&ledger, &seen_now);
    let processes = vec![Process::of(process::own_id())];
    let mut journal = Journal { v: 1, top, processes, run: record, seen, before };
    journal.write(repo)?;
    let watch = Stopwatch::start();
    let command = Command::new(program).args(args).cwd(&repo.context.cwd).stdout_to_stderr(options.stdout_to_stderr);
    let child = match command.spawn_forwarding() {
        Ok(child) => child,
        Err(e) => {
            // Nothing ran, so there is nothing to record.
            journal.remove(repo)?;
            return Err(e.into());
        }
    };
    // Should clade itself be killed, its command may go on: only the end of both is the end of the run. The
    // command runs already, so a full disk is told later, by the record.
    journal.processes.push(Process::of(child.id()));
    let _ = journal.write(repo);
    let exit = child.wait()?;
    journal.run.wall_ms = watch.elapsed_ms();
    // What asked the command to stop must not stop its record.
    let mut context = repo.context.clone();
    context.interrupt = Interrupt::default();
    finish(&Repo::open(&context)?, journal, exit)
}

/// Records how the command ended and what it left.
fn finish(repo: &Repo, mut journal: Journal, exit: Exit) -> Result<RunOutcome> {
    let (outcome, code, signal) = match exit {
        Exit::Code(0) => (Outcome::Done, Some(0), None),
        // A shell or launcher tells a signal of its own child this way.
        Exit::Code(code @ 129..=192) => (Outcome::Killed, Some(code), Some(code - 128)),
        Exit::Code(code) => (Outcome::Failed, Some(code), None),
        Exit::Signal(signal) => (Outcome::Killed, None, Some(signal)),
    };
    let done = outcome == Outcome::Done;
    let store = repo.store()?;
    let mut session = store.session(SessionKind::Batch, repo.progress(), repo.interrupt());
    let mut unwritten = Vec::new();
    let mut written: Vec<AssetVersion> = Vec::new();
    for before in &journal.before {
        let now = repo.places_written(&before.path, &mut page_sink(&mut session))?;
        let touched = files_at(repo, &before.path)? != before.files;
        let mut any = false;
        for version in now {
            // After a failure equal bytes are what was there before, and must not become partial.
            if before.differs(&version) || (done && touched) {
                any = true;
                store_members(repo, &mut session, &version)?;
                let output = output(&version, before, !done);
                if !journal.run.outputs.iter().any(|o| o.ver == output.ver) {
                    journal.run.outputs.push(output);
                    written.push(version);
                }
            }
        }
        if done && !any {
            unwritten.push(String::from_utf8_lossy(&before.path).into_owned());
        }
    }
    session.finish()?;
    (journal.run.outcome, journal.run.exit, journal.run.signal) = (outcome.clone(), code, signal);
    let ledger = repo.ledger()?;
    let mut seen = journal.seen.clone();
    seen.extend(unknown_of(&ledger, &written));
    let run = journal.run.clone();
    record(repo, run.clone(), seen)?;
    journal.remove(repo)?;
    let says_origin = run.inputs.iter().any(|i| i.role.learns() && !matches!(i.role, Role::Config | Role::Tokenizer));
    let is_model = |v: &&AssetVersion| v.kind == crate::ledger::AssetKind::Model;
    let undeclared: Vec<String> =
        if says_origin { Vec::new() } else { written.iter().filter(is_model).map(|v| v.asset.clone()).collect() };
    let exit_code = match exit.shell_code() {
        0 if !unwritten.is_empty() => 3,
        code => u8::try_from(code & 0xff).unwrap_or(1),
    };
    let file = |role: Option<Role>, ver: &Version, path: &str, partial| RunFile {
        role,
        ver: ver.clone(),
        path: path.to_owned(),
        partial,
    };
    let inputs = run.inputs.iter().filter_map(|i| Some(file(Some(i.role.clone()), i.ver.as_ref()?, &i.path, false)));
    let outputs = run.outputs.iter().map(|o| file(None, &o.ver, &o.path, o.partial));
    Ok(RunOutcome {
        run: run.run,
        step: run.step.clone(),
        outcome,
        exit: code,
        signal,
        exit_code,
        inputs: inputs.collect(),
        outputs: outputs.collect(),
        unwritten,
        undeclared,
    })
}

/// Reads `[ROLE=]WHAT`. A word before `=` that is no role belongs to the path.
pub fn parse_input(text: &str) -> (Option<Role>, String) {
    if let Some((word, rest)) = text.split_once('=')
        && let Some(role) = ROLES.into_iter().find(|r| r.as_str() == word)
    {
        return (Some(role), rest.to_owned());
    }
    (None, text.to_owned())
}

/// Reads `NAME=VALUE`; a value that is a number or a truth value is recorded as one.
pub fn parse_param(text: &str) -> Result<(String, serde_json::Value)> {
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err(Error::usage(format!("parameter {text:?} has no name")).hint("--param NAME=VALUE"));
    };
    let parsed = match serde_json::from_str(value) {
        Ok(plain @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => plain,
        _ => serde_json::Value::String(value.to_owned()),
    };
    Ok((name.to_owned(), parsed))
}

fn resolve_input(
    repo: &Repo,
    ledger: &Ledger,
    text: &str,
    session: &mut Session<'_>,
) -> Result<(Option<AssetVersion>, RunInput)> {
    let input = |ver: Version, path: String, selector: Option<String>| RunInput {
        ver: Some(ver),
        path,
        role: Role::Train,
        selector,
        evidence: Evidence::Declared,
        by: None,
        at_ms: None,
    };
    let relative = repo.relative(text.as_ref());
    if let Ok(path) = &relative
        && let Some(place) = repo.place_at(path, &mut page_sink(session))?
    {
        let path = String::from_utf8_lossy(path).into_owned();
        let input = input(ledger_version(&place.version), path, place.part.clone());
        return Ok((Some(place.version), input));
    }
    match repo.resolve(text, ledger, &mut page_sink(session)) {
        Ok(resolved) => {
            let named = resolved.named;
            let path = named.version.as_ref().map_or_else(|| named.asset.clone(), |v| v.path.clone());
            let input = input(named.ledger_version(), path, None);
            Ok((named.version, input))
        }
        Err(e) => {
            let exists = fsio::exists(&repo.context.cwd.join(text));
            let mut out = match relative {
                Err(outside) if exists => outside.into(),
                Ok(_) if exists => Error::not_found(format!("git ignores everything at {text}"))
                    .hint("only what git knows or would add has a version: name the files, or change .gitignore"),
                _ => Error::from(e).context(format!("input {text:?} is neither a path nor a known version")),
            };
            if let Some((word, _)) = text.split_once('=').filter(|(w, _)| !w.contains(['/', '.'])) {
                let roles: Vec<String> = ROLES.iter().map(ToString::to_string).collect();
                out = out.hint(format!("{word:?} is no role; roles are {}", roles.join(", ")));
            }
            Err(out)
        }
    }
}

fn ledger_version(version: &AssetVersion) -> Version {
    Version::new(version.asset.clone(), version.content.into())
}

pub(super) fn output(version: &AssetVersion, before: &Before, partial: bool) -> RunOutput {
    let ver = ledger_version(version);
    RunOutput { before: before.was(version).filter(|b| *b != ver), ver, path: version.path.clone(), partial }
}

fn seen(version: &AssetVersion) -> VersionSeen {
    VersionSeen {
        ver: ledger_version(version),
        kind: version.kind.clone(),
        size_bytes: version.size_bytes,
        files: version.members.len() as u64,
        sha256: None,
        commit: None,
        path: version.path.clone(),
        owner: version.owner.clone(),
    }
}

/// The `version.seen` of those that no event of the ledger has.
pub(super) fn unknown_of(ledger: &Ledger, versions: &[AssetVersion]) -> Vec<VersionSeen> {
    let known: BTreeSet<&Version> = ledger
        .events()
        .filter_map(|e| match e.event {
            Event::VersionSeen(seen) => Some(&seen.ver),
            _ => None,
        })
        .collect();
    let fresh: BTreeMap<Version, VersionSeen> =
        versions.iter().map(|v| (ledger_version(v), seen(v))).filter(|(v, _)| !known.contains(v)).collect();
    fresh.into_values().collect()
}

/// Stores the bytes of a version's files that are in the working tree.
pub(super) fn store_members(repo: &Repo, session: &mut Session<'_>, version: &AssetVersion) -> Result<()> {
    for member in version.members.iter().filter(|m| !m.is_pointer && m.size_bytes > 0 && m.mode != 0o120_000) {
        if repo.store()?.presence(member.file_id, member.size_bytes)? != Presence::Complete {
            let (stored, stat) = session.add_path(&repo.absolute(&member.path)?)?;
            repo.remember(&[(member.path.clone(), stat, stored.file_id)])?;
        }
    }
    Ok(())
}

pub(super) fn record(repo: &Repo, run: RunRecorded, seen: Vec<VersionSeen>) -> Result<()> {
    let mut events: Vec<Event> = seen.into_iter().map(Event::VersionSeen).collect();
    events.push(Event::RunRecorded(Box::new(run)));
    repo.record(events)?;
    Ok(())
}

/// Stat data of what git would see at a path, to tell whether a command wrote it.
fn files_at(repo: &Repo, path: &[u8]) -> Result<BTreeSet<FileStat>> {
    let mut out = BTreeSet::new();
    let is_dir = fsio::stat(&repo.absolute(path)?)?.is_some_and(|s| s.kind == StatKind::Dir);
    let files = if is_dir { repo.git.list_files(&[path.to_vec()])? } else { vec![path.to_vec()] };
    for file in files {
        if let Some(stat) = fsio::stat(&repo.absolute(&file)?)? {
            out.insert((file, stat.size_bytes, format!("{}/{}", stat.mtime_ns, stat.ctime_ns), stat.ino));
        }
    }
    Ok(out)
}

fn code_files(repo: &Repo, patterns: &[String]) -> Result<Vec<(String, FileId)>> {
    let mut out = BTreeSet::new();
    for pattern in patterns {
        let found = repo.git.list_matching(std::slice::from_ref(pattern))?;
        let mut any = false;
        for path in found {
            if let Some((id, _)) = repo.file_content(&path)? {
                any = true;
                out.insert((String::from_utf8_lossy(&path).into_owned(), id));
            }
        }
        if !any {
            return Err(Error::not_found(format!("no file matches the code pattern {pattern:?}"))
                .hint("patterns count from the top of the repository; ** stands for any folders"));
        }
    }
    Ok(out.into_iter().collect())
}

/// BLAKE3 of the MessagePack array [command, parameters, image or nil, [[path, file id], …]]: command and
/// parameters after secrets were replaced, parameters and code files sorted by name.
fn step_digest(command: &[String], params: &Params, image: Option<&str>, code: &[(String, FileId)]) -> StepDigest {
    let bytes = rmp_serde::to_vec(&(command, params, image, code)).expect("plain values encode");
    StepDigest::of(&bytes)
}

fn code_state(repo: &Repo) -> Result<Code> {
    let commit = repo.git.resolve_commit("HEAD")?.map(|c| c.to_string());
    let changed = repo.git.status(&[])?;
    // Files that git does not track are data and results more often than code.
    let dirty = changed.iter().any(|(letters, _)| letters != b"??");
    Ok(Code { commit, dirty })
}

fn machine(repo: &Repo, image: Option<String>) -> Result<Machine> {
    const LOCKS: [&str; 9] = [
        "Cargo.lock",
        "Pipfile.lock",
        "conda-lock.yml",
        "environment.yml",
        "package-lock.json",
        "pdm.lock",
        "pixi.lock",
        "poetry.lock",
        "requirements.txt",
    ];
    let mut locks = Vec::new();
    for path in LOCKS.into_iter().chain(["uv.lock"]) {
        if let Some((id, _)) = repo.file_content(path.as_bytes())? {
            locks.push(Lock { path: path.to_owned(), id });
        }
    }
    let os = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let driver = fsio::read_opt("/proc/driver/nvidia/version".as_ref()).ok().flatten();
    let gpu = driver.and_then(|b| String::from_utf8_lossy(&b).lines().next().map(|l| l.trim().to_owned()));
    Ok(Machine { os, gpu, image, locks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_one_of_the_known_words() {
        assert_eq!(parse_input("base=m.pt"), (Some(Role::Base), "m.pt".to_owned()));
        assert_eq!(parse_input("a=b.csv"), (None, "a=b.csv".to_owned()));
        assert_eq!(parse_input("data"), (None, "data".to_owned()));
    }

    #[test]
    fn parameters_keep_their_type() {
        assert_eq!(parse_param("lr=0.1").expect("valid").1, serde_json::json!(0.1));
        assert_eq!(parse_param("name=0x").expect("valid").1, serde_json::json!("0x"));
        assert_eq!(parse_param("flag=true").expect("valid").1, serde_json::json!(true));
        assert!(parse_param("=1").is_err() && parse_param("x").is_err());
    }

    #[test]
    fn the_step_digest_depends_on_all_of_the_step() {
        let (a, b) = (FileId::of(b"a"), FileId::of(b"b"));
        let cmd = ["train".to_owned()];
        let params: Params = [("lr".to_owned(), serde_json::json!(1))].into();
        let base = step_digest(&cmd, &params, None, &[("x".to_owned(), a)]);
        assert_eq!(base, step_digest(&cmd, &params, None, &[("x".to_owned(), a)]));
        assert_ne!(base, step_digest(&cmd, &params, None, &[("x".to_owned(), b)]));
        assert_ne!(base, step_digest(&cmd, &params, Some("i"), &[("x".to_owned(), a)]));
        assert_ne!(base, step_digest(&cmd, &Params::new(), None, &[("x".to_owned(), a)]));
        assert_ne!(base, step_digest(&[], &params, None, &[("x".to_owned(), a)]));
    }
}
