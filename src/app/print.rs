//! Commands that only print what the program knows: definitions and policies.

use super::{AppError, installation};
use crate::api::crds as definitions;
use crate::aws::accounts::watch_file;
use crate::aws::permissions::{own, permissions, trust};
use crate::aws::scope::parse_role_arn;
use crate::cli::Iam;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Prints the definitions, or writes them to a folder.
///
/// # Errors
/// A file cannot be written.
pub fn crds(out: Option<&Path>) -> Result<ExitCode, AppError> {
    for file in definitions() {
        match out {
            None => print!("---\n{}", file.yaml),
            Some(folder) => {
                let path = folder.join(&file.name);
                let failed = |error| AppError::Io { what: path.display().to_string(), error };
                std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, &file.yaml)).map_err(failed)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the policies of the controller's roles.
///
/// # Errors
/// The accounts file is not good, or a setting is missing.
pub async fn iam(settings: Iam) -> Result<ExitCode, AppError> {
    let (watch, _) = watch_file(&settings.place.accounts).await?;
    let accounts = watch.borrow().accounts.clone();
    let client = if settings.place.installation.is_some() { None } else { Some(super::client().await?) };
    let installation = installation(&settings.place, client.as_ref()).await?;
    let wanted = |id: &str| settings.account.as_ref().is_none_or(|only| only == id);
    let mut printed = serde_json::Map::new();
    for account in accounts.accounts.iter().filter(|account| wanted(&account.id.0)) {
        let role = parse_role_arn(&account.role_arn).map(|arn| json!({"name": arn.name, "path": arn.path}));
        let policies = json!({
            "role": role,
            "trustPolicy": trust(account, &settings.controller_role_arn),
            "permissionsPolicy": permissions(account, &installation),
        });
        printed.insert(account.id.0.clone(), policies);
    }
    if printed.is_empty() {
        return Err(AppError::Setting("the accounts file has no such account".into()));
    }
    let all = json!({
        "controller": {"roleArn": settings.controller_role_arn, "permissionsPolicy": own(&accounts.accounts)},
        "accounts": printed,
    });
    println!("{all:#}");
    Ok(ExitCode::SUCCESS)
}
