//! What requests are, how long they may take, and how they end.

use std::time::Duration;

use bytes::Bytes;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// A whole file.
    Get,
    /// A part of a file.
    GetRange,
    /// Only whether it exists, and its size.
    Head,
    /// Create if absent.
    Create,
    /// Overwrite (of `hint`).
    Overwrite,
    /// List keys.
    List,
    /// Delete a key.
    Delete,
}

/// How many requests were sent, retries included, and how many bytes of content were moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Whole files read.
    pub gets: u64,
    /// Parts of files read.
    pub ranges: u64,
    /// Existence checks.
    pub heads: u64,
    /// Create-if-absent requests.
    pub creates: u64,
    /// Overwrites of `hint`.
    pub overwrites: u64,
    /// Listings.
    pub lists: u64,
    /// Deletions.
    pub deletes: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
}

impl Requests {
    /// All requests, of any kind.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.gets + self.ranges + self.heads + self.creates + self.overwrites + self.lists + self.deletes
    }

    /// Requests that change something at the remote.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.creates + self.overwrites + self.deletes
    }
}

/// Deadlines and retries of one transport.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Times that a read is tried in all, and that an unclear write is asked about.
    pub attempts: u32,
    /// Wait before the second attempt, in milliseconds; it doubles up to 32 times this.
    pub backoff_ms: u64,
    /// A request that moves nothing for this long, in milliseconds, is given up.
    pub stall_ms: u64,
    /// A write may take [`Limits::stall_ms`] plus its size at this rate, in bytes per second.
    pub slowest_write_bytes_per_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attempts: 5, backoff_ms: 200, stall_ms: 30_000, slowest_write_bytes_per_s: 64 * 1024 }
    }
}

impl Limits {
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let factor = 1u64 << attempt.min(5);
        Duration::from_millis(self.backoff_ms.saturating_mul(factor))
    }

    pub(crate) fn write_deadline_ms(&self, size_bytes: u64) -> u64 {
        let rate = self.slowest_write_bytes_per_s.max(1);
        self.stall_ms.saturating_add(size_bytes.saturating_mul(1000) / rate)
    }
}

/// Answer to one create-if-absent request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The key was absent and now holds the bytes, durably.
    Created,
    /// The key existed, or the remote saw a conflict; nothing was written by this request.
    Exists,
}

/// What a key holds after [`create_settled`](crate::remote::Transport::create_settled).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// This call created it, with the remote's clear word for it.
    Created,
    /// It holds exactly the given bytes: an earlier attempt got through, or someone wrote the same.
    Same,
    /// It holds other bytes (given when the caller asked to see them).
    Other(Bytes),
}
