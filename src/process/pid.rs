//! Questions about processes by their number.

use super::Command;
use crate::fsio;
use rustix::process::Pid;
use std::path::Path;

/// Our own process id.
#[must_use]
pub fn own_id() -> u32 {
    std::process::id()
}

/// The process id of our parent.
#[must_use]
pub fn parent_id() -> u32 {
    std::os::unix::process::parent_id()
}

/// Whether a process with this number exists, a foreign one included.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

/// Whether a process with this number exists and has not ended. One that has ended and that nobody awaited
/// (in a container without an init that does, for ever) still exists, but runs no more.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    let ended = || {
        let fields = stat_fields(&format!("/proc/{pid}/stat"))?;
        fields.first().map(|state| matches!(state.as_str(), "Z" | "X"))
    };
    is_alive(pid) && !ended().unwrap_or(false)
}

/// When a process started, as a text that is only good for comparison: two processes that had the same
/// number at different times differ in it. `None` when there is no such process.
#[must_use]
pub fn start_time(pid: u32) -> Option<String> {
    if let Some(fields) = stat_fields(&format!("/proc/{pid}/stat")) {
        return fields.get(START_TIME).cloned();
    }
    if fsio::exists(Path::new("/proc/self/stat")) {
        return None;
    }
    let out = Command::new("ps").args(["-o", "lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C").run().ok()?;
    let text = out.text().trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Whether we belong to the group of processes that the terminal sends its signals to.
pub(super) fn in_foreground() -> bool {
    match stat_fields("/proc/self/stat") {
        Some(fields) => fields.get(GROUP).is_some_and(|group| fields.get(TERMINAL_GROUP) == Some(group)),
        None => std::io::IsTerminal::is_terminal(&std::io::stdin()),
    }
}

// Positions behind the program's name, which stands in parentheses as field 2 and may hold anything.
const GROUP: usize = 5 - 3;
const TERMINAL_GROUP: usize = 8 - 3;
const START_TIME: usize = 22 - 3;

fn stat_fields(path: &str) -> Option<Vec<String>> {
    let bytes = fsio::read(Path::new(path)).ok()?;
    parse_stat(&String::from_utf8_lossy(&bytes))
}

fn parse_stat(text: &str) -> Option<Vec<String>> {
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_live_and_started_once() {
        assert!(is_alive(own_id()) && is_alive(parent_id()));
        assert!(!is_alive(0) && !is_alive(u32::MAX));
        let first = start_time(own_id()).expect("we run");
        assert_eq!(start_time(own_id()), Some(first));
        assert_eq!(start_time(999_999_999), None);
    }

    #[test]
    fn what_ended_and_was_not_awaited_runs_no_more() {
        let child = Command::new("true").spawn().expect("starts");
        let pid = child.id();
        if fsio::exists(Path::new("/proc/self/stat")) {
            while is_running(pid) {
                std::thread::yield_now();
            }
            assert!(is_alive(pid));
        }
        child.wait().expect("ends");
        assert!(!is_running(pid) && is_running(own_id()));
    }

    #[test]
    fn a_name_with_parentheses_moves_no_field() {
        let line = "12 (a) b (c)) S 1 12 12 34 55 0 0 0 0 0 0 0 0 0 20 0 1 0 777 0";
        let fields = parse_stat(line).expect("a line");
        assert_eq!(fields[START_TIME], "777");
        assert_eq!((fields[GROUP].as_str(), fields[TERMINAL_GROUP].as_str()), ("12", "55"));
    }
}
