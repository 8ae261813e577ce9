//! The command line of clade.

fn main() {}
