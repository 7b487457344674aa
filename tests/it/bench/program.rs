//! The built program.

use super::control_plane::ControlPlane;
use super::local_aws::LocalAws;
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const INSTALLATION: &str = "test";

/// What the program is started with: the environment of its identity and of its cluster.
pub fn command(plane: &ControlPlane, aws: &LocalAws, credentials: &Value, accounts: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redshift-link"));
    let text = |name: &str| credentials[name].as_str().unwrap_or_default().to_owned();
    command
        .env("AWS_ENDPOINT_URL", &aws.url)
        .env("AWS_ACCESS_KEY_ID", text("accessKeyId"))
        .env("AWS_SECRET_ACCESS_KEY", text("secretAccessKey"))
        .env("AWS_SESSION_TOKEN", text("sessionToken"))
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("KUBECONFIG", &plane.kubeconfig)
        .env("REDSHIFT_LINK_ACCOUNTS", accounts)
        .env("REDSHIFT_LINK_INSTALLATION", INSTALLATION)
        .env("REDSHIFT_LINK_LOG", "warn,redshift_link=info");
    command
}

/// The controller, running. Dropped, it is killed.
pub struct Program {
    child: Child,
    admin: String,
}

impl Program {
    /// Starts `redshift-link run`. The same identity takes its own lease up again at once, as a restarted container does.
    pub fn start(mut command: Command, identity: &str, interval: &str, grace: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let admin = free.to_string();
        command.args(["run", "--admin-address", &admin, "--lease-namespace", "default", "--identity", identity]);
        command.args(["--interval", interval, "--lost-answer-grace", grace]);
        Self { child: command.stdin(Stdio::null()).spawn().expect("the program starts"), admin }
    }

    /// What Prometheus reads.
    pub fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.admin);
        ureq::get(&url).call().unwrap_or_else(|e| panic!("{url}: {e}")).body_mut().read_to_string().expect("a text")
    }

    /// Ends it as a power cut does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it as Kubernetes does; true where it ended well and in time.
    pub fn terminate(&mut self) -> bool {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a command of the program to its end.
pub fn run(mut command: Command, arguments: &[&str]) -> Output {
    command.args(arguments).output().expect("the program runs")
}
