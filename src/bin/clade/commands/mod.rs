//! One file a group of verbs: typed arguments to options, outcomes to text.

use crate::args::Command;
use crate::context::Cx;
use clade::ops;

/// Runs a command and returns its exit code.
pub(crate) fn run(_cx: &Cx, command: &Command) -> ops::Result<u8> {
    match command {
        _ => Err(ops::Error::usage("this command comes with the next commit")),
    }
}
