//! The loop for links: observe, plan, act, status.

pub mod act;
pub mod controller;
pub mod facts;
pub mod holds;
pub mod memory;
pub mod observe;
pub mod others;
pub mod parts;
pub mod plan;
pub mod reconcile;
pub mod register;
pub mod request;
mod since;
pub mod status;
mod undone;
pub mod want;
