//! All integration tests, in one binary.
//!
//! Over the in-memory accounts: crash_sweep, shared, settled, foreign, bad_worlds, deletion, conduct. With the built
//! program: end_to_end.

mod bad_worlds;
mod bench;
mod conduct;
mod crash_sweep;
mod deletion;
mod driver;
mod end_to_end;
mod fake;
mod foreign;
mod settled;
mod shared;
