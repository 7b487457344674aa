//! The accounts file, followed while the program runs.

use super::{Accounts, AccountsError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the file is looked at. A mounted ConfigMap or Secret itself lags by a minute or so.
const INTERVAL: Duration = Duration::from_secs(5);

/// The accounts in force, and what is wrong with the file as it stands now.
#[derive(Clone, Debug, Default)]
pub struct AccountsWatch {
    /// The last good content.
    pub accounts: Arc<Accounts>,
    /// Why the newest content is not in force.
    pub problem: Option<Arc<AccountsError>>,
}

/// Reads the file and follows it: a content that does not parse leaves the last good one in force.
///
/// # Errors
/// The first content is not good: there is nothing to fall back to.
pub async fn watch_file(
    path: &Path,
) -> Result<(watch::Receiver<AccountsWatch>, impl Future<Output = ()> + use<>), AccountsError> {
    let accounts = Arc::new(read(path).await?);
    let (sender, receiver) = watch::channel(AccountsWatch { accounts, problem: None });
    Ok((receiver, follow(path.to_owned(), sender)))
}

async fn read(path: &Path) -> Result<Accounts, AccountsError> {
    let unreadable =
        |e: std::io::Error| AccountsError::Unreadable { path: path.display().to_string(), problem: e.to_string() };
    Accounts::parse(&tokio::fs::read_to_string(path).await.map_err(unreadable)?)
}

async fn follow(path: PathBuf, sender: watch::Sender<AccountsWatch>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let newest = read(&path).await;
        sender.send_if_modified(|now| match newest {
            Ok(accounts) if *now.accounts == accounts && now.problem.is_none() => false,
            Ok(accounts) => {
                tracing::info!(accounts = accounts.accounts.len(), "accounts file taken");
                *now = AccountsWatch { accounts: Arc::new(accounts), problem: None };
                true
            }
            Err(error) if now.problem.as_deref() == Some(&error) => false,
            Err(error) => {
                tracing::error!(%error, "accounts file not taken: the last good one stays in force");
                now.problem = Some(Arc::new(error));
                true
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_broken_file_leaves_the_last_good_one_in_force() {
        let path = std::env::temp_dir().join(format!("accounts-{}.yaml", std::process::id()));
        let good =
            |id: &str| format!("accounts: [{{id: '{id}', roleArn: 'arn:aws:iam::{id}:role/r', externalId: abc}}]");
        std::fs::write(&path, good("111122223333")).unwrap();
        let (mut watch, task) = watch_file(&path).await.unwrap();
        let task = tokio::spawn(task);
        for (content, ids, broken) in
            [("accounts: [".to_owned(), "111122223333", true), (good("444455556666"), "444455556666", false)]
        {
            std::fs::write(&path, content).unwrap();
            watch.changed().await.unwrap();
            let now = watch.borrow_and_update().clone();
            assert_eq!((now.accounts.accounts[0].id.0.as_str(), now.problem.is_some()), (ids, broken));
        }
        task.abort();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(watch_file(&path).await, Err(AccountsError::Unreadable { .. })), "nothing to begin with");
    }
}
