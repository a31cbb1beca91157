//! The `pixlserv` program.

fn main() {}
