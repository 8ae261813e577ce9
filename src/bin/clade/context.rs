//! What the process around the library provides: environment, signals, clock, terminal.

use crate::args::Cli;
use crate::ui::{Bars, Printer};
use clade::clock::{Clock, Fixed, System};
use clade::ops::{self, Kind};
use clade::progress::Interrupt;
use clade::repo::{Context, Repo};
use clade::{fsio, git};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Everything that a command needs.
pub(crate) struct Cx {
    pub(crate) printer: Printer,
    pub(crate) context: Context,
}

impl Cx {
    pub(crate) fn new(cli: &Cli, printer: Printer) -> Result<Self, (Printer, ops::Error)> {
        match Self::context(cli, &printer) {
            Ok(context) => Ok(Self { printer, context }),
            Err(e) => Err((printer, e)),
        }
    }

    fn context(cli: &Cli, printer: &Printer) -> ops::Result<Context> {
        let here = std::env::current_dir()
            .map_err(|e| ops::Error::new(Kind::Io, format!("the current folder cannot be used: {e}")))?;
        let cwd = match &cli.directory {
            Some(dir) => fsio::real_path(&here.join(dir))
                .filter(|d| fsio::is_dir(d))
                .ok_or_else(|| ops::Error::not_found(format!("{} is not a folder", dir.display())))?,
            None => here,
        };
        install_faults();
        let interrupt = Interrupt::default();
        let (flag, number) = interrupt.parts();
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            let set = signal_hook::flag::register(signal, flag.clone()).and_then(|_| {
                let value = usize::try_from(signal).unwrap_or(2);
                signal_hook::flag::register_usize(signal, number.clone(), value)
            });
            set.map_err(|e| ops::Error::new(Kind::Internal, format!("signals cannot be handled: {e}")))?;
        }
        Ok(Context {
            cwd,
            git: git::Environment {
                index_file: std::env::var_os("GIT_INDEX_FILE").map(PathBuf::from),
                ..git::Environment::default()
            },
            secrets: secrets(),
            program: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("clade")),
            umask: umask(),
            is_ci: std::env::var("CI").is_ok_and(|v| !v.is_empty() && v != "0" && v != "false"),
            clock: clock(),
            progress: Arc::new(Bars::new(printer.draws_progress())),
            interrupt,
        })
    }

    /// Opens the repository that the command is about.
    pub(crate) fn repo(&self) -> ops::Result<Repo> {
        ops::init::open(&self.context)
    }

    /// Prints a failure and gives the process's exit code.
    pub(crate) fn finish(&self, result: ops::Result<u8>) -> ExitCode {
        match result {
            Ok(code) => ExitCode::from(code),
            Err(e) => {
                self.printer.error(&e);
                let code = match e.kind {
                    Kind::Interrupted => 128 + self.context.interrupt.signal(),
                    _ => e.exit_code(),
                };
                ExitCode::from(code)
            }
        }
    }
}

/// The machine's clock; in a debug build a test may fix it.
fn clock() -> Arc<dyn Clock> {
    if cfg!(debug_assertions)
        && let Some(ms) = std::env::var("CLADE_TEST_CLOCK_MS").ok().and_then(|t| t.parse().ok())
    {
        return Arc::new(Fixed(ms));
    }
    Arc::new(System)
}

/// In a debug build a test may ask for faults in the file system.
fn install_faults() {
    if cfg!(debug_assertions)
        && let Some(plan) = std::env::var("CLADE_TEST_FAULT").ok().and_then(|t| fsio::fault::parse(&t))
    {
        fsio::fault::install(Some(plan));
    }
}

/// Variables whose names look secret: their values must never be recorded.
fn secrets() -> Vec<(String, String)> {
    const WORDS: [&str; 9] =
        ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "API_KEY", "APIKEY", "PRIVATE_KEY", "ACCESS_KEY"];
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, value)| {
            let name = name.to_ascii_uppercase();
            value.len() >= 6
                && (WORDS.iter().any(|w| name.contains(w)) || name.ends_with("_KEY") || name.ends_with("_PAT"))
        })
        .collect()
}

/// The permission bits that this process does not give to new files.
fn umask() -> u32 {
    // It can only be read by setting it; nothing else runs yet.
    let old = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::process::umask(old);
    old.as_raw_mode()
}
