//! The integration tests, one binary.

mod architecture;
mod conform_remote;
mod formats_v1;
