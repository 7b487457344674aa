//! Sessions: each account is entered by its own role, and only after the session proved to be of that account.
//!
//! The controller's own identity is used for nothing but `AssumeRole`.

use super::Call;
use crate::aws::accounts::{Account, AccountsWatch};
use crate::aws::error::{AwsError, Class, Look, Operation, Service, code};
use crate::aws::mark::Installation;
use crate::aws::scope::{AccountId, Partition, Region, Scope};
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant;

const ASSUME_ROLE: Operation = Operation::new(Service::Sts, "AssumeRole");
const GET_CALLER_IDENTITY: Operation = Operation::new(Service::Sts, "GetCallerIdentity");
/// A session taken on with another session's credentials lives at most an hour.
const SESSION_SECONDS: i32 = 3600;
/// Renewed so long before it ends.
const EARLY: Duration = Duration::from_secs(600);
/// A refusal is repeated for so long without asking again.
const REFUSAL_KEPT: Duration = Duration::from_secs(5);
/// A session that ended before its time is not given up more often than this.
const REENTERED_AFTER: Duration = Duration::from_secs(10);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// The controller's own identity, as the SDK finds it (pod identity, web identity, environment).
#[derive(Clone)]
pub struct Identity(SdkConfig);

impl Identity {
    /// Finds it.
    pub async fn find() -> Self {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(Duration::from_secs(5)).operation_attempt_timeout(ATTEMPT_TIMEOUT);
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).timeout_config(timeouts.build());
        Self(config.load().await)
    }

    /// One that was found elsewhere: credentials, and how AWS is reached.
    #[must_use]
    pub const fn of(config: SdkConfig) -> Self {
        Self(config)
    }
}

/// The sessions of all accounts.
pub struct Sessions {
    identity: Identity,
    accounts: watch::Receiver<AccountsWatch>,
    session_name: String,
    entered: Mutex<HashMap<AccountId, Arc<Door>>>,
}

/// One account, by one role and external id.
struct Door {
    entry: Account,
    made: Instant,
    /// One renewal at a time.
    state: tokio::sync::Mutex<Option<Known>>,
    credentials: Shared,
    clients: Mutex<HashMap<Region, Arc<Clients>>>,
    /// Roles of the account that were taken on from its session, each in a region and until then.
    roles: tokio::sync::Mutex<HashMap<(String, Region), (SystemTime, StatementsClient)>>,
}

/// The Data API, as one role sees it: reads are tried again, writes are not.
#[derive(Clone)]
pub(super) struct StatementsClient {
    pub reads: aws_sdk_redshiftdata::Client,
    pub writes: aws_sdk_redshiftdata::Client,
}

enum Known {
    Session { partition: Partition, renew: SystemTime },
    Refused { error: AwsError, at: Instant },
}

/// A session of one account, in one region.
pub(super) struct Session {
    /// Partition of the account.
    pub partition: Partition,
    /// Clients that act by it.
    pub clients: Arc<Clients>,
}

/// Clients of one account and region. Writes are never repeated by the SDK.
pub(super) struct Clients {
    pub ec2: aws_sdk_ec2::Client,
    pub ec2_writes: aws_sdk_ec2::Client,
    pub iam: aws_sdk_iam::Client,
    pub iam_writes: aws_sdk_iam::Client,
    pub redshift: aws_sdk_redshift::Client,
    pub redshift_writes: aws_sdk_redshift::Client,
    pub sagemaker: aws_sdk_sagemaker::Client,
    pub s3: aws_sdk_s3::Client,
    pub s3_writes: aws_sdk_s3::Client,
    pub kms: aws_sdk_kms::Client,
    pub secrets_manager: aws_sdk_secretsmanager::Client,
}

/// Credentials that are replaced before they end.
#[derive(Clone, Default)]
struct Shared(Arc<RwLock<Option<Credentials>>>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl ProvideCredentials for Shared {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let now = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        future::ProvideCredentials::ready(now.ok_or_else(|| CredentialsError::not_loaded("no session yet")))
    }
}

impl Sessions {
    /// Sessions by the roles of the accounts file.
    #[must_use]
    pub fn new(identity: Identity, accounts: watch::Receiver<AccountsWatch>, installation: &Installation) -> Self {
        let session_name = format!("redshift-link-{}", installation.id()).chars().take(64).collect();
        Self { identity, accounts, session_name, entered: Mutex::default() }
    }

    /// A session of the account: the one there is, or a new one.
    ///
    /// # Errors
    /// The account is not configured, its role cannot be taken on, or it is a role of another account.
    pub(super) async fn enter(&self, at: &Scope) -> Look<Session> {
        let door = self.door(at)?;
        let mut state = door.state.lock().await;
        match &*state {
            Some(Known::Session { partition, renew }) if SystemTime::now() < *renew => {
                return Ok(Session { partition: partition.clone(), clients: door.clients(&self.identity, &at.region) });
            }
            Some(Known::Refused { error, at }) if at.elapsed() < REFUSAL_KEPT => return Err(error.clone()),
            _ => {}
        }
        match self.assume(&door, at).await {
            Ok((partition, renew)) => {
                *state = Some(Known::Session { partition: partition.clone(), renew });
                Ok(Session { partition, clients: door.clients(&self.identity, &at.region) })
            }
            Err(error) => {
                *state = Some(Known::Refused { error: error.clone(), at: Instant::now() });
                Err(error)
            }
        }
    }

    /// Gives a session up that ended before its time: the account is entered anew by the next call. Calls that were
    /// under way with the old one do not cost the new one.
    pub(super) fn leave(&self, account: &AccountId) {
        let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        entered.retain(|id, door| id != account || door.made.elapsed() < REENTERED_AFTER);
    }

    /// A session for an effect. IAM has no regions: there the account is entered by whatever region it was before.
    pub(super) async fn enter_for(&self, account: &AccountId, region: Option<&Region>) -> Look<Session> {
        let known =
            |door: &Arc<Door>| door.clients.lock().unwrap_or_else(PoisonError::into_inner).keys().next().cloned();
        let entered = || self.entered.lock().unwrap_or_else(PoisonError::into_inner).get(account).and_then(known);
        let own = || self.identity.0.region().map(|region| Region(region.to_string()));
        let region = region.cloned().or_else(entered).or_else(own).unwrap_or_else(|| Region("us-east-1".into()));
        self.enter(&Scope { account: account.clone(), region }).await
    }

    /// The Data API as a role of the account sees it: statements belong to the role that submitted them.
    ///
    /// # Errors
    /// The account cannot be entered, or the role cannot be taken on from there.
    pub(super) async fn statements(&self, at: &Scope, role_arn: &str) -> Look<StatementsClient> {
        drop(self.enter(at).await?);
        let door = self.door(at)?;
        let mut roles = door.roles.lock().await;
        let key = (role_arn.to_owned(), at.region.clone());
        if let Some((_, client)) = roles.get(&key).filter(|(renew, _)| SystemTime::now() < *renew) {
            return Ok(client.clone());
        }
        let account = self.config(&at.region, Some(SharedCredentialsProvider::new(door.credentials.clone())));
        let call =
            Call { account: &at.account, region: None, operation: ASSUME_ROLE, resource: role_arn, writes: false };
        let (credentials, expires) = self.take_on(&account, call, role_arn, None).await?;
        let reads = self.config(&at.region, Some(SharedCredentialsProvider::new(credentials)));
        let writes = reads.clone().into_builder().retry_config(RetryConfig::disabled()).build();
        let client = StatementsClient {
            reads: aws_sdk_redshiftdata::Client::new(&reads),
            writes: aws_sdk_redshiftdata::Client::new(&writes),
        };
        roles.retain(|_, (renew, _)| SystemTime::now() < *renew);
        roles.insert(key, (expires.checked_sub(EARLY).unwrap_or(expires), client.clone()));
        Ok(client)
    }

    /// The door of an account; a new one where the accounts file says something new of it.
    fn door(&self, at: &Scope) -> Look<Arc<Door>> {
        let accounts = self.accounts.borrow().accounts.clone();
        let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = accounts.get(&at.account) else {
            entered.remove(&at.account);
            let call = Call {
                account: &at.account,
                region: None,
                operation: ASSUME_ROLE,
                resource: &at.account.0,
                writes: false,
            };
            return Err(call.error(code::ACCOUNT_NOT_CONFIGURED, "the accounts file has no such account", None));
        };
        let known = entered
            .get(&at.account)
            .filter(|door| door.entry.role_arn == entry.role_arn && door.entry.external_id == entry.external_id);
        if let Some(door) = known {
            return Ok(door.clone());
        }
        let door = Arc::new(Door {
            entry: entry.clone(),
            made: Instant::now(),
            state: tokio::sync::Mutex::default(),
            credentials: Shared::default(),
            clients: Mutex::default(),
            roles: tokio::sync::Mutex::default(),
        });
        entered.insert(at.account.clone(), door.clone());
        Ok(door)
    }

    async fn assume(&self, door: &Door, at: &Scope) -> Look<(Partition, SystemTime)> {
        let own = self.config(&at.region, None);
        let role = &door.entry.role_arn;
        let call = Call { account: &at.account, region: None, operation: ASSUME_ROLE, resource: role, writes: false };
        // asked for by itself: within a call their absence would look like a network that does not answer
        let found = match own.credentials_provider() {
            Some(provider) => provider.provide_credentials().await.is_ok(),
            None => false,
        };
        if !found {
            return Err(call.error(code::NO_CREDENTIALS, "the controller has no credentials of its own", None));
        }
        let (credentials, expires) = self.take_on(&own, call, role, Some(&door.entry.external_id)).await?;

        let call = Call { operation: GET_CALLER_IDENTITY, ..call };
        let session = self.config(&at.region, Some(SharedCredentialsProvider::new(credentials.clone())));
        let answer = aws_sdk_sts::Client::new(&session).get_caller_identity().send().await;
        let identity = answer.map_err(|error| call.explain(&error))?;
        let account = identity.account().unwrap_or_default();
        if account != at.account.0 {
            let message = format!("the role leads to account {account}");
            return Err(AwsError { class: Class::Blocked, ..call.error(code::WRONG_ACCOUNT, message, None) });
        }
        let partition = identity.arn().and_then(|arn| arn.split(':').nth(1)).unwrap_or("aws");
        *door.credentials.0.write().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
        Ok((Partition(partition.to_owned()), expires.checked_sub(EARLY).unwrap_or(expires)))
    }

    /// Takes a role on, by the identity of `by`: its credentials, and until when they last.
    async fn take_on(
        &self,
        by: &SdkConfig,
        call: Call<'_>,
        role_arn: &str,
        external_id: Option<&str>,
    ) -> Look<(Credentials, SystemTime)> {
        let request = aws_sdk_sts::Client::new(by).assume_role().role_arn(role_arn);
        let request = request.set_external_id(external_id.map(ToOwned::to_owned));
        let request = request.role_session_name(&self.session_name).duration_seconds(SESSION_SECONDS);
        let answer = request.send().await.map_err(|error| not_let_in(call.explain(&error)))?;
        let given =
            answer.credentials.ok_or_else(|| call.error(code::NO_ANSWER, "an answer without credentials", None))?;
        let expires = SystemTime::try_from(given.expiration).unwrap_or(SystemTime::UNIX_EPOCH);
        let token = Some(given.session_token);
        let credentials =
            Credentials::new(given.access_key_id, given.secret_access_key, token, Some(expires), "AssumeRole");
        Ok((credentials, expires))
    }

    fn config(&self, region: &Region, credentials: Option<SharedCredentialsProvider>) -> SdkConfig {
        config(&self.identity, region, credentials)
    }
}

fn config(identity: &Identity, region: &Region, credentials: Option<SharedCredentialsProvider>) -> SdkConfig {
    let builder = identity.0.clone().into_builder().region(aws_config::Region::new(region.0.clone()));
    match credentials {
        Some(credentials) => builder.credentials_provider(credentials).build(),
        None => builder.build(),
    }
}

/// A denial here means trust policy or external id, whatever its words: a role that is not there is denied as well.
fn not_let_in(error: AwsError) -> AwsError {
    if error.is_denied() {
        return AwsError { code: code::ROLE_NOT_ASSUMABLE.into(), class: Class::Blocked, ..error };
    }
    error
}

impl Door {
    fn clients(&self, identity: &Identity, region: &Region) -> Arc<Clients> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let made = clients.entry(region.clone()).or_insert_with(|| {
            let provider = SharedCredentialsProvider::new(self.credentials.clone());
            let reads = config(identity, region, Some(provider));
            let writes = reads.clone().into_builder().retry_config(RetryConfig::disabled()).build();
            Arc::new(Clients {
                ec2: aws_sdk_ec2::Client::new(&reads),
                ec2_writes: aws_sdk_ec2::Client::new(&writes),
                iam: aws_sdk_iam::Client::new(&reads),
                iam_writes: aws_sdk_iam::Client::new(&writes),
                redshift: aws_sdk_redshift::Client::new(&reads),
                redshift_writes: aws_sdk_redshift::Client::new(&writes),
                sagemaker: aws_sdk_sagemaker::Client::new(&reads),
                s3: aws_sdk_s3::Client::new(&reads),
                s3_writes: aws_sdk_s3::Client::new(&writes),
                kms: aws_sdk_kms::Client::new(&reads),
                secrets_manager: aws_sdk_secretsmanager::Client::new(&reads),
            })
        });
        made.clone()
    }
}
