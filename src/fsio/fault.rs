//! Faults on purpose. Every write, sync, rename and removal of this room passes through one function, which
//! counts it and, when a plan is installed, makes the n-th one fail or ends the process there.
//!
//! A plan holds for the whole process. It is installed by tests, and by debug builds of the program on
//! request of a test; release builds never install one.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What happens at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process ends at once, before the operation (of a write, after its first half).
    Crash,
    /// The operation and all later writes fail as on a full disk.
    DiskFull,
    /// Only this operation fails, with an I/O error.
    FailOnce,
}

/// Which operation is hit, and how.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The operation's number, from 1.
    pub at: u64,
    /// What happens.
    pub action: Action,
}

static ACTIVE: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
static PLAN: Mutex<Option<Plan>> = Mutex::new(None);

/// Installs `plan` (`None`: only counts) and sets the counter to zero.
pub fn install(plan: Option<Plan>) {
    let mut slot = PLAN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *slot = plan;
    COUNT.store(0, Ordering::SeqCst);
    ACTIVE.store(true, Ordering::SeqCst);
}

/// Removes the plan and returns how many operations were counted.
pub fn remove() -> u64 {
    ACTIVE.store(false, Ordering::SeqCst);
    *PLAN.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    COUNT.load(Ordering::SeqCst)
}

/// Reads a plan such as `crash:12`, `full:3` or `once:7`.
#[must_use]
pub fn parse(text: &str) -> Option<Plan> {
    let (action, at) = text.split_once(':')?;
    let action = match action {
        "crash" => Action::Crash,
        "full" => Action::DiskFull,
        "once" => Action::FailOnce,
        _ => return None,
    };
    Some(Plan { at: at.parse().ok()?, action })
}

/// One operation that changes the disk. `half` does the first half of a write, for a torn one.
pub(super) fn point(half: impl FnOnce()) -> io::Result<()> {
    if !ACTIVE.load(Ordering::Relaxed) {
        return Ok(());
    }
    let n = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    let plan = *PLAN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match plan {
        Some(Plan { at, action: Action::Crash }) if n == at => {
            half();
            std::process::abort()
        }
        Some(Plan { at, action: Action::DiskFull }) if n >= at => Err(io::Error::from(io::ErrorKind::StorageFull)),
        Some(Plan { at, action: Action::FailOnce }) if n == at => Err(io::Error::other("fault on purpose")),
        _ => Ok(()),
    }
}
