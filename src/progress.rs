//! What long work reports, and how it is asked to stop. Nothing is drawn here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Receives counts from long-running work, from any thread. Values are increments, never totals so far.
pub trait Progress: Send + Sync {
    /// A new phase begins: its name for people, and the bytes and items it will handle where known.
    fn begin(&self, phase: &str, total_bytes: Option<u64>, total_items: Option<u64>);
    /// `bytes` more were handled.
    fn bytes(&self, bytes: u64);
    /// `items` more were finished.
    fn items(&self, items: u64);
    /// The phase is over.
    fn end(&self);
}

/// Progress that nobody looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Progress for Discard {
    fn begin(&self, _: &str, _: Option<u64>, _: Option<u64>) {}
    fn bytes(&self, _: u64) {}
    fn items(&self, _: u64) {}
    fn end(&self) {}
}

/// A request to stop, shared between the signal handler and the work.
///
/// Work asks at points where stopping leaves everything valid. The value is the signal's number, so that
/// the exit code can be 128 plus it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

/// The work was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

impl Interrupt {
    /// The flag and the number that a signal handler writes to.
    #[must_use]
    pub fn parts(&self) -> (Arc<AtomicBool>, Arc<AtomicUsize>) {
        (self.flag.clone(), self.signal.clone())
    }

    /// Asks the work to stop.
    pub fn trigger(&self) {
        self.flag.store(true, Ordering::SeqCst);
    }

    /// Whether the work was asked to stop.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// The signal's number, 2 (interrupt) where it is unknown.
    #[must_use]
    pub fn signal(&self) -> u8 {
        match self.signal.load(Ordering::Relaxed) {
            0 => 2,
            n => u8::try_from(n).unwrap_or(2),
        }
    }

    /// Returns an error once the work was asked to stop.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_set() { Err(Interrupted) } else { Ok(()) }
    }
}
