//! demo: the main job, told with the commands that do it. Every answer is checked; what is not as expected ends it
//! with exit code 1.

mod story;
mod weights;

use crate::args::DemoArgs;
use crate::context::Cx;
use clade::process::{Command, Exit};
use clade::{fsio, ops};
use std::path::{Path, PathBuf};

/// Why the story stopped.
pub(super) enum Stop {
    /// Something could not be done at all.
    Failed(ops::Error),
    /// An answer, a digest or an exit code was not the expected one.
    Unexpected(String),
}

impl<E: Into<ops::Error>> From<E> for Stop {
    fn from(e: E) -> Self {
        Self::Failed(e.into())
    }
}

pub(super) type Told<T> = Result<T, Stop>;

/// The stage: a folder, and an environment that knows nothing of the machine's configuration.
pub(super) struct Stage<'a> {
    cx: &'a Cx,
    pub(super) dir: PathBuf,
}

impl Stage<'_> {
    /// Prints explaining lines.
    pub(super) fn say(&self, text: &str) -> Told<()> {
        Ok(self.cx.printer.raw(&format!("\n# {}\n", text.replace('\n', "\n# ")))?)
    }

    /// Prints a line as it is.
    pub(super) fn line(&self, text: &str) -> Told<()> {
        Ok(self.cx.printer.raw(&format!("{text}\n"))?)
    }

    /// Runs a command in `cwd`, prints it with its output, and insists on its exit code.
    pub(super) fn show(&self, cwd: &str, args: &[&str], code: i32) -> Told<String> {
        let shown: Vec<String> = args.iter().map(|a| quote(a)).collect();
        self.line(&format!("{cwd}$ {}", shown.join(" ")))?;
        let (exit, out, err) = self.run(cwd, args)?;
        for text in [&out, &err] {
            if !text.trim().is_empty() {
                self.line(text.trim_end())?;
            }
        }
        if exit != code {
            return Err(Stop::Unexpected(format!("`{}` exited with {exit}, expected {code}", shown.join(" "))));
        }
        if code != 0 {
            self.line(&format!("(exit code {code}, as it should be)"))?;
        }
        Ok(out)
    }

    /// Asks for JSON without showing it: to check an answer that was shown.
    pub(super) fn ask(&self, cwd: &str, args: &[&str]) -> Told<serde_json::Value> {
        let (exit, out, err) = self.run(cwd, args)?;
        serde_json::from_str(&out).map_err(|_| {
            Stop::Unexpected(format!("`{}` exited with {exit} and said no JSON: {out}{err}", args.join(" ")))
        })
    }

    fn run(&self, cwd: &str, args: &[&str]) -> Told<(i32, String, String)> {
        let program = if args[0] == "clade" { self.cx.context.program.as_os_str() } else { args[0].as_ref() };
        let beside = self.cx.context.program.parent().unwrap_or(Path::new("."));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(beside.to_path_buf()).chain(std::env::split_paths(&path)))
            .map_err(|e| ops::Error::new(ops::Kind::Io, format!("the PATH cannot be used: {e}")))?;
        let mut command = Command::new(program).args(&args[1..]).cwd(&self.dir.join(cwd)).env("PATH", path);
        for (name, value) in [
            ("HOME", self.dir.join("home").to_string_lossy().as_ref()),
            ("XDG_CONFIG_HOME", self.dir.join("home").to_string_lossy().as_ref()),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", self.dir.join("home/.gitconfig").to_string_lossy().as_ref()),
            ("GIT_AUTHOR_NAME", "Dana"),
            ("GIT_AUTHOR_EMAIL", "dana@example.com"),
            ("GIT_COMMITTER_NAME", "Dana"),
            ("GIT_COMMITTER_EMAIL", "dana@example.com"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("LC_ALL", "C"),
            ("NO_COLOR", "1"),
        ] {
            command = command.env(name, value);
        }
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "CI"] {
            command = command.env_remove(name);
        }
        let out = command.output().map_err(ops::Error::from)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = match out.exit {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        };
        Ok((code, text(&out.stdout), text(&out.stderr)))
    }

    /// Insists on something.
    pub(super) fn expect(&self, holds: bool, what: impl Into<String>) -> Told<()> {
        // In a debug build a test may ask for a story that must fail.
        let sabotaged = cfg!(debug_assertions) && std::env::var_os("CLADE_TEST_DEMO_SABOTAGE").is_some();
        if holds && !sabotaged { Ok(()) } else { Err(Stop::Unexpected(what.into())) }
    }

    /// SHA-256 of a file, in hex.
    pub(super) fn sha256(&self, path: &str) -> Told<String> {
        use sha2::Digest as _;
        let map = fsio::Map::open(&self.dir.join(path))?;
        Ok(clade::id::to_hex(&sha2::Sha256::digest(&map[..])))
    }
}

fn quote(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c));
    if plain && !word.is_empty() { word.to_owned() } else { format!("'{word}'") }
}

pub(crate) fn demo(cx: &Cx, args: &DemoArgs) -> ops::Result<u8> {
    let (dir, keep) = match &args.dir {
        Some(dir) => (cx.context.cwd.join(dir), true),
        None => (std::env::temp_dir().join(format!("clade-demo-{}", clade::process::own_id())), false),
    };
    if !fsio::list_dir(&dir)?.is_empty() {
        return Err(ops::Error::usage(format!("{} is not empty", dir.display())).hint("name a new folder"));
    }
    fsio::create_dir_all(&dir.join("home"))?;
    let stage = Stage { cx, dir: fsio::real_path(&dir).unwrap_or_else(|| dir.clone()) };
    let result = story::tell(&stage);
    if keep {
        let _ = stage.line(&format!("\nEverything is in {}: look around.", dir.display()));
    } else {
        fsio::remove_dir_all(&dir)?;
    }
    match result {
        Ok(()) => Ok(0),
        Err(Stop::Failed(e)) => Err(e),
        Err(Stop::Unexpected(what)) => {
            cx.printer.plain(&format!("demo: not as expected: {what}"));
            Ok(1)
        }
    }
}
