//! `clade filter-process`: what git calls for every file under the filter.
//!
//! Clean takes content in and answers the pointer. Smudge answers the pointer at once where git checks out
//! (and notes the path, so that the hook after the checkout puts the bytes in place), and content where git
//! archives or applies patches.

use super::hydrate::Pending;
use super::{Error, Result};
use crate::fsio;
use crate::git::filter::{Direction, FilterHandler, Refusal, Request, serve};
use crate::limits::MAX_POINTER_BYTES;
use crate::manifest::{Parsed, Pointer, parse};
use crate::process;
use crate::repo::Repo;
use crate::store::{Session, SessionKind, Source};
use crate::tensor;
use std::io::{Read, Write};

/// What the person should read, as it comes up: standard error of the git command that is running.
pub type Tell<'a> = dyn FnMut(&str) + 'a;

/// Serves git until it closes the pipe.
pub fn filter_process(repo: &Repo, input: impl Read + Send, output: impl Write, tell: &mut Tell<'_>) -> Result<()> {
    let store = repo.store()?;
    let session = store.session(SessionKind::PerFile, repo.progress(), repo.interrupt());
    let git_pid = process::parent_id();
    let mut filter = Filter { repo, session: Some(session), pending: Pending::of(repo, git_pid), tell };
    let result = serve(input, output, &mut filter).map_err(Error::from);
    if let Some(session) = filter.session.take() {
        session.finish()?;
    }
    result
}

struct Filter<'a, 't> {
    repo: &'a Repo,
    session: Option<Session<'a>>,
    pending: Pending,
    tell: &'a mut Tell<'t>,
}

impl FilterHandler for Filter<'_, '_> {
    fn filter(
        &mut self,
        request: &Request,
        content: &mut (dyn Read + Send),
        answer: &mut dyn Write,
    ) -> Result<(), Refusal> {
        let result = match request.direction {
            Direction::Clean => self.clean(request, content, answer),
            Direction::Smudge => self.smudge(request, content, answer),
        };
        result.map_err(|e| {
            let path = String::from_utf8_lossy(&request.path).into_owned();
            (self.tell)(&format!("clade: {path}: {e}"));
            for hint in &e.hints {
                (self.tell)(&format!("hint: {hint}"));
            }
            Refusal::File
        })
    }
}

impl Filter<'_, '_> {
    fn clean(&mut self, request: &Request, content: &mut (dyn Read + Send), answer: &mut dyn Write) -> Result<()> {
        let head = read_head(content)?;
        if head.len() < MAX_POINTER_BYTES {
            match parse(&head) {
                // An empty file is git's own; a pointer is already what git should store.
                _ if head.is_empty() => return Ok(()),
                Parsed::Pointer(_) | Parsed::Directory(_) => return reply(answer, &head),
                Parsed::Invalid(defect) => {
                    return Err(Error::not_found(format!(
                        "this looks like a pointer and is not a valid one: {defect}"
                    ))
                    .hint("restore the file with `git checkout -- PATH`, or write the content itself"));
                }
                Parsed::NotAPointer => {}
            }
        }
        if let Some(pointer) = self.known(request) {
            return reply(answer, &pointer.encode());
        }
        let path = String::from_utf8_lossy(&request.path).into_owned();
        let mut input = SendReader { head: head.as_slice(), rest: content };
        let session = self.session.as_mut().expect("it is taken only at the end");
        let out = session.add(Source::Pipe(&mut input, path.clone()))?;
        if path.to_ascii_lowercase().ends_with(".safetensors")
            && let Some(problem) = tensor::safetensors_problem(&head, out.size_bytes)
        {
            (self.tell)(&format!("clade: warning: {path}: {problem}; stored as it is"));
        }
        reply(answer, &Pointer { file_id: out.file_id, size_bytes: out.size_bytes }.encode())
    }

    /// The pointer of a file that is known to be untouched since it was last read, and is stored.
    fn known(&self, request: &Request) -> Option<Pointer> {
        let absolute = self.repo.absolute(&request.path).ok()?;
        let stat = fsio::stat(&absolute).ok()??;
        let file_id = self.repo.index().cached_file(&self.repo.layout.worktree, &request.path, &stat).ok()??;
        let presence = self.repo.store().ok()?.presence(file_id, stat.size_bytes).ok()?;
        (presence == crate::store::Presence::Complete).then_some(Pointer { file_id, size_bytes: stat.size_bytes })
    }

    fn smudge(&mut self, request: &Request, content: &mut (dyn Read + Send), answer: &mut dyn Write) -> Result<()> {
        let head = read_head(content)?;
        let pointer = if head.len() < MAX_POINTER_BYTES { parse(&head) } else { Parsed::NotAPointer };
        let Parsed::Pointer(pointer) = pointer else {
            // Content that was committed as it is, or a directory pointer: git's bytes are right.
            reply(answer, &head)?;
            std::io::copy(content, answer).map_err(pipe)?;
            return Ok(());
        };
        if request.can_delay {
            self.pending.push(&request.path, &pointer)?;
            return reply(answer, &head);
        }
        // `git diff` and `git log` name the blob and nothing else: two models are compared by their pointers.
        let for_diff = request.blob.is_some() && request.treeish.is_none() && request.reference.is_none();
        if for_diff {
            return reply(answer, &head);
        }
        let wanted = crate::transfer::Wanted { file: pointer.file_id, size_bytes: pointer.size_bytes };
        super::fetching::ensure(self.repo, &[wanted])?;
        let store = self.repo.store()?;
        Ok(store.copy_to(pointer.file_id, pointer.size_bytes, answer, self.repo.interrupt())?)
    }
}

/// Content that was partly read. Only this thread reads it; the store's reading thread borrows it.
struct SendReader<'a> {
    head: &'a [u8],
    rest: &'a mut (dyn Read + Send),
}

impl Read for SendReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.head.is_empty() { self.rest.read(buf) } else { self.head.read(buf) }
    }
}

/// The first bytes of content: all of it when it is short.
fn read_head(content: &mut (dyn Read + Send)) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    content.take(MAX_POINTER_BYTES as u64 * 64).read_to_end(&mut head).map_err(pipe)?;
    Ok(head)
}

fn reply(answer: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    answer.write_all(bytes).map_err(pipe)
}

fn pipe(e: std::io::Error) -> Error {
    Error::new(super::Kind::Io, format!("the pipe to git broke: {e}"))
}
