//! Reads a file or pipe ahead of the work, and cuts it into chunks.

use super::{Error, Result};
use crate::chunk::{Chunker, Class, Profile, Step, WINDOW_BYTES};
use crate::fsio::File;
use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes that the reader hands over at a time.
const BLOCK_BYTES: usize = 8 * 1024 * 1024;

/// Where a file's bytes come from.
pub enum Source<'a> {
    /// An open file.
    File(File),
    /// A pipe, whose length is not known before its end. The text says what it is, for errors.
    Pipe(&'a mut (dyn Read + Send), String),
}

/// One piece of a window: a chunk's place in it, or a hole.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece {
    Chunk { start: usize, len: usize, class: Class },
    Hole { len: u64 },
}

/// Consecutive pieces with the bytes that they lie in. `consumed` bytes of `bytes` are covered by them.
pub(super) struct Window<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) pieces: &'a [Piece],
    pub(super) consumed: usize,
}

/// Cuts everything that `source` gives and calls `work` with windows in order. Reading goes on in another
/// thread meanwhile; memory is a few blocks.
pub(super) fn for_each_window(
    source: &mut Source<'_>,
    profile: Profile,
    mut work: impl FnMut(Window<'_>) -> Result<()>,
) -> Result<()> {
    let what = match source {
        Source::File(file) => file.path().display().to_string(),
        Source::Pipe(_, what) => what.clone(),
    };
    let reader: &mut (dyn Read + Send) = match source {
        Source::File(file) => file,
        Source::Pipe(reader, _) => *reader,
    };
    let (full_tx, full_rx) = sync_channel::<std::io::Result<Vec<u8>>>(1);
    let (empty_tx, empty_rx) = sync_channel::<Vec<u8>>(3);
    std::thread::scope(|scope| {
        scope.spawn(move || read_blocks(reader, &full_tx, &empty_rx));
        let mut chunker = Chunker::new(profile);
        let mut buffer: Vec<u8> = Vec::with_capacity(BLOCK_BYTES + WINDOW_BYTES);
        let mut pieces = Vec::new();
        loop {
            let block = match full_rx.recv() {
                Ok(Ok(block)) => Some(block),
                Ok(Err(source)) => return Err(Error::Input { what, source }),
                Err(_) => None,
            };
            let eof = block.is_none();
            if let Some(block) = block {
                buffer.extend_from_slice(&block);
                // The reader may have ended; then nobody needs the block again.
                let _ = empty_tx.send(block);
            }
            pieces.clear();
            let mut at = 0;
            loop {
                match chunker.next(&buffer[at..], eof) {
                    Step::NeedMore | Step::End => break,
                    Step::Chunk { len, class } => {
                        pieces.push(Piece::Chunk { start: at, len, class });
                        at += len;
                    }
                    Step::Hole { len } => {
                        pieces.push(Piece::Hole { len });
                        at += usize::try_from(len).expect("a hole lies in the window");
                    }
                }
            }
            if !pieces.is_empty() {
                work(Window { bytes: &buffer, pieces: &pieces, consumed: at })?;
                buffer.drain(..at);
            }
            if eof {
                return Ok(());
            }
        }
    })
}

/// Reads blocks until the end, an error, or until nobody wants them.
fn read_blocks(reader: &mut dyn Read, full: &SyncSender<std::io::Result<Vec<u8>>>, empty: &Receiver<Vec<u8>>) {
    loop {
        let mut block = empty.try_recv().unwrap_or_default();
        block.clear();
        block.reserve(BLOCK_BYTES);
        match reader.take(BLOCK_BYTES as u64).read_to_end(&mut block) {
            Ok(0) => return,
            Ok(_) => {
                if full.send(Ok(block)).is_err() {
                    return;
                }
            }
            Err(e) => {
                let _ = full.send(Err(e));
                return;
            }
        }
    }
}
