//! redshift-link joins an Amazon Redshift warehouse in one AWS account to its users in another.
//!
//! Dependencies point one way: [`api`] <- [`aws`] <- `link` <- [`unload`] <- `app`. See docs/design.md.
#![forbid(unsafe_code)]

pub mod api;
pub mod app;
pub mod aws;
pub mod cli;
pub mod kubernetes;
pub mod link;
pub mod observability;
pub mod unload;
