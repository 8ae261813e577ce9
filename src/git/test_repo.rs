//! A repository for unit tests, untouched by the machine's git configuration.

use super::{Environment, Git, Oid, Result};
use crate::fsio;
use crate::process::{Command, Output};
use std::path::{Path, PathBuf};

/// A repository in a temporary folder, removed with the value.
pub(super) struct TestRepo {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn variables(home: &Path) -> Vec<(String, String)> {
    [
        ("HOME", home.to_str().expect("text")),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "A U Thor"),
        ("GIT_AUTHOR_EMAIL", "author@example.com"),
        ("GIT_COMMITTER_NAME", "C O Mitter"),
        ("GIT_COMMITTER_EMAIL", "committer@example.com"),
        ("GIT_AUTHOR_DATE", "1700000000 +0000"),
        ("GIT_COMMITTER_DATE", "1700000000 +0000"),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .collect()
}

impl TestRepo {
    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(init_args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("repo");
        fsio::create_dir_all(&path).expect("creates");
        let repo = Self { _dir: dir, path };
        repo.git(&[&["init", "-q", "-b", "main"], init_args].concat());
        repo
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn env(&self) -> Environment {
        Environment { extra: variables(&self.path), ..Environment::default() }
    }

    pub(super) fn discover(&self, dir: &Path) -> Result<Git> {
        Git::discover_with(dir, self.env())
    }

    pub(super) fn open(&self) -> Git {
        self.discover(&self.path).expect("a repository")
    }

    pub(super) fn git(&self, args: &[&str]) -> Output {
        let command = Command::new("git").args(args).cwd(&self.path);
        variables(&self.path).iter().fold(command, |c, (k, v)| c.env(k, v)).run().expect("git works")
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path.join(path);
        fsio::create_dir_all(path.parent().expect("below the top")).expect("creates");
        fsio::write_atomic(&path, bytes).expect("writes");
    }

    /// Writes files and commits them.
    pub(super) fn commit(&self, files: &[(&str, &[u8])]) -> Oid {
        for (path, bytes) in files {
            self.write(path, bytes);
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "c"]);
        self.oid("HEAD")
    }

    pub(super) fn oid(&self, rev: &str) -> Oid {
        Oid::parse(&self.git(&["rev-parse", rev]).text()).expect("an id")
    }
}
