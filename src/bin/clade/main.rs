//! The command line of clade.

mod args;
mod ui;

fn main() {}
