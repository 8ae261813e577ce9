//! Opening and creating remotes.

use bytes::Bytes;

use crate::id::{RemoteId, WriterId};
use crate::remote::canary::check_create_if_absent;
use crate::remote::error::Result;
use crate::remote::format::Format;
use crate::remote::location::Location;
use crate::remote::log::Log;
use crate::remote::request::Limits;
use crate::remote::session::Session;
use crate::remote::transport::Transport;

/// What a remote is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading: only read requests are sent.
    Read,
    /// Reading and pushing.
    Write,
}

/// A remote whose format this program knows.
#[derive(Debug, Clone)]
pub struct Remote {
    transport: Transport,
    format: Format,
}

impl Remote {
    /// Opens the remote at `location`. One request.
    ///
    /// # Errors
    /// [`NotARemote`](crate::remote::Error::NotARemote) when nothing is there,
    /// [`NewerNeeded`](crate::remote::Error::NewerNeeded) when it needs more than this program knows.
    pub fn open(location: &str, access: Access) -> Result<Self> {
        let transport = Location::parse(location)?.connect(Limits::default())?;
        Self::over(transport, access)
    }

    /// Opens the remote behind `transport`. One request.
    pub fn over(transport: Transport, access: Access) -> Result<Self> {
        let format = Format::load(&transport)?;
        match access {
            Access::Read => format.check_read()?,
            Access::Write => format.check_write()?,
        }
        Ok(Self { transport, format })
    }

    /// Makes a remote at `location`, or opens the one that is there, after the canary has passed.
    /// `profile` is the chunk profile of a new remote.
    ///
    /// # Errors
    /// [`NotExclusive`](crate::remote::Error::NotExclusive) when the place cannot keep keys from being
    /// created twice.
    pub fn create(location: &str, profile: u32) -> Result<Self> {
        let transport = Location::parse(location)?.connect_or_create(Limits::default())?;
        Self::create_over(transport, profile)
    }

    /// Makes a remote behind `transport`, or opens the one that is there, after the canary has passed.
    pub fn create_over(transport: Transport, profile: u32) -> Result<Self> {
        check_create_if_absent(&transport)?;
        let format = Format::new(profile).create(&transport)?;
        format.check_write()?;
        Ok(Self { transport, format })
    }

    /// The remote's identity.
    #[must_use]
    pub fn id(&self) -> RemoteId {
        self.format.remote_id
    }

    /// The remote's format.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The requests below.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Reads the log; see [`Log::open`].
    pub fn log(&self, known: Vec<Bytes>) -> Result<Log> {
        Log::open(&self.transport, known)
    }

    /// Opens an upload session; see [`Session::create`].
    pub fn session(&self, writer: WriterId, started_ms: u64, log_seq: u64) -> Result<Session> {
        Session::create(&self.transport, writer, started_ms, log_seq)
    }
}
