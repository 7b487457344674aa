//! The program `redshift-link`.

use clap::Parser;
use redshift_link::app;
use redshift_link::cli::{Cli, Command};
use redshift_link::observability::logs;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = logs::init(cli.log_format, cli.log()) {
        eprintln!("redshift-link: {error}");
        return ExitCode::FAILURE;
    }
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("nothing was installed before");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the system gives threads");
    let result = runtime.block_on(async {
        match cli.command {
            Command::Run(settings) => app::run::run(settings).await,
            Command::Crds { out } => app::print::crds(out.as_deref()),
            Command::Plan(settings) => app::plan::plan(settings).await,
            Command::Iam(settings) => app::print::iam(settings).await,
            Command::Orphans(settings) => app::orphans::orphans(settings).await,
            Command::Unload(command) => app::unload::unload(command).await,
        }
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("redshift-link: {error}");
            error.code()
        }
    }
}
