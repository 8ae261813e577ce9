//! The conversation of a long-running filter with git: version 2, capabilities clean, smudge and delay.
//!
//! Nothing is ever delayed. The capability is claimed because git tells [`Request::can_delay`], by which a
//! checkout is known from all others, only to filters that have it.
//!
//! git sends requests one after the other over our input; content passes in packets, and no more than one
//! packet is kept here. A fault in one file is an answer and never ends the conversation; a breach of the
//! protocol or a broken pipe does.

use super::pktline::{self, MAX_DATA_BYTES, Packet};
use super::{Error, Oid, Result};
use std::io::{self, Read, Write};

/// What git asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the working tree into the repository.
    Clean,
    /// From the repository into the working tree.
    Smudge,
}

/// One request. Which of the optional fields are there says who asks (checkout, archive, diff, apply).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub direction: Direction,
    /// The path from the top of the working tree.
    pub path: Vec<u8>,
    /// Whether the answer could be put off: only checkouts allow it.
    pub can_delay: bool,
    /// The ref that is checked out or archived.
    pub reference: Option<String>,
    /// The commit or tree that is checked out or archived.
    pub treeish: Option<Oid>,
    /// The blob whose content is given.
    pub blob: Option<Oid>,
}

/// Why one file could not be filtered. The caller has told the person already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// This file only; git reports it and goes on (or stops, where the filter is required).
    File,
    /// This one and all further requests of this direction.
    Abort,
}

/// Does the work.
pub trait FilterHandler {
    /// Answers one request. `content` is what git gives, to its end; `answer` takes the result. Content that is
    /// not read is thrown away. The first byte written, or a return of `Ok`, tells git that it works; a refusal
    /// after that still makes git discard the answer.
    ///
    /// git does not read before it has written everything: read all of `content` before the answer grows large.
    ///
    /// # Errors
    /// A [`Refusal`] when this file cannot be filtered.
    fn filter(
        &mut self,
        request: &Request,
        content: &mut (dyn Read + Send),
        answer: &mut dyn Write,
    ) -> Result<(), Refusal>;
}

/// Serves requests until git closes the pipe. `input` and `output` should be raw: buffers are made here.
///
/// # Errors
/// [`Error::Filter`] when git breaks the protocol, speaks another version, or a pipe breaks.
pub fn serve(input: impl Read + Send, output: impl Write, handler: &mut dyn FilterHandler) -> Result<()> {
    let mut wire = Wire {
        input: io::BufReader::with_capacity(MAX_DATA_BYTES + 4, input),
        output: io::BufWriter::with_capacity(MAX_DATA_BYTES + 4, output),
        packet: vec![0; MAX_DATA_BYTES],
    };
    wire.greet()?;
    while let Some(request) = wire.request()? {
        wire.answer(&request, handler)?;
    }
    Ok(())
}

fn fault(reason: impl Into<String>) -> Error {
    Error::Filter { reason: reason.into() }
}

struct Wire<R: Read + Send, W: Write> {
    input: io::BufReader<R>,
    output: io::BufWriter<W>,
    packet: Vec<u8>,
}

/// A list of more lines than any git sends is an attack or a mix-up.
const MAX_LIST_LINES: usize = 256;

impl<R: Read + Send, W: Write> Wire<R, W> {
    /// The lines up to the next flush packet; `None` when the input has ended.
    fn list(&mut self) -> Result<Option<Vec<Vec<u8>>>> {
        let mut lines = Vec::new();
        loop {
            match pktline::read(&mut self.input, &mut self.packet)? {
                Packet::Data(_) if lines.len() == MAX_LIST_LINES => return Err(fault("a list without end")),
                Packet::Data(len) => {
                    let line = &self.packet[..len];
                    lines.push(line.strip_suffix(b"\n").unwrap_or(line).to_vec());
                }
                Packet::Flush => return Ok(Some(lines)),
                Packet::End if lines.is_empty() => return Ok(None),
                Packet::End => return Err(fault("the input ends in a list")),
            }
        }
    }

    fn send(&mut self, lines: &[&str]) -> Result<()> {
        for line in lines {
            pktline::write(&mut self.output, format!("{line}\n").as_bytes())?;
        }
        pktline::flush(&mut self.output)
    }

    fn greet(&mut self) -> Result<()> {
        let hello = self.list()?.ok_or_else(|| fault("no greeting"))?;
        if hello.first().is_none_or(|l| l != b"git-filter-client") || !hello.iter().any(|l| l == b"version=2") {
            return Err(fault("the greeting is not one of git's filter protocol, version 2"));
        }
        self.send(&["git-filter-server", "version=2"])?;
        let can = self.list()?.ok_or_else(|| fault("no capabilities"))?;
        let known = ["capability=clean", "capability=smudge", "capability=delay"];
        let ours: Vec<&str> = known.into_iter().filter(|c| can.iter().any(|l| l == c.as_bytes())).collect();
        self.send(&ours)
    }

    fn request(&mut self) -> Result<Option<Request>> {
        let lines = loop {
            match self.list()? {
                None => return Ok(None),
                // Which delayed files are ready: there are none.
                Some(lines) if lines.iter().any(|l| l == b"command=list_available_blobs") => {
                    pktline::flush(&mut self.output)?;
                    self.send(&["status=success"])?;
                }
                Some(lines) => break lines,
            }
        };
        let (mut direction, mut path) = (None, None);
        let (mut can_delay, mut reference, mut treeish, mut blob) = (false, None, None, None);
        for line in lines {
            let at = line.iter().position(|b| *b == b'=').ok_or_else(|| fault("a line without a value"))?;
            let (key, value) = (&line[..at], &line[at + 1..]);
            let text = || String::from_utf8_lossy(value).into_owned();
            match key {
                b"command" => {
                    direction = Some(match value {
                        b"clean" => Direction::Clean,
                        b"smudge" => Direction::Smudge,
                        _ => return Err(fault(format!("unknown command {:?}", text()))),
                    });
                }
                b"pathname" => path = Some(value.to_vec()),
                b"can-delay" => can_delay = value == b"1",
                b"ref" => reference = Some(text()),
                b"treeish" => treeish = Oid::parse(&text()),
                b"blob" => blob = Oid::parse(&text()),
                // Newer programs may say more.
                _ => {}
            }
        }
        let direction = direction.ok_or_else(|| fault("a request without a command"))?;
        let path = path.ok_or_else(|| fault("a request without a path"))?;
        Ok(Some(Request { direction, path, can_delay, reference, treeish, blob }))
    }

    fn answer(&mut self, request: &Request, handler: &mut dyn FilterHandler) -> Result<()> {
        let mut content =
            Content { input: &mut self.input, packet: &mut self.packet, at: 0, len: 0, ended: false, fault: None };
        let mut answer = Answer { output: &mut self.output, started: false, pending: Vec::new(), fault: None };
        let done = handler.filter(request, &mut content, &mut answer);
        content.drain()?;
        if let Some(fault) = answer.fault.take() {
            return Err(fault);
        }
        if done.is_ok() {
            answer.finish()?;
        }
        let started = answer.started;
        match (done, started) {
            // The list behind the content: empty means that the first status holds.
            (Ok(()), _) => pktline::flush(&mut self.output),
            (Err(refusal), true) => {
                pktline::flush(&mut self.output)?;
                self.send(&[status(refusal)])
            }
            (Err(refusal), false) => self.send(&[status(refusal)]),
        }
    }
}

fn status(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::File => "status=error",
        Refusal::Abort => "status=abort",
    }
}

/// The content of one request, packet by packet.
struct Content<'a, R: Read> {
    input: &'a mut io::BufReader<R>,
    packet: &'a mut Vec<u8>,
    at: usize,
    len: usize,
    ended: bool,
    /// Kept aside, because a reader can only hand out an I/O error, which a handler may take for its own.
    fault: Option<Error>,
}

impl<R: Read> Content<'_, R> {
    fn fill(&mut self) -> Result<()> {
        while !self.ended && self.at == self.len {
            match pktline::read(self.input, self.packet)? {
                Packet::Data(len) => (self.at, self.len) = (0, len),
                Packet::Flush => self.ended = true,
                Packet::End => return Err(fault("the input ends in the content of a file")),
            }
        }
        Ok(())
    }

    /// Reads to the end of the content. A fault that the handler met is returned here.
    fn drain(&mut self) -> Result<()> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        while !self.ended {
            self.at = self.len;
            self.fill()?;
        }
        Ok(())
    }
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.fault.is_none() {
            self.fault = self.fill().err();
        }
        if let Some(fault) = &self.fault {
            return Err(io::Error::other(fault.to_string()));
        }
        let n = buf.len().min(self.len - self.at);
        buf[..n].copy_from_slice(&self.packet[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// The answer to one request. Small writes are gathered into whole packets.
struct Answer<'a, W: Write> {
    output: &'a mut io::BufWriter<W>,
    started: bool,
    pending: Vec<u8>,
    fault: Option<Error>,
}

impl<W: Write> Answer<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if !self.started {
            self.started = true;
            pktline::write(self.output, b"status=success\n")?;
            // Not flushed through yet: git reads status and content in one go.
            self.output.write_all(b"0000").map_err(|e| fault(format!("cannot write: {e}")))?;
        }
        pktline::write(self.output, bytes)
    }

    fn finish(&mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.pending);
        self.put(&rest)?;
        pktline::flush(self.output)
    }
}

impl<W: Write> Write for Answer<'_, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(MAX_DATA_BYTES - self.pending.len());
        self.pending.extend_from_slice(&buf[..n]);
        if self.pending.len() == MAX_DATA_BYTES {
            let full = std::mem::take(&mut self.pending);
            if let Err(fault) = self.put(&full) {
                let error = io::Error::other(fault.to_string());
                self.fault = Some(fault);
                return Err(error);
            }
            self.pending = full;
            self.pending.clear();
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
