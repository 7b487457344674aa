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
mod unload_access;
mod unload_commands;
mod unload_data;
mod worlds;
