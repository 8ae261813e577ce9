//! A long-running child with our input and output, to which our signals are handed on.

use super::{Error, Result, pid};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process as sys;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// The status that a shell would report: the status itself, or 128 plus the signal.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl From<sys::ExitStatus> for Exit {
    fn from(status: sys::ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "status {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// A running child. Dropping it neither ends nor awaits it.
#[derive(Debug)]
pub struct Child {
    inner: sys::Child,
    command: String,
    forwarding: Option<Forwarding>,
}

/// The signals that are handed on: hang-up, interrupt, quit, terminate, and the two users' signals that
/// schedulers send as a notice.
const FORWARDED: [(i32, Signal); 6] = [
    (signal_hook::consts::SIGHUP, Signal::HUP),
    (signal_hook::consts::SIGINT, Signal::INT),
    (signal_hook::consts::SIGQUIT, Signal::QUIT),
    (signal_hook::consts::SIGTERM, Signal::TERM),
    (signal_hook::consts::SIGUSR1, Signal::USR1),
    (signal_hook::consts::SIGUSR2, Signal::USR2),
];

impl Child {
    pub(super) fn new(inner: sys::Child, command: String, forwarding: Option<Forwarding>) -> Self {
        Self { inner, command, forwarding }
    }

    /// The child's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.inner.id()
    }

    /// Waits for the end of the child and, where it was started so, hands our signals on to it meanwhile.
    ///
    /// # Errors
    /// When the system cannot await it.
    pub fn wait(mut self) -> Result<Exit> {
        let command = self.command.clone();
        let io = |source| Error::Io { command: command.clone(), source };
        if let Some(mut forwarding) = self.forwarding.take() {
            forwarding.until_end(Pid::from_child(&self.inner)).map_err(io)?;
        }
        Ok(Exit::from(self.inner.wait().map_err(io)?))
    }
}

/// The byte that ends a forwarding thread; the handlers write another one.
const STOP: u8 = 0;

/// Handlers that write a byte into a pipe of their signal.
#[derive(Debug, Default)]
pub(super) struct Forwarding {
    handlers: Vec<(signal_hook::SigId, UnixStream)>,
    readers: Vec<(UnixStream, Signal)>,
}

impl Forwarding {
    pub(super) fn listen() -> Result<Self> {
        let mut out = Self::default();
        for (number, signal) in FORWARDED {
            let fault = |source| Error::Signal { signal: number, source };
            let (read, write) = UnixStream::pair().map_err(fault)?;
            let stop = write.try_clone().map_err(fault)?;
            let id = signal_hook::low_level::pipe::register(number, write).map_err(fault)?;
            out.handlers.push((id, stop));
            out.readers.push((read, signal));
        }
        Ok(out)
    }

    fn until_end(&mut self, target: Pid) -> io::Result<()> {
        let from_terminal = pid::in_foreground();
        std::thread::scope(|scope| {
            for (mut read, signal) in self.readers.drain(..) {
                scope.spawn(move || {
                    let mut byte = [0];
                    while matches!(read.read(&mut byte), Ok(1)) && byte[0] != STOP {
                        let twice = from_terminal && matches!(signal, Signal::INT | Signal::QUIT);
                        if !twice {
                            let _ = rustix::process::kill_process(target, signal);
                        }
                    }
                });
            }
            // Not reaped yet: until the threads have stopped the number cannot belong to another process.
            let ended = loop {
                match rustix::process::waitid(WaitId::Pid(target), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                    Err(rustix::io::Errno::INTR) => {}
                    other => break other,
                }
            };
            self.stop();
            ended.map(|_| ()).map_err(io::Error::from)
        })
    }

    fn stop(&mut self) {
        for (id, mut pipe) in self.handlers.drain(..) {
            signal_hook::low_level::unregister(id);
            let _ = pipe.write_all(&[STOP]);
        }
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Command;

    #[test]
    fn the_childs_end_is_told() {
        let run = |script: &str| {
            let child = Command::new("sh").args(["-c", script]).spawn_forwarding().expect("starts");
            child.wait().expect("ends")
        };
        assert_eq!(run("exit 7"), Exit::Code(7));
        assert_eq!(run("kill -KILL $$"), Exit::Signal(9));
        assert_eq!(Exit::Signal(9).shell_code(), 137);
    }

    #[test]
    fn a_signal_to_us_reaches_the_child() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let ready = dir.path().join("ready");
        let script = format!("trap 'exit 42' USR1; touch {}; while :; do sleep 0.01; done", ready.display());
        let child = Command::new("sh").args(["-c", &script]).spawn_forwarding().expect("starts");
        let sender = std::thread::spawn(move || {
            while !crate::fsio::exists(&ready) {
                std::thread::yield_now();
            }
            let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::USR1);
        });
        assert_eq!(child.wait().expect("ends"), Exit::Code(42));
        sender.join().expect("sent");
    }
}
