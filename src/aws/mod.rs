//! AWS as the rest of the program knows it: what can be read, what can be changed, what can go wrong.

pub mod accounts;
pub mod effect;
pub mod error;
mod lane;
pub mod manifest;
pub mod mark;
pub mod model;
pub mod moment;
pub mod permissions;
pub mod policy;
pub mod read;
pub mod resource_policy;
pub mod scope;
pub mod sdk;
pub mod shared;
pub mod throttle;
