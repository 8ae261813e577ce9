//! clade
fn main() {}
