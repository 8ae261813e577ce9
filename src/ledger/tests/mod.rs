//! Tests of the ledger's parts together.

mod batches;
mod redaction;
mod sets;
