//! The local accounts, the local control plane and the built program over them.

pub mod accounts;
pub mod control_plane;
pub mod jobs;
pub mod local_aws;
pub mod program;
pub mod stage;
pub mod warehouse;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A server of the bench: ends when its standard input closes, so also when this process dies.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts a server and reads the line by which it says that it is ready.
    pub fn start(mut command: Command) -> (Self, serde_json::Value) {
        command.env("PYTHONPATH", root().join("tests")).current_dir(root());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the bench starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let ready = serde_json::from_str(&line).unwrap_or_else(|e| panic!("the bench said {line:?}: {e}"));
        (Self { child }, ready)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The Python of the bench, with its packages.
pub fn python() -> PathBuf {
    let output = Command::new(root().join("tests/bench/venv.sh")).stderr(Stdio::inherit()).output().expect("a shell");
    assert!(output.status.success(), "the bench's environment could not be made");
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim()).join("bin/python")
}
