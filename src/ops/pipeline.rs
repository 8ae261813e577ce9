//! `clade run -f`: the steps of a pipeline file, in the order in which their outputs feed each other.

use super::run::{ROLES, RunOptions, RunOutcome, run};
use super::{Error, Result};
use crate::fsio;
use crate::ledger::{Params, Role, covers};
use crate::limits::MAX_CONFIG_BYTES;
use crate::repo::Repo;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A pipeline file, version 1.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pipeline {
    version: u32,
    #[serde(default)]
    step: BTreeMap<String, Step>,
}

/// A step. Paths count from the top of the working tree.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    cmd: Vec<String>,
    #[serde(default, rename = "in")]
    inputs: BTreeMap<String, OneOrMany>,
    #[serde(default)]
    out: Vec<String>,
    #[serde(default)]
    code: Vec<String>,
    #[serde(default)]
    params: Params,
    seed: Option<u64>,
    image: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// What became of the steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PipelineOutcome {
    /// The steps that ran, in order; a failed one is the last.
    pub steps: Vec<RunOutcome>,
    /// Steps that did not run because one before them failed.
    pub skipped: Vec<String>,
    /// What clade exits with: that of the last step.
    pub exit_code: u8,
}

/// Runs the steps of `file` that are named, all where none is, and records each. Stops after the first that fails.
///
/// # Errors
/// When the file is not valid, a named step is unknown, or steps need each other in a circle; and those of
/// [`run`].
pub fn run_file(
    repo: &Repo,
    file: &Path,
    steps: &[String],
    stdout_to_stderr: bool,
    done: &mut dyn FnMut(&RunOutcome),
) -> Result<PipelineOutcome> {
    let own = repo.relative(file)?;
    let absolute = repo.absolute(&own)?;
    if !fsio::exists(&absolute) {
        return Err(Error::not_found(format!("{} is not there", file.display())));
    }
    let text = String::from_utf8_lossy(&fsio::read_limited(&absolute, MAX_CONFIG_BYTES as u64)?).into_owned();
    let pipeline = parse(file, &text)?;
    let order = order(file, &pipeline)?;
    let wanted: BTreeSet<&String> = steps.iter().collect();
    if let Some(unknown) = wanted.iter().find(|n| !pipeline.step.contains_key(**n)) {
        return Err(Error::not_found(format!("{} has no step {unknown:?}", file.display()))
            .hint(format!("its steps: {}", order.join(", "))));
    }
    // Paths of a pipeline mean the same from everywhere.
    let mut context = repo.context.clone();
    context.cwd = repo.git.require_work_tree()?.to_path_buf();
    let repo = Repo::open(&context)?;
    let mut todo = order.into_iter().filter(|n| wanted.is_empty() || wanted.contains(n));
    let mut out = PipelineOutcome { steps: Vec::new(), skipped: Vec::new(), exit_code: 0 };
    for name in todo.by_ref() {
        let step = &pipeline.step[&name];
        let mut inputs = Vec::new();
        for (role, paths) in &step.inputs {
            inputs.extend(paths.all().iter().map(|p| (Some(Role::from(role.as_str())), p.clone())));
        }
        inputs.push((Some(Role::Config), String::from_utf8_lossy(&own).into_owned()));
        let options = RunOptions {
            step: Some(name),
            inputs,
            outputs: step.out.iter().map(PathBuf::from).collect(),
            code: step.code.clone(),
            params: step.params.clone(),
            seed: step.seed,
            image: step.image.clone(),
            command: step.cmd.iter().map(Into::into).collect(),
            stdout_to_stderr,
        };
        let outcome = run(&repo, &options)?;
        done(&outcome);
        out.exit_code = outcome.exit_code;
        out.steps.push(outcome);
        if out.exit_code != 0 {
            break;
        }
    }
    out.skipped = todo.collect();
    Ok(out)
}

fn parse(file: &Path, text: &str) -> Result<Pipeline> {
    let wrong = |what: String| Error::not_found(format!("{}: {what}", file.display()));
    let pipeline: Pipeline = toml::from_str(text).map_err(|e| {
        let line = e.span().map(|s| text[..s.start.min(text.len())].matches('\n').count() + 1);
        wrong(match line {
            Some(line) => format!("line {line}: {}", e.message()),
            None => e.message().to_owned(),
        })
    })?;
    if pipeline.version != 1 {
        return Err(wrong(format!("version {} is not known to this clade, only 1", pipeline.version)));
    }
    for (name, step) in &pipeline.step {
        if step.cmd.is_empty() {
            return Err(wrong(format!("step {name:?} has an empty cmd")));
        }
        if let Some(role) = step.inputs.keys().find(|k| !ROLES.iter().any(|r| r.as_str() == k.as_str())) {
            let roles: Vec<String> = ROLES.iter().map(ToString::to_string).collect();
            return Err(wrong(format!("step {name:?} has an input role {role:?}"))
                .hint(format!("roles are {}", roles.join(", "))));
        }
    }
    Ok(pipeline)
}

/// The steps so that each comes after those whose outputs it reads; by name among equals.
fn order(file: &Path, pipeline: &Pipeline) -> Result<Vec<String>> {
    let feeds = |from: &Step, to: &Step| {
        let read = || to.inputs.values().flat_map(OneOrMany::all).map(|p| clean(p));
        from.out.iter().map(|o| clean(o)).any(|o| read().any(|i| covers(o, i) || covers(i, o)))
    };
    let mut left: BTreeMap<&String, &Step> = pipeline.step.iter().collect();
    let mut out = Vec::new();
    while !left.is_empty() {
        let ready = left.iter().find(|(name, step)| !left.iter().any(|(n, s)| n != *name && feeds(s, step)));
        let Some(name) = ready.map(|(name, _)| (*name).clone()) else {
            let names: Vec<&str> = left.keys().map(|n| n.as_str()).collect();
            return Err(Error::not_found(format!("{}: steps need each other: {}", file.display(), names.join(", "))));
        };
        left.remove(&name);
        out.push(name);
    }
    Ok(out)
}

fn clean(path: &str) -> &str {
    path.trim_start_matches("./").trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Result<Vec<String>> {
        let file = Path::new("p.toml");
        order(file, &parse(file, text)?)
    }

    #[test]
    fn outputs_come_before_what_reads_them() {
        let text = "version = 1\n[step.a]\ncmd = ['x']\nin = { train = ['./mid/'] }\nout = ['m.pt']\n\
                    [step.z]\ncmd = ['x']\nout = ['mid/part.csv']\nparams = { n = 1 }\n";
        assert_eq!(steps(text).expect("valid"), ["z", "a"]);
        let circle = text.replace("out = ['mid/part.csv']", "in = { base = 'm.pt' }\nout = ['mid']");
        assert!(steps(&circle).expect_err("a circle").message.contains("a, z"));
    }

    #[test]
    fn what_is_unknown_is_named_with_its_line() {
        let e = steps("version = 1\n[step.a]\ncmd = ['x']\nouts = ['m']\n").expect_err("a typo");
        assert!(e.message.contains("line 4") && e.message.contains("outs"), "{e}");
        let e = steps("version = 1\n[step.a]\ncmd = ['x']\nin = { trian = ['m'] }\n").expect_err("a typo");
        assert!(e.message.contains("trian"), "{e}");
        assert!(steps("version = 2\n").is_err() && steps("version = 1\n[step.a]\ncmd = []\n").is_err());
    }
}
