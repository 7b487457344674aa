//! The local AWS and its own API.

use super::{Server, python};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use serde_json::Value;
use std::process::Command;

pub struct LocalAws {
    pub url: String,
    _server: Server,
}

impl LocalAws {
    pub fn start() -> Self {
        let mut command = Command::new(python());
        command.args(["-m", "bench.aws", "--stdin-eof"]);
        let (server, ready) = Server::start(command);
        Self { url: ready["url"].as_str().expect("a url").into(), _server: server }
    }

    pub fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/_bench/{path}", self.url);
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut answer = agent.post(&url).send_json(&body).unwrap_or_else(|e| panic!("{url} {body}: {e}"));
        assert!(answer.status().is_success(), "{url} {body}: {:?}", answer.body_mut().read_to_string());
        answer.body_mut().read_json().unwrap_or(Value::Null)
    }

    pub fn get(&self, path: &str) -> Value {
        let url = format!("{}/_bench/{path}", self.url);
        ureq::get(&url).call().unwrap_or_else(|e| panic!("{url}: {e}")).body_mut().read_json().unwrap_or(Value::Null)
    }

    pub fn clear_faults(&self) {
        ureq::delete(format!("{}/_bench/faults", self.url)).call().expect("cleared");
    }

    /// The calls since a number, and the number of the last.
    pub fn calls(&self, after: u64) -> (Vec<Value>, u64) {
        let calls = self.get(&format!("calls?after={after}"));
        let calls = calls["calls"].as_array().or(calls.as_array()).expect("a list").clone();
        let last = calls.last().and_then(|call| call["sequence"].as_u64()).unwrap_or(after);
        (calls, last)
    }

    pub fn inventory(&self, account: &str) -> Value {
        self.get(&format!("inventory?account={account}"))
    }

    /// SDK configuration by credentials as the bench gives them.
    pub async fn config(&self, credentials: &Value, region: &str) -> SdkConfig {
        let text = |name: &str| credentials[name].as_str().unwrap_or_default().to_owned();
        let credentials =
            Credentials::new(text("accessKeyId"), text("secretAccessKey"), Some(text("sessionToken")), None, "bench");
        let loader = aws_config::defaults(BehaviorVersion::latest()).endpoint_url(&self.url);
        loader.region(Region::new(region.to_owned())).credentials_provider(credentials).load().await
    }
}
