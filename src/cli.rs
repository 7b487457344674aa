//! The command line.

use crate::observability::logs::LogFormat;
use clap::{Args, Parser, Subcommand, ValueEnum};
use k8s_openapi::jiff::SignedDuration;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Joins an Amazon Redshift warehouse in one AWS account to its users in another.
#[derive(Debug, Parser)]
#[command(version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Form of the logs, which go to standard error.
    #[arg(long, global = true, env = "REDSHIFT_LINK_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// What is logged, in the form of RUST_LOG. Absent: warn,redshift_link=info; of unload nothing, for it tells by itself
    /// what happens.
    #[arg(long, global = true, env = "REDSHIFT_LINK_LOG")]
    pub log: Option<String>,
}

impl Cli {
    /// What is logged.
    #[must_use]
    pub fn log(&self) -> &str {
        let usual = if matches!(self.command, Command::Unload(_)) { "off" } else { "warn,redshift_link=info" };
        self.log.as_deref().unwrap_or(usual)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the controller.
    Run(Run),
    /// Print the custom resource definitions, or write them to a folder.
    Crds {
        /// Folder to write them to, one file each.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Show what the controller would do for the links in a manifest. Ends with 0 where there is nothing to do, with 2
    /// where there is something, with 1 where the plan cannot be made.
    Plan(Plan),
    /// Print, as JSON, the trust policy and the permission policy that the controller's role needs in each account.
    Iam(Iam),
    /// List what carries this installation's mark at AWS and belongs to no object. Ends with 2 where there is something.
    Orphans(Orphans),
    /// Run an UNLOAD as an UnloadJob in the cluster, look at one, or cancel one, with your own rights on UnloadJobs.
    #[command(subcommand)]
    Unload(Unload),
}

/// What is done with jobs.
#[derive(Debug, Subcommand)]
pub enum Unload {
    /// Make a job and follow it to its end. Ends with 0 where it is complete, with 1 where it failed, with 2 where it was
    /// refused and not made, with 3 where it was suspended or deleted meanwhile, and with 130 after Ctrl-C: the job goes on.
    Run(UnloadRun),
    /// Show how far a job is. With --follow until its end, and with the exit codes of `unload run`.
    Status(UnloadStatus),
    /// Cancel a job: the statement is ended, and what it wrote is removed. A job that came to its end is left as it is.
    Cancel(UnloadCancel),
}

/// What every command needs that speaks to AWS.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// The accounts file.
    #[arg(long, env = "REDSHIFT_LINK_ACCOUNTS", default_value = "/etc/redshift-link/accounts.yaml")]
    pub accounts: PathBuf,
    /// Id of this installation, in every mark at AWS: never change it. Absent: the UID of the namespace kube-system.
    #[arg(long, env = "REDSHIFT_LINK_INSTALLATION")]
    pub installation: Option<String>,
}

/// Settings of the controller.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// Accounts and installation.
    #[command(flatten)]
    pub place: Place,
    /// How often a settled link is looked at, give or take a tenth.
    #[arg(long, env = "REDSHIFT_LINK_INTERVAL", default_value = "10m", value_parser = duration)]
    pub interval: Duration,
    /// For how long a call to AWS whose answer was lost may still be executed: a deletion ends no sooner after such a
    /// call, or after the start of this process.
    #[arg(long, env = "REDSHIFT_LINK_LOST_ANSWER_GRACE", default_value = "5m", value_parser = duration)]
    pub lost_answer_grace: Duration,
    /// How many links, and how many jobs, are looked at side by side.
    #[arg(long, env = "REDSHIFT_LINK_WORKERS", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, env = "REDSHIFT_LINK_ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    pub admin_address: SocketAddr,
    /// Namespace of the leader's lease. Absent: the namespace that this process runs in.
    #[arg(long, env = "POD_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Name of this process, in the lease and in events. Absent: the host's name.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
}

/// Settings of `plan`.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// Accounts and installation.
    #[command(flatten)]
    pub place: Place,
    /// The manifest; `-` for standard input. Objects of other kinds in it are passed over.
    #[arg(short, long)]
    pub filename: PathBuf,
    /// Namespace of objects that name none. Absent: that of the current context.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Do not ask the cluster: objects are taken for new, and for the only ones.
    #[arg(long)]
    pub offline: bool,
}

/// Settings of `iam`.
#[derive(Args, Clone, Debug)]
pub struct Iam {
    /// Accounts and installation.
    #[command(flatten)]
    pub place: Place,
    /// ARN of the role that the controller itself runs as.
    #[arg(long, env = "REDSHIFT_LINK_CONTROLLER_ROLE_ARN")]
    pub controller_role_arn: String,
    /// Only this account.
    #[arg(long)]
    pub account: Option<String>,
}

/// Settings of `orphans`.
#[derive(Args, Clone, Debug)]
pub struct Orphans {
    /// Accounts and installation.
    #[command(flatten)]
    pub place: Place,
    /// Regions to look into, beside those of the links that there are.
    #[arg(long)]
    pub region: Vec<String>,
}

/// Where jobs are.
#[derive(Args, Clone, Debug)]
pub struct UnloadCluster {
    /// Namespace of the job. Absent: that of the manifest, or of the context.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig. Absent: the current one.
    #[arg(long)]
    pub context: Option<String>,
}

/// Settings of `unload run`.
#[derive(Args, Clone, Debug)]
pub struct UnloadRun {
    /// Cluster and namespace.
    #[command(flatten)]
    pub cluster: UnloadCluster,
    /// The manifest, one UnloadJob; `-` for standard input.
    #[arg(short, long)]
    pub filename: PathBuf,
    /// Do not follow the job.
    #[arg(long)]
    pub detach: bool,
}

/// Settings of `unload status`.
#[derive(Args, Clone, Debug)]
pub struct UnloadStatus {
    /// Cluster and namespace.
    #[command(flatten)]
    pub cluster: UnloadCluster,
    /// Name of the job.
    pub name: String,
    /// Follow it to its end.
    #[arg(long)]
    pub follow: bool,
    /// Form of what is printed.
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Format,
}

/// Form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// A JSON object.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Settings of `unload cancel`.
#[derive(Args, Clone, Debug)]
pub struct UnloadCancel {
    /// Cluster and namespace.
    #[command(flatten)]
    pub cluster: UnloadCluster,
    /// Name of the job.
    pub name: String,
    /// Delete the object too. Without it spec.suspend is set, and the job can be resumed.
    #[arg(long)]
    pub delete: bool,
    /// Wait until nothing of it is under way any more.
    #[arg(long)]
    pub wait: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text.parse().map_err(|e| format!("{e}"))?;
    let duration = Duration::try_from(parsed).map_err(|_| "a duration must not be negative".to_owned())?;
    if duration.is_zero() { Err("a duration must not be zero".into()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("0s").is_err() && duration("-1s").is_err() && duration("soon").is_err());
    }
}
