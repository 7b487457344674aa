//! The process: what the commands are put together from.

pub mod orphans;
pub mod plan;
pub mod print;
pub mod run;
pub mod unload;

use crate::aws::accounts::{AccountsError, AccountsWatch};
use crate::aws::mark::Installation;
use crate::aws::sdk::{Identity, Sdk, Sessions};
use crate::cli::Place;
use crate::observability::metrics::Metrics;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, Config, ResourceExt};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::watch;

/// Why a command ended without result.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The accounts file.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The cluster is not reached, or refuses.
    #[error("the cluster: {0}")]
    Kubernetes(String),
    /// A setting cannot be.
    #[error("{0}")]
    Setting(String),
    /// What the command was given is not taken; nothing was done.
    #[error("{0}")]
    Refused(String),
    /// A file or socket.
    #[error("{what}: {error}")]
    Io {
        /// What was to be read, written or opened.
        what: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A task of the process ended that must not.
    #[error("{0}")]
    Stopped(String),
}

impl AppError {
    /// What the process ends with: 2 as for a command line that is wrong, where what it names is.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        if matches!(self, Self::Refused(_)) { ExitCode::from(2) } else { ExitCode::FAILURE }
    }
}

impl From<kube::Error> for AppError {
    fn from(error: kube::Error) -> Self {
        Self::Kubernetes(error.to_string())
    }
}

/// A client for the cluster.
async fn client() -> Result<Client, AppError> {
    let config = Config::infer().await.map_err(|error| AppError::Kubernetes(error.to_string()))?;
    Ok(Client::try_from(limited(config))?)
}

/// With limits on how long an answer may take.
fn limited(mut config: Config) -> Config {
    // above the watch's own end of 290 s; without it a read may hang for ever
    config.read_timeout = Some(Duration::from_secs(310));
    config.connect_timeout = Some(Duration::from_secs(10));
    config.reset_reader_on_write = true;
    config
}

/// The text of a file; `-` for standard input.
fn read(path: &Path) -> Result<String, AppError> {
    let mut text = String::new();
    let result = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    result.map_err(|error| AppError::Io { what: path.display().to_string(), error })?;
    Ok(text)
}

/// The installation's id: the setting, or the UID of the namespace kube-system.
async fn installation(place: &Place, client: Option<&Client>) -> Result<Installation, AppError> {
    let id = match (&place.installation, client) {
        (Some(id), _) if !id.is_empty() => id.clone(),
        (_, Some(client)) => {
            let namespaces: Api<Namespace> = Api::all(client.clone());
            namespaces.get("kube-system").await?.uid().unwrap_or_default()
        }
        (_, None) => return Err(AppError::Setting("without a cluster, --installation must be given".into())),
    };
    Installation::new(id).map_err(AppError::Setting)
}

/// The port to AWS.
async fn sdk(accounts: watch::Receiver<AccountsWatch>, installation: &Installation, metrics: Metrics) -> Sdk {
    let identity = Identity::find().await;
    let sessions = Sessions::new(identity, accounts, installation);
    Sdk::new(sessions, installation.clone(), metrics)
}
