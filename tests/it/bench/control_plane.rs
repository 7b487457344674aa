//! The local control plane: a real API server, with kubectl beside it.

use super::{Server, root};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub struct ControlPlane {
    pub kubeconfig: PathBuf,
    pub bin: PathBuf,
    _server: Server,
}

impl ControlPlane {
    /// The control plane of tests that start no controller.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A control plane with our definitions.
    pub fn start() -> Self {
        let plane = Self::start_empty();
        plane.apply(&redshift_link::api::crds().into_iter().map(|file| file.yaml).collect::<Vec<_>>().join("---\n"));
        plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]);
        plane
    }

    fn start_empty() -> Self {
        let mut command = Command::new("python3");
        command.args(["-m", "bench.controlplane", "run"]);
        let (server, ready) = Server::start(command);
        let path = |name: &str| PathBuf::from(ready[name].as_str().unwrap_or_else(|| panic!("{name} in {ready}")));
        Self { kubeconfig: path("kubeconfig"), bin: path("bin"), _server: server }
    }

    /// A path for a file that goes with it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.kubeconfig.with_file_name(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.bin.join("kubectl"));
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments).current_dir(root());
        command
    }

    /// Runs kubectl as administrator; gives what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments, "").unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}"))
    }

    /// Runs kubectl with this on its standard input; gives what it printed, or how it failed.
    pub fn try_kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("read by kubectl");
        let output = child.wait_with_output().expect("kubectl ends");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// What `kubectl explain` says of a field. The server publishes it a moment after a definition is established.
    pub fn explain(&self, field: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match self.try_kubectl(&["explain", field], "") {
                Ok(explained) => return explained,
                Err(error) if Instant::now() > deadline => panic!("kubectl explain {field}: {error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    pub fn apply(&self, manifest: &str) {
        self.try_kubectl(&["apply", "--server-side", "-f", "-"], manifest)
            .unwrap_or_else(|e| panic!("{e}\n{manifest}"));
    }

    /// An object as JSON; none where it is not there.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let found = self.kubectl(&["get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found"]);
        serde_json::from_str(&found).ok()
    }

    /// A namespace that did not exist before.
    pub fn namespace(&self, name: &str) {
        self.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"));
    }
}
