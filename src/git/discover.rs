//! Finding a repository, and running the `git` program in it.

use super::{Error, Git, ObjectFormat, Oid, Result};
use crate::fsio;
use crate::process::{self, Command, Output};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What the environment says about git. The library reads no environment variables, so the caller hands
/// these on; all others reach the `git` program by inheritance.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The program: a path, or a name that is looked up in `PATH`.
    pub program: PathBuf,
    /// `GIT_INDEX_FILE`, which git sets for its hooks in the middle of a commit or stash.
    pub index_file: Option<PathBuf>,
    /// Further variables for every run of `git`.
    pub extra: Vec<(String, String)>,
}

impl Default for Environment {
    fn default() -> Self {
        Self { program: PathBuf::from("git"), index_file: None, extra: Vec::new() }
    }
}

/// A version of the `git` program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl Version {
    /// The oldest version that clade works with (`rev-parse --path-format`).
    pub const OLDEST: Self = Self { major: 2, minor: 31 };

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.strip_prefix("git version ")?.split('.');
        Some(Self { major: numbers.next()?.parse().ok()?, minor: numbers.next()?.parse().ok()? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Git {
    /// Finds the repository that `dir` is in, the way git finds it: `GIT_DIR` and its kin and
    /// `safe.directory` count.
    ///
    /// # Errors
    /// [`Error::NotARepository`], [`Error::Refused`], [`Error::TooOld`]; [`Error::Process`] when there is no `git` program.
    pub fn discover(dir: &Path) -> Result<Self> {
        Self::discover_with(dir, Environment::default())
    }

    /// Like [`Git::discover`], with what the environment says.
    ///
    /// # Errors
    /// Those of [`Git::discover`].
    pub fn discover_with(dir: &Path, env: Environment) -> Result<Self> {
        let base = |args: &[&str]| {
            let command = Command::new(&env.program).args(args).cwd(dir).env("LC_ALL", "C");
            env.extra.iter().fold(command, |c, (k, v)| c.env(k, v))
        };
        let version = base(&["version"]).run()?.text();
        let version = Version::parse(&version)
            .ok_or_else(|| Error::Output { command: "version".to_owned(), detail: version.clone() })?;
        if version < Version::OLDEST {
            return Err(Error::TooOld { found: version.to_string(), needed: "2.31" });
        }
        let asked = [
            "rev-parse",
            "--path-format=absolute",
            "--git-dir",
            "--git-common-dir",
            "--is-bare-repository",
            "--is-inside-work-tree",
            "--show-object-format",
        ];
        let out = base(&asked).output()?;
        if !out.success() {
            let reason = out.stderr_tail();
            let dir = dir.to_path_buf();
            return Err(if reason.contains("not a git repository") {
                Error::NotARepository { dir }
            } else {
                Error::Refused { dir, reason }
            });
        }
        let text = out.text();
        let lines: Vec<&str> = text.lines().collect();
        let [git_dir, common_dir, bare, inside, format] = lines[..] else {
            return Err(Error::Output { command: "rev-parse".to_owned(), detail: text });
        };
        let format = match format {
            "sha1" => ObjectFormat::Sha1,
            "sha256" => ObjectFormat::Sha256,
            other => return Err(Error::Output { command: "rev-parse".to_owned(), detail: other.to_owned() }),
        };
        let (git_dir, common_dir) = (PathBuf::from(git_dir), PathBuf::from(common_dir));
        let work_tree = if inside == "true" {
            Some(PathBuf::from(base(&["rev-parse", "--path-format=absolute", "--show-toplevel"]).run()?.text()))
        } else if bare == "true" {
            None
        } else {
            work_tree_of(&git_dir, &common_dir)?
        };
        Ok(Self { env, version, work_tree, git_dir, common_dir, format, objects: OnceLock::new() })
    }

    /// The top of the working tree.
    ///
    /// # Errors
    /// [`Error::Bare`] where there is none.
    pub fn require_work_tree(&self) -> Result<&Path> {
        self.work_tree().ok_or_else(|| Error::Bare { git_dir: self.git_dir.clone() })
    }

    /// A `git` command in this repository, at the top of its working tree.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.env.program)
            .args(args)
            .cwd(self.work_tree.as_deref().unwrap_or(&self.git_dir))
            // Error output is read here in places, so it must not be translated.
            .env("LC_ALL", "C")
            .env("GIT_DIR", &self.git_dir)
            .env_remove("GIT_PREFIX")
            // Nobody is asked by a program that itself runs below git.
            .env("GIT_OPTIONAL_LOCKS", "0");
        command = match &self.work_tree {
            Some(top) => command.env("GIT_WORK_TREE", top),
            None => command.env_remove("GIT_WORK_TREE"),
        };
        if let Some(path) = &self.env.index_file {
            command = command.env("GIT_INDEX_FILE", path);
        }
        self.env.extra.iter().fold(command, |c, (k, v)| c.env(k, v))
    }

    /// Runs `git` and returns its output.
    pub(super) fn run(&self, args: &[&str]) -> Result<Output> {
        Ok(self.command(args).run()?)
    }

    /// Runs `git` with input and returns its output.
    pub(super) fn run_with(&self, args: &[&str], stdin: Vec<u8>) -> Result<Output> {
        Ok(self.command(args).stdin(stdin).run()?)
    }

    /// Runs `git`, for commands where 1 is an answer: `None` for it.
    pub(super) fn ask(&self, args: &[&str]) -> Result<Option<Output>> {
        let command = self.command(args);
        let line = command.line();
        let out = command.output()?;
        match out.exit {
            process::Exit::Code(0) => Ok(Some(out)),
            process::Exit::Code(1) => Ok(None),
            exit => Err(process::Error::Failed { command: line, exit, stderr: out.stderr_tail() }.into()),
        }
    }

    pub(super) fn parse_oid(&self, command: &str, text: &str) -> Result<Oid> {
        Oid::parse(text)
            .filter(|o| o.as_bytes().len() == self.format.len_bytes())
            .ok_or_else(|| Error::Output { command: command.to_owned(), detail: format!("{text:?} is no object id") })
    }
}

/// The working tree of a git folder that we stand in.
fn work_tree_of(git_dir: &Path, common_dir: &Path) -> Result<Option<PathBuf>> {
    if git_dir == common_dir {
        let named = git_dir.file_name().is_some_and(|n| n == ".git");
        return Ok(git_dir.parent().filter(|_| named).map(Path::to_path_buf));
    }
    // A linked worktree's folder names the `.git` file at its top.
    let Some(bytes) = fsio::read_opt(&git_dir.join("gitdir"))? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
    Ok(git_dir.join(text).parent().map(Path::to_path_buf))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::test_repo::TestRepo;

    #[test]
    fn versions_of_all_makers() {
        for (text, major, minor) in [
            ("git version 2.47.3", 2, 47),
            ("git version 2.39.5 (Apple Git-154)", 2, 39),
            ("git version 3.0.rc1", 3, 0),
        ] {
            assert_eq!(Version::parse(text), Some(Version { major, minor }));
        }
        assert_eq!(Version::parse("hub"), None);
    }

    #[test]
    fn from_everywhere_in_a_repository() {
        let repo = TestRepo::new();
        repo.commit(&[("a/b/c", b"x")]);
        let top = repo.path().canonicalize().expect("a real path");
        for dir in ["", "a/b", ".git", ".git/refs"] {
            let git = repo.discover(&repo.path().join(dir)).expect("found");
            assert_eq!(git.work_tree(), Some(top.as_path()), "{dir}");
            assert_eq!(git.git_dir(), top.join(".git"), "{dir}");
        }
        repo.git(&["worktree", "add", "-q", "../linked"]);
        let linked = repo.path().join("../linked").canonicalize().expect("a real path");
        for dir in [linked.clone(), top.join(".git/worktrees/linked")] {
            let git = repo.discover(&dir).expect("found");
            assert_eq!((git.work_tree(), git.common_dir()), (Some(linked.as_path()), top.join(".git").as_path()));
            assert_eq!(git.git_dir(), top.join(".git/worktrees/linked"));
        }
        repo.git(&["clone", "-q", "--bare", ".", "../bare"]);
        let bare = repo.discover(&repo.path().join("../bare")).expect("found");
        assert!(bare.work_tree().is_none() && bare.require_work_tree().is_err());
    }

    #[test]
    fn outside_is_told_apart() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let env = Environment { extra: vec![("GIT_CEILING_DIRECTORIES".into(), "/".into())], ..Environment::default() };
        let err = Git::discover_with(dir.path(), env).expect_err("no repository");
        assert!(matches!(err, Error::NotARepository { .. }), "{err}");
    }
}
