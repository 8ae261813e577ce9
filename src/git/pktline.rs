//! git's pkt-lines: four hex digits of length, themselves included, and that many bytes less four.
//! `0000` is a flush packet, which ends a list.

use super::{Error, Result};
use std::io::{ErrorKind, Read, Write};

/// The most bytes of content that git takes in one packet.
pub(super) const MAX_DATA_BYTES: usize = 65_516;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// A packet of this many bytes, in the caller's buffer.
    Data(usize),
    Flush,
    /// The input ended where a packet could begin.
    End,
}

fn fault(reason: impl Into<String>) -> Error {
    Error::Filter { reason: reason.into() }
}

/// Reads one packet into `buf`, which holds at least [`MAX_DATA_BYTES`].
pub(super) fn read(input: &mut impl Read, buf: &mut [u8]) -> Result<Packet> {
    let mut head = [0; 4];
    let mut have = 0;
    while have < 4 {
        match input.read(&mut head[have..]) {
            Ok(0) if have == 0 => return Ok(Packet::End),
            Ok(0) => return Err(fault("a packet ends in its length")),
            Ok(n) => have += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(fault(format!("cannot read: {e}"))),
        }
    }
    let mut len = 0;
    for c in head {
        let digit = char::from(c).to_digit(16).ok_or_else(|| fault("a packet's length is no number"))?;
        len = len * 16 + digit as usize;
    }
    let data_len = match len {
        0 => return Ok(Packet::Flush),
        // 1 to 3 are other markers of newer protocols, which a filter never gets.
        1..=3 => return Err(fault(format!("a packet of length {len}"))),
        len => len - 4,
    };
    if data_len > MAX_DATA_BYTES || data_len > buf.len() {
        return Err(fault(format!("a packet of {data_len} bytes, more than {MAX_DATA_BYTES}")));
    }
    input.read_exact(&mut buf[..data_len]).map_err(|e| fault(format!("a packet is cut: {e}")))?;
    Ok(Packet::Data(data_len))
}

/// Writes `bytes` as packets; none for no bytes.
pub(super) fn write(output: &mut impl Write, bytes: &[u8]) -> Result<()> {
    for part in bytes.chunks(MAX_DATA_BYTES) {
        let head = format!("{:04x}", part.len() + 4);
        output
            .write_all(head.as_bytes())
            .and_then(|()| output.write_all(part))
            .map_err(|e| fault(format!("cannot write: {e}")))?;
    }
    Ok(())
}

/// Writes a flush packet and empties buffers.
pub(super) fn flush(output: &mut impl Write) -> Result<()> {
    output.write_all(b"0000").and_then(|()| output.flush()).map_err(|e| fault(format!("cannot write: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut wire = Vec::new();
        let big = vec![7; MAX_DATA_BYTES + 1];
        write(&mut wire, &big).expect("into memory");
        flush(&mut wire).expect("into memory");
        assert_eq!(&wire[..4], b"fff0");
        let (mut input, mut buf) = (&wire[..], vec![0; MAX_DATA_BYTES]);
        assert_eq!(read(&mut input, &mut buf).expect("full"), Packet::Data(MAX_DATA_BYTES));
        assert_eq!(read(&mut input, &mut buf).expect("rest"), Packet::Data(1));
        assert_eq!(read(&mut input, &mut buf).expect("flush"), Packet::Flush);
        assert_eq!(read(&mut input, &mut buf).expect("end"), Packet::End);
    }

    #[test]
    fn hostile_lengths_are_faults() {
        let mut buf = vec![0; MAX_DATA_BYTES];
        for wire in ["0001", "0003", "00", "zzzz", "+123", "fff1", "ffff", "0008abc"] {
            assert!(read(&mut wire.as_bytes(), &mut buf).is_err(), "{wire}");
        }
        assert_eq!(read(&mut &b"0004"[..], &mut buf).expect("an empty packet"), Packet::Data(0));
    }
}
