//! The probe that a remote keeps its one promise: a key that exists is not created again.
//!
//! A reply of "created" proves nothing by itself: some servers ignore the condition and overwrite.

use bytes::Bytes;

use crate::remote::error::{Error, Result};
use crate::remote::key::Key;
use crate::remote::request::Put;
use crate::remote::transport::Transport;

const RACERS: usize = 8;
const MAX_PROBE_BYTES: u64 = 1024;

/// Creates a key twice, then lets eight writers race for another. Sends about a dozen small requests under
/// `canary/` and tries to delete what it made; a remote without the right to delete keeps two tiny files.
///
/// # Errors
/// [`Error::NotExclusive`] when the remote lets a key be created twice, or loses the winner's bytes. Other
/// errors mean that the probe could not be made.
pub fn check_create_if_absent(transport: &Transport) -> Result<()> {
    let run = uuid::Uuid::new_v4().simple().to_string();
    let twice = format!("{run}/twice");
    let race = format!("{run}/race");
    let verdict = probe_twice(transport, &twice).and_then(|()| probe_race(transport, &race));
    for name in [&twice, &race] {
        // Left behind at worst; a missing right to delete is no reason to refuse the remote.
        let _ = transport.delete_canary(name);
    }
    verdict
}

fn probe_twice(transport: &Transport, name: &str) -> Result<()> {
    let key = Key::Canary(name.to_owned());
    let first = Bytes::from_static(b"first");
    if transport.put_new(&key, first.clone())? == Put::Exists {
        return Err(not_exclusive(transport, "a new key is said to exist"));
    }
    if transport.put_new(&key, Bytes::from_static(b"second"))? == Put::Created {
        return Err(not_exclusive(transport, "a key was created twice"));
    }
    if transport.get_limited(&key, MAX_PROBE_BYTES)? != Some(first) {
        return Err(not_exclusive(transport, "a refused creation changed the key"));
    }
    Ok(())
}

fn probe_race(transport: &Transport, name: &str) -> Result<()> {
    let key = Key::Canary(name.to_owned());
    let body = |n: usize| Bytes::from(format!("racer {n}"));
    let outcomes: Vec<Result<Put>> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|n| {
                let key = &key;
                scope.spawn(move || transport.put_new(key, body(n)))
            })
            .collect();
        racers
            .into_iter()
            .map(|racer| {
                racer.join().unwrap_or_else(|_| Err(Error::Runtime { detail: "a racing request panicked".into() }))
            })
            .collect()
    });
    let mut winners = Vec::new();
    for (n, outcome) in outcomes.into_iter().enumerate() {
        if outcome? == Put::Created {
            winners.push(n);
        }
    }
    let [winner] = winners[..] else {
        let detail = format!("{} of {RACERS} racing writers created one key", winners.len());
        return Err(not_exclusive(transport, &detail));
    };
    if transport.get_limited(&key, MAX_PROBE_BYTES)? != Some(body(winner)) {
        return Err(not_exclusive(transport, "the winner of a race lost its bytes"));
    }
    Ok(())
}

fn not_exclusive(transport: &Transport, detail: &str) -> Error {
    Error::NotExclusive { location: transport.location().to_owned(), detail: detail.to_owned() }
}
