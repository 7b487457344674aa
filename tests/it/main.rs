//! All integration tests, in one binary.
//!
//! Of the sources: architecture, generated, documents. Over in-memory accounts: in_memory. Over these and the local
//! accounts alike: contract. On a real API server: admission, admission_unload. On a real SQL server: statement_text.
//! The built program over the local API server and accounts: program.

mod admission;
mod admission_unload;
mod architecture;
mod bench;
mod contract;
mod documents;
mod generated;
mod in_memory;
mod program;
mod statement_text;
