//! What operators see: metrics, health, logs.

pub mod admin;
pub mod logs;
pub mod metrics;
