//! All integration tests, in one binary.

mod bench;
mod crash_sweep;
mod driver;
mod end_to_end;
mod fake;
mod link_life;
