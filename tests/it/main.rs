//! All integration tests, in one binary.
//!
//! Of the sources: architecture, generated. Over in-memory accounts: crash_sweep, shared, settled, foreign, bad_worlds,
//! deletion, conduct. On a real API server: admission. The built program over it and the local accounts: end_to_end,
//! access, kill_sweep.

mod access;
mod admission;
mod architecture;
mod bad_worlds;
mod bench;
mod conduct;
mod crash_sweep;
mod deletion;
mod driver;
mod end_to_end;
mod fake;
mod foreign;
mod generated;
mod kill_sweep;
mod settled;
mod shared;
