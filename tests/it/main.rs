//! All integration tests, in one binary.
//!
//! Of the sources: architecture, generated, documents. Over in-memory accounts: crash_sweep, shared, settled, foreign,
//! bad_worlds, deletion, conduct. Over these and the local accounts alike: contract. On a real API server: admission.
//! The built program over it and the local accounts: program.

mod admission;
mod architecture;
mod bad_worlds;
mod bench;
mod conduct;
mod contract;
mod crash_sweep;
mod deletion;
mod documents;
mod driver;
mod fake;
mod foreign;
mod generated;
mod program;
mod settled;
mod shared;
