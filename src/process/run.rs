//! Commands that are run to their end.

use super::child::Forwarding;
use super::{Child, Error, Exit, Result};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process as sys;

/// Error output is kept up to this many bytes from its end.
const STDERR_TAIL_BYTES: usize = 4096;
/// A command line in a message is cut after this many characters.
const SHOWN_COMMAND_CHARS: usize = 300;

/// A program with arguments, folder and environment, not yet started.
#[derive(Debug, Clone)]
#[must_use = "a command does nothing until it is run"]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    cwd: Option<PathBuf>,
    env: Vec<(OsString, Option<OsString>)>,
    stdin: Option<Vec<u8>>,
    stdout_to_stderr: bool,
}

/// What a captured command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// All of its output.
    pub stdout: Vec<u8>,
    /// All of its error output.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether the status was 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// The output as text without line ends at its end; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end_matches(['\n', '\r']).to_owned()
    }

    /// The end of the error output as text.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        let from = self.stderr.len().saturating_sub(STDERR_TAIL_BYTES);
        String::from_utf8_lossy(&self.stderr[from..]).trim_end().to_owned()
    }
}

impl Command {
    /// A command for `program`, a path or a name that is looked up in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            cwd: None,
            env: Vec::new(),
            stdin: None,
            stdout_to_stderr: false,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Runs in `dir` instead of our own folder.
    pub fn cwd(mut self, dir: &Path) -> Self {
        self.cwd = Some(dir.to_path_buf());
        self
    }

    /// Sets an environment variable; all others are inherited.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Keeps an environment variable from the command.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), None));
        self
    }

    /// Gives the command these bytes as input; without, a captured command has no input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Lets a command that is spawned write its output to our error output: our own output is an answer.
    pub fn stdout_to_stderr(mut self, yes: bool) -> Self {
        self.stdout_to_stderr = yes;
        self
    }

    /// Program and arguments as one line for people, cut where it is long.
    #[must_use]
    pub fn line(&self) -> String {
        let mut out = self.program.to_string_lossy().into_owned();
        for arg in &self.args {
            out.push(' ');
            out.push_str(&arg.to_string_lossy());
        }
        if out.chars().count() > SHOWN_COMMAND_CHARS {
            out = out.chars().take(SHOWN_COMMAND_CHARS).collect();
            out.push('…');
        }
        out
    }

    /// Runs the command, captures what it writes, and returns however it ended.
    ///
    /// # Errors
    /// When it could not be started or awaited.
    pub fn output(self) -> Result<Output> {
        let io = |source| Error::Io { command: self.line(), source };
        let mut cmd = self.prepare();
        let stdin = if self.stdin.is_some() { sys::Stdio::piped() } else { sys::Stdio::null() };
        let mut child = cmd
            .stdin(stdin)
            .stdout(sys::Stdio::piped())
            .stderr(sys::Stdio::piped())
            .spawn()
            .map_err(|e| self.start_error(e))?;
        let mut input = child.stdin.take();
        let mut out = child.stdout.take().expect("the output was asked for as a pipe");
        let mut err = child.stderr.take().expect("the error output was asked for as a pipe");
        // All three at once: a child that waits for one of them never blocks us on another.
        let (fed, stderr, stdout) = std::thread::scope(|scope| {
            let feed = scope.spawn(|| match (input.take(), &self.stdin) {
                (Some(mut pipe), Some(bytes)) => pipe.write_all(bytes),
                _ => Ok(()),
            });
            let errors = scope.spawn(|| {
                let mut buf = Vec::new();
                err.read_to_end(&mut buf).map(|_| buf)
            });
            let mut buf = Vec::new();
            let stdout = out.read_to_end(&mut buf).map(|_| buf);
            let died = || io::Error::other("a helping thread died");
            let fed = feed.join().unwrap_or_else(|_| Err(died()));
            let stderr = errors.join().unwrap_or_else(|_| Err(died()));
            (fed, stderr, stdout)
        });
        let status = child.wait().map_err(io)?;
        match fed {
            // The command did not want all of its input; its status says whether that is a fault.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {}
            other => other.map_err(io)?,
        }
        Ok(Output { exit: Exit::from(status), stdout: stdout.map_err(io)?, stderr: stderr.map_err(io)? })
    }

    /// Runs the command and captures what it writes.
    ///
    /// # Errors
    /// Also when it ended with another status than 0: then with the end of its error output.
    pub fn run(self) -> Result<Output> {
        let command = self.line();
        let output = self.output()?;
        if output.success() {
            Ok(output)
        } else {
            Err(Error::Failed { command, exit: output.exit, stderr: output.stderr_tail() })
        }
    }

    /// Starts the command with our own input, output and error output.
    ///
    /// # Errors
    /// When it could not be started.
    pub fn spawn(self) -> Result<Child> {
        let child = self.prepare().spawn().map_err(|e| self.start_error(e))?;
        Ok(Child::new(child, self.line(), None))
    }

    /// Like [`Command::spawn`], and from before the start until the child has ended this process does not end
    /// by an interrupt, hang-up, quit, terminate or user signal: the child gets it and decides. What the
    /// terminal itself sends to both (Ctrl-C, Ctrl-\) is not sent a second time.
    ///
    /// # Errors
    /// When a handler could not be set or the command could not be started.
    pub fn spawn_forwarding(self) -> Result<Child> {
        let forwarding = Forwarding::listen()?;
        let child = self.prepare().spawn().map_err(|e| self.start_error(e))?;
        Ok(Child::new(child, self.line(), Some(forwarding)))
    }

    fn prepare(&self) -> sys::Command {
        let mut cmd = sys::Command::new(&self.program);
        cmd.args(&self.args);
        if let Some(dir) = &self.cwd {
            cmd.current_dir(dir);
        }
        if self.stdout_to_stderr {
            cmd.stdout(sys::Stdio::from(io::stderr()));
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => cmd.env(name, value),
                None => cmd.env_remove(name),
            };
        }
        cmd
    }

    fn start_error(&self, source: io::Error) -> Error {
        if source.kind() != io::ErrorKind::NotFound {
            return Error::Io { command: self.line(), source };
        }
        // The system says "not found" for both.
        match &self.cwd {
            Some(dir) if !crate::fsio::is_dir(dir) => Error::NoFolder { command: self.line(), dir: dir.clone() },
            _ => Error::Missing { program: self.program.to_string_lossy().into_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        Command::new("sh").args(["-c", script])
    }

    #[test]
    fn captures_and_feeds_more_than_a_pipe_holds() {
        let big = vec![b'x'; 1 << 20];
        let out = sh("cat; echo warn >&2").stdin(big.clone()).run().expect("cat works");
        assert_eq!(out.stdout, big);
        assert_eq!(out.stderr_tail(), "warn");
    }

    #[test]
    fn input_that_nobody_reads_is_no_fault() {
        let out = sh("exit 0").stdin(vec![0; 1 << 20]).run().expect("the status counts");
        assert!(out.stdout.is_empty());
    }

    #[test]
    fn a_failure_names_command_status_and_reason() {
        let err = sh("echo no such thing >&2; exit 3").run().expect_err("status 3");
        assert_eq!(err.to_string(), "`sh -c echo no such thing >&2; exit 3` ended with status 3: no such thing");
        let err = sh("kill -TERM $$").run().expect_err("a signal");
        assert!(matches!(err, Error::Failed { exit: Exit::Signal(15), .. }), "{err}");
    }

    #[test]
    fn missing_program_and_missing_folder_differ() {
        let err = Command::new("no-such-program-here").run().expect_err("not installed");
        assert!(matches!(err, Error::Missing { .. }), "{err}");
        let err = sh("true").cwd(Path::new("/no/such/folder")).run().expect_err("no folder");
        assert!(matches!(err, Error::NoFolder { .. }), "{err}");
    }

    #[test]
    fn environment_and_folder_are_the_asked_ones() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = sh("echo $A$B; pwd -P").env("A", "1").env("B", "2").env_remove("B").cwd(dir.path()).run();
        let real = dir.path().canonicalize().expect("a real path");
        assert_eq!(out.expect("runs").text(), format!("1\n{}", real.display()));
    }
}
