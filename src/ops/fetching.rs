//! Bytes that are needed here and may be elsewhere.

use super::{Error, Kind, Result, remotes};
use crate::id::FileId;
use crate::repo::Repo;
use crate::store::Presence;
use crate::transfer::{self, Wanted};
use std::collections::BTreeMap;

/// Makes sure that the store has all of `wanted`, and fetches what it lacks from the remotes in turn.
///
/// # Errors
/// [`Kind::Integrity`] when every remote answered and none has the bytes; [`Kind::Remote`] when one did not
/// answer.
pub fn ensure(repo: &Repo, wanted: &[Wanted]) -> Result<()> {
    let (absent, failed) = fetch_missing(repo, wanted, false)?;
    if absent.is_empty() {
        return Ok(());
    }
    Err(explain(&absent, &failed))
}

/// Like [`ensure`], and reads what the store lists before it is believed: what is damaged is fetched again.
pub fn heal(repo: &Repo, wanted: &[Wanted]) -> Result<()> {
    let (absent, failed) = fetch_missing(repo, wanted, true)?;
    if absent.is_empty() { Ok(()) } else { Err(explain(&absent, &failed)) }
}

/// Like [`ensure`], but what cannot be had is returned with the reason.
pub fn try_ensure(repo: &Repo, wanted: &[Wanted]) -> Result<BTreeMap<FileId, String>> {
    let (absent, failed) = fetch_missing(repo, wanted, false)?;
    let reason = match failed.first() {
        Some(e) => e.to_string(),
        None => "its bytes are neither in this clone's store nor at any remote".to_owned(),
    };
    Ok(absent.into_iter().map(|w| (w.file, reason.clone())).collect())
}

fn explain(absent: &[Wanted], failed: &[Error]) -> Error {
    let message = match absent {
        [one] => format!("the bytes of {} are not in this clone's store", one.file),
        many => {
            format!("the bytes of {} files are not in this clone's store, the first is {}", many.len(), many[0].file)
        }
    };
    match failed.first() {
        Some(e) => {
            let mut out = Error::new(Kind::Remote, message);
            out.causes.push(e.to_string());
            out.hint("try again when the remote can be reached")
        }
        None => Error::integrity(message + " and at no remote").hint(
            "ask who committed it to run `clade push`, or add the remote that has it: `clade remote add NAME URL`",
        ),
    }
}

/// What is still missing after all remotes were asked, and which of them failed.
fn fetch_missing(repo: &Repo, wanted: &[Wanted], heal: bool) -> Result<(Vec<Wanted>, Vec<Error>)> {
    let store = repo.store()?;
    let missing = |among: &[Wanted]| -> Result<Vec<Wanted>> {
        let mut out = Vec::new();
        for w in among {
            if w.size_bytes > 0 && store.presence(w.file, w.size_bytes)? != Presence::Complete {
                out.push(*w);
            }
        }
        Ok(out)
    };
    let mut left = if heal { wanted.to_vec() } else { missing(wanted)? };
    let mut failed = Vec::new();
    if left.is_empty() {
        return Ok((left, failed));
    }
    for remote in remotes::readable(repo)? {
        let mut view = match remotes::open_to_read(repo, &remote) {
            Ok(view) => view,
            Err(e) => {
                failed.push(e);
                continue;
            }
        };
        match transfer::fetch(&mut view, store, &left, heal, repo.progress(), repo.interrupt()) {
            Ok(_) => return Ok((Vec::new(), failed)),
            Err(transfer::Error::Absent { files }) => left.retain(|w| files.contains(&w.file)),
            Err(transfer::Error::Interrupted(e)) => return Err(e.into()),
            Err(transfer::Error::Store(e)) => return Err(e.into()),
            Err(e) => {
                failed.push(e.into());
                left = missing(&left)?;
            }
        }
        if left.is_empty() {
            break;
        }
    }
    Ok((left, failed))
}
