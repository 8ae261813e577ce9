//! The only room that knows SQLite. Everything in it can be rebuilt.
