//! A world of its own for tests that run the program: home, configuration, clock of git, and the built `clade`
//! in front of the path.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What a command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) line: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Insists on an exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\nstdout: {}\nstderr: {}", self.line, self.stdout, self.stderr);
        self
    }

    /// Insists on exit code 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    /// Insists that both outputs together hold a text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let both = format!("{}\n{}", self.stdout, self.stderr);
        assert!(both.contains(text), "{} does not say {text:?}\n{both}", self.line);
        self
    }

    /// The last line of the output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let last = self.stdout.trim_end().lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|e| panic!("{}: {e}\n{}\n{}", self.line, self.stdout, self.stderr))
    }
}

/// A folder with everything that commands need; it goes with the value.
pub(crate) struct World {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(dir.path().join("home")).expect("a home");
        Self { dir, env: Vec::new() }
    }

    /// Sets a variable for all commands from now on.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().expect("a real path").join(name)
    }

    /// A command in a folder of this world.
    pub(crate) fn command(&self, dir: &Path, program: &str) -> Command {
        let bin = Path::new(env!("CARGO_BIN_EXE_clade"));
        let mut path = vec![bin.parent().expect("a folder").to_path_buf()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").expect("a path")));
        let path = std::env::join_paths(path).expect("a path");
        let mut command = Command::new(if program == "clade" { bin.as_os_str() } else { OsStr::new(program) });
        command
            .current_dir(dir)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path("home"))
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "Ann")
            .env("GIT_AUTHOR_EMAIL", "ann@example.org")
            .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
            .env("GIT_COMMITTER_NAME", "Ann")
            .env("GIT_COMMITTER_EMAIL", "ann@example.org")
            .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, dir: &Path, program: &str, args: &[&str]) -> Output {
        let out = self.command(dir, program).args(args).output().expect("it starts");
        Output {
            line: format!("{program} {}", args.join(" ")),
            code: out.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }

    /// A bare repository.
    pub(crate) fn bare(&self, name: &str) -> PathBuf {
        let dir = self.path(name);
        self.run(&self.path(""), "git", &["init", "-q", "--bare", "-b", "main", name]).ok();
        dir
    }

    /// A repository with one commit that is set up for clade without its filter.
    #[track_caller]
    pub(crate) fn repo(&self, name: &str, attributes: &str) -> Clone<'_> {
        self.run(&self.path(""), "git", &["init", "-q", "-b", "main", name]).ok();
        let repo = Clone { world: self, dir: self.path(name) };
        repo.write(".clade/config.toml", &clade::repo::RepositoryConfig::new().encode());
        repo.write(".gitattributes", attributes);
        repo.set_up();
        repo.commit("set up");
        repo
    }

    /// A clone that is set up likewise.
    #[track_caller]
    pub(crate) fn clone_of(&self, url: &Path, name: &str) -> Clone<'_> {
        self.run(&self.path(""), "git", &["clone", "-q", &url.display().to_string(), name]).ok();
        let repo = Clone { world: self, dir: self.path(name) };
        repo.set_up();
        repo
    }

    /// A clone that is there already.
    pub(crate) fn at(&self, name: &str) -> Clone<'_> {
        Clone { world: self, dir: self.path(name) }
    }
}

/// A clone in a world.
pub(crate) struct Clone<'w> {
    pub(crate) world: &'w World,
    pub(crate) dir: PathBuf,
}

impl Clone<'_> {
    fn set_up(&self) {
        self.git(&["config", "filter.clade.process", "exec clade filter-process"]).ok();
    }

    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> Output {
        self.world.run(&self.dir, "git", args)
    }

    #[track_caller]
    pub(crate) fn clade(&self, args: &[&str]) -> Output {
        self.world.run(&self.dir, "clade", args)
    }

    /// Starts `clade` and does not wait for it.
    #[track_caller]
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let mut command = self.world.command(&self.dir, "clade");
        command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }

    #[track_caller]
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    }

    #[track_caller]
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "-A"]).ok();
        self.git(&["commit", "-q", "--allow-empty", "-m", message]).ok();
    }
}

/// Text that is long enough to prove something by being equal.
pub(crate) fn long(seed: &str) -> String {
    (0..40).map(|n| format!("{seed},{n},{}\n", n * 7919 % 1009)).collect()
}

/// Sends a signal to a process.
#[track_caller]
pub(crate) fn kill(signal: &str, pid: u32) {
    let done = Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill runs");
    assert!(done.success());
}

/// Waits until a file is there, at most half a minute.
#[track_caller]
pub(crate) fn wait_for(path: &Path) {
    wait_until(|| path.exists());
}

/// Waits until something holds, half a minute at most.
pub(crate) fn wait_until(mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it does not come to hold");
}

/// All bytes of all files below a folder.
pub(crate) fn all_bytes(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            out.extend(all_bytes(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            out.push((path, bytes));
        }
    }
    out
}
