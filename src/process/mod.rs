//! The only room that starts processes: captured commands with errors that say what was run, children that
//! get our signals, and questions about other processes.

mod child;
mod pid;
mod run;

pub use child::{Child, Exit};
pub use pid::{is_alive, is_running, own_id, parent_id, start_time};
pub use run::{Command, Output};

use std::io;
use std::path::PathBuf;

/// What went wrong with a process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such program.
    #[error("no program `{program}` is installed")]
    Missing {
        /// The program as it was named.
        program: String,
    },
    /// The working folder of a command is not there.
    #[error("cannot run `{command}` in {}: the folder is missing", dir.display())]
    NoFolder {
        /// Program and arguments.
        command: String,
        /// The folder.
        dir: PathBuf,
    },
    /// The system refused to start or to await a program, or to hand it bytes.
    #[error("cannot run `{command}`: {source}")]
    Io {
        /// Program and arguments.
        command: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A program ended with another status than 0.
    #[error("`{command}` ended with {exit}{}", tail(stderr))]
    Failed {
        /// Program and arguments.
        command: String,
        /// How it ended.
        exit: Exit,
        /// The end of what it wrote to its error output.
        stderr: String,
    },
    /// A handler for a signal could not be set.
    #[error("cannot listen for signal {signal}: {source}")]
    Signal {
        /// The signal's number.
        signal: i32,
        /// The system's reason.
        source: io::Error,
    },
}

fn tail(stderr: &str) -> String {
    match stderr.trim_end() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

/// The result of an operation on processes.
pub type Result<T, E = Error> = std::result::Result<T, E>;
