//! A repository, what is beside it, and commands in it. It can be copied as it is, to begin again from the same state.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A temporary folder with `repo`, `origin.git` and, where it was made, `clone`.
pub(crate) struct World {
    dir: tempfile::TempDir,
}

/// Bytes from a seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

impl World {
    /// A repository under clade with one committed table, and further files that git does not know yet. Its
    /// remote is named by a relative path, so that a copy of the folder is a world of its own.
    pub(crate) fn new(seed: u64) -> Self {
        let world = Self { dir: tempfile::tempdir().expect("a temporary folder") };
        let origin = world.path("origin.git");
        world.must(world.root(), &["git", "init", "-q", "--bare", "-b", "main", origin.to_str().expect("text")]);
        world.must(world.root(), &["git", "init", "-q", "-b", "main", "repo"]);
        let repo = world.path("repo");
        world.must(&repo, &["git", "remote", "add", "origin", "../origin.git"]);
        world.must(&repo, &["clade", "init"]);
        world.must(&repo, &["clade", "track", "*.bin", "*.csv"]);
        let rows = |n: u64| (0..n).map(|i| format!("{i},{},{}\n", i * seed.max(1), i * i)).collect::<String>();
        std::fs::write(repo.join("first.csv"), rows(5_000)).expect("writes");
        world.must(&repo, &["git", "add", "-A"]);
        world.must(&repo, &["git", "commit", "-qm", "one"]);
        std::fs::create_dir(repo.join("more")).expect("creates");
        std::fs::write(repo.join("more/table.csv"), rows(9_000)).expect("writes");
        let mut mixed = noise(seed, 700_000);
        mixed.resize(1_100_000, 0);
        mixed.extend(noise(seed + 100, 90_000));
        std::fs::write(repo.join("more/mixed.bin"), mixed).expect("writes");
        world
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same state in another folder.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self { dir: tempfile::tempdir().expect("a temporary folder") };
        let from = format!("{}/.", self.root().display());
        let status = Command::new("cp").args(["-a", &from]).arg(copy.root()).status().expect("cp starts");
        assert!(status.success());
        copy
    }

    /// Runs a command, with `fault` asked of clade. The word `clade` is the program under test.
    pub(crate) fn run(&self, dir: &Path, args: &[&str], fault: Option<&str>) -> Output {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_clade"));
        let mut command = Command::new(if args[0] == "clade" { program.as_os_str() } else { args[0].as_ref() });
        // Filter and hooks name their program themselves; tests of its faults must meet the same one.
        let home = self.root();
        command.args(&args[1..]).current_dir(dir).env("HOME", home).env("XDG_CONFIG_HOME", home);
        for (name, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_AUTHOR_NAME", "A U Thor"),
            ("GIT_AUTHOR_EMAIL", "author@example.com"),
            ("GIT_COMMITTER_NAME", "C O Mitter"),
            ("GIT_COMMITTER_EMAIL", "committer@example.com"),
            ("LC_ALL", "C"),
        ] {
            command.env(name, value);
        }
        let beside = program.parent().expect("a folder").to_path_buf();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(beside).chain(std::env::split_paths(&path))).expect("joins");
        command.env("PATH", path);
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "CI", "CLADE_TEST_FAULT"] {
            command.env_remove(name);
        }
        if let Some(fault) = fault {
            command.env("CLADE_TEST_FAULT", fault);
        }
        command.output().expect("the program starts")
    }

    /// Runs a command that must end well, and returns its output.
    pub(crate) fn must(&self, dir: &Path, args: &[&str]) -> String {
        let out = self.run(dir, args, None);
        assert!(out.status.success(), "{args:?} in {}: {}", dir.display(), show(&out));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
}

/// What a command said and how it ended.
pub(crate) fn show(out: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}{}", text(&out.stdout), text(&out.stderr), out.status)
}

/// Digests of all files of a working tree, by path; git's own left out.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, blake3::Hash> {
    let mut out = BTreeMap::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder).expect("lists") {
            let path = entry.expect("an entry").path();
            if path.file_name().is_some_and(|n| n == ".git") {
                continue;
            }
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(dir).expect("below").to_string_lossy().into_owned();
                out.insert(name, blake3::hash(&std::fs::read(&path).expect("reads")));
            }
        }
    }
    out
}

/// Names of files that only a running command may have.
pub(crate) fn leftovers(repo: &Path) -> Vec<String> {
    let clade = repo.join(".git/clade");
    let names = |dir: PathBuf| {
        let entries = std::fs::read_dir(dir).into_iter().flatten();
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let mut out = names(clade.join("tmp"));
    out.extend(names(clade.join("packs")).into_iter().filter(|n| n.ends_with(".open")));
    out.extend(files(repo).into_keys().filter(|n| n.rsplit('/').next().is_some_and(|n| n.starts_with(".clade-"))));
    out
}
