//! The loop over a pair of accounts and an API server in memory, with every fault at every write, on a paused clock.

mod bad_worlds;
mod changes;
mod conduct;
mod crash_sweep;
mod deletion;
pub mod driver;
pub mod fake;
mod foreign;
mod secret_access;
mod settled;
mod shared;
mod unload_failures;
mod unload_files;
mod unload_going;
mod unload_once;
mod unload_pace;
mod unload_place;
mod unload_random;
mod unload_roles;
mod unload_run;
mod unload_worlds;
