//! The built program, with the permissions that it prints and no others, against the local accounts and a real API
//! server.

mod access;
mod commands;
mod deletion;
mod kill_sweep;
mod leader;
mod life;
mod secret_access;
mod shared;
mod unload;
mod worlds;
