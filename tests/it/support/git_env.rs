//! A world of its own for tests with the real git program: no configuration of the machine reaches it, names and
//! times are fixed, and it is removed with the value.

use clade::git::{Environment, Git, Oid};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A temporary folder with a repository in `repo`.
pub(crate) struct World {
    dir: tempfile::TempDir,
    program: PathBuf,
}

/// The git programs of this machine: the one on the path, and the system's where it is another one.
pub(crate) fn programs() -> Vec<PathBuf> {
    let version = |program: &Path| Command::new(program).arg("version").output().ok().map(|out| out.stdout);
    let mut out = vec![PathBuf::from("git")];
    let system = PathBuf::from("/usr/bin/git");
    if version(&system).is_some_and(|v| Some(v) != version(&out[0])) {
        out.push(system);
    }
    out
}

impl World {
    /// A world with an empty repository, made by the `git` on the path.
    pub(crate) fn new() -> Self {
        Self::with(Path::new("git"), &[])
    }

    /// A world with an empty repository, made by `program` with further arguments to `init`.
    pub(crate) fn with(program: &Path, init_args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let world = Self { dir, program: program.to_path_buf() };
        std::fs::create_dir(world.repo()).expect("creates");
        world.git(&[&["init", "-q", "-b", "main"], init_args].concat());
        world
    }

    /// The folder around everything; also the home folder.
    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The repository's working tree.
    pub(crate) fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    /// The variables of this world.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let home = self.root().to_str().expect("text").to_owned();
        [
            ("HOME", home.as_str()),
            ("XDG_CONFIG_HOME", home.as_str()),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_AUTHOR_NAME", "A U Thor"),
            ("GIT_AUTHOR_EMAIL", "author@example.com"),
            ("GIT_COMMITTER_NAME", "C O Mitter"),
            ("GIT_COMMITTER_EMAIL", "committer@example.com"),
            ("GIT_AUTHOR_DATE", "1700000000 +0000"),
            ("GIT_COMMITTER_DATE", "1700000000 +0000"),
            ("LC_ALL", "C"),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
    }

    /// A program in the repository, with this world's variables.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.repo()).envs(self.variables());
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs git in the repository and returns however it ended.
    pub(crate) fn try_git(&self, args: &[&str]) -> Output {
        self.command(&self.program).args(args).output().expect("git starts")
    }

    /// Runs git in the repository and returns its output; any failure ends the test.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let out = self.try_git(args);
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).expect("text").trim_end().to_owned()
    }

    /// Writes a file of the repository and the folders above it.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.repo().join(path);
        std::fs::create_dir_all(path.parent().expect("below the top")).expect("creates");
        std::fs::write(path, bytes).expect("writes");
    }

    /// Reads a file of the repository.
    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.repo().join(path)).expect("reads")
    }

    /// Adds everything and commits.
    pub(crate) fn commit(&self) -> Oid {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "c"]);
        self.oid("HEAD")
    }

    /// The id that a revision names.
    pub(crate) fn oid(&self, rev: &str) -> Oid {
        Oid::parse(&self.git(&["rev-parse", rev])).expect("an id")
    }

    /// What the library is told of this world.
    pub(crate) fn environment(&self) -> Environment {
        Environment { program: self.program.clone(), index_file: None, extra: self.variables() }
    }

    /// The library's view of the repository.
    pub(crate) fn open(&self) -> Git {
        Git::discover_with(&self.repo(), self.environment()).expect("a repository")
    }
}
