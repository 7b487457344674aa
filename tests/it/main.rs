//! All integration tests, in one binary.

mod crash_sweep;
mod driver;
mod fake;
mod link_life;
