//! What went wrong at AWS, and which class of failure that is.
//!
//! The table (service, code) -> class stands in `class`.

mod class;

pub use class::{classify, is_throttle};

use super::scope::{AccountId, Region};
use class::{SERVER_FAULTS, is_not_found, is_quota};
use std::fmt;

/// What a failure asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Our view is old: look again at once.
    Stale,
    /// The same call may succeed later without anybody's doing.
    Transient,
    /// Somebody else must act; the spec is fine.
    Blocked,
    /// The spec must change.
    Terminal,
}

/// The AWS service of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter)]
#[allow(missing_docs)]
pub enum Service {
    Sts,
    Iam,
    Ec2,
    Redshift,
    SageMaker,
    S3,
    Kms,
    SecretsManager,
    RedshiftData,
}

impl Service {
    /// The prefix of the service's actions in IAM policies.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Iam => "iam",
            Self::Ec2 => "ec2",
            Self::Redshift => "redshift",
            Self::SageMaker => "sagemaker",
            Self::S3 => "s3",
            Self::Kms => "kms",
            Self::SecretsManager => "secretsmanager",
            Self::RedshiftData => "redshift-data",
        }
    }
}

/// One API operation: what errors, metrics, limits and policies name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    /// The service.
    pub service: Service,
    /// The operation's name, as in `CreateRole`.
    pub name: &'static str,
}

impl Operation {
    /// An operation of a service.
    #[must_use]
    pub const fn new(service: Service, name: &'static str) -> Self {
        Self { service, name }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service.prefix(), self.name)
    }
}

/// A refusal or failure of one call, with all that a user needs to act on it.
///
/// Holds nothing of the request's body, so that no secret can leave by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} on {resource} in account {account}{}: {code}: {message}{}", in_region(region.as_ref()), with_request(request_id.as_deref()))]
pub struct AwsError {
    /// The account that was spoken to.
    pub account: AccountId,
    /// The region, where the service has regions.
    pub region: Option<Region>,
    /// What was called.
    pub operation: Operation,
    /// ARN, id or name of the thing that the call was about.
    pub resource: String,
    /// AWS's error code, or one of [`code`] where no answer came.
    pub code: String,
    /// AWS's message.
    pub message: String,
    /// AWS's request id, where an answer came.
    pub request_id: Option<String>,
    /// What it asks for.
    pub class: Class,
}

/// A read, or why there is none. A refusal is a value: absence is concluded only from `Ok`.
pub type Look<T> = Result<T, AwsError>;

fn in_region(region: Option<&Region>) -> String {
    region.map(|r| format!(", {r}")).unwrap_or_default()
}

fn with_request(id: Option<&str>) -> String {
    id.map(|id| format!(" (request {id})")).unwrap_or_default()
}

/// Codes of our own, for failures that AWS did not word.
pub mod code {
    /// No whole answer came: the call may or may not have been executed.
    pub const NO_ANSWER: &str = "NoAnswer";
    /// The role of the accounts file answers for another account.
    pub const WRONG_ACCOUNT: &str = "WrongAccount";
    /// The controller's credentials may not take on the account's role.
    pub const ROLE_NOT_ASSUMABLE: &str = "RoleNotAssumable";
    /// The controller has no credentials of its own.
    pub const NO_CREDENTIALS: &str = "NoCredentials";
    /// The accounts file has no such account.
    pub const ACCOUNT_NOT_CONFIGURED: &str = "AccountNotConfigured";
}

impl AwsError {
    /// The thing is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        is_not_found(&self.code)
    }

    /// The thing is there already.
    #[must_use]
    pub fn is_already_there(&self) -> bool {
        matches!(
            self.code.as_str(),
            "EntityAlreadyExists"
                | "EntityAlreadyExistsException"
                | "RouteAlreadyExists"
                | "InvalidPermission.Duplicate"
                | "PreconditionFailed"
        )
    }

    /// No permission, whoever refused it.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(
            self.code.as_str(),
            "AccessDenied"
                | "AccessDeniedException"
                | "UnauthorizedOperation"
                | "AuthorizationError"
                | code::ROLE_NOT_ASSUMABLE
        )
    }

    /// The call may have been executed although it failed.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.code == code::NO_ANSWER || SERVER_FAULTS.contains(&self.code.as_str())
    }

    /// The reason for a condition.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        if self.is_denied() && names_an_organization_policy(&self.message) {
            return "DeniedByOrganization";
        }
        match (self.code.as_str(), self.class) {
            (code::ROLE_NOT_ASSUMABLE, _) => "RoleNotAssumable",
            (code::WRONG_ACCOUNT, _) => "WrongAccount",
            (code::NO_CREDENTIALS, _) => "NoCredentials",
            (code::ACCOUNT_NOT_CONFIGURED, _) => "AccountNotConfigured",
            (c, _) if is_throttle(c) => "Throttled",
            (c, _) if is_quota(c) => "QuotaExceeded",
            _ if self.is_denied() => "AccessDenied",
            (_, Class::Transient | Class::Stale) => "Retrying",
            (_, Class::Blocked | Class::Terminal) => "RefusedByAws",
        }
    }

    /// What the reader has to do, as a sentence.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self.reason() {
            "DeniedByOrganization" => format!(
                "ask the owner of the organization's policies or of the permissions boundary to allow {} in account {}",
                self.operation, self.account
            ),
            "RoleNotAssumable" => format!(
                "compare the trust policy and external id of {} with the output of `redshift-link iam`, and the accounts file",
                self.resource
            ),
            "WrongAccount" => "correct roleArn of this account in the accounts file".into(),
            "NoCredentials" => {
                "give the controller's pod an AWS identity (EKS Pod Identity or an annotated ServiceAccount)".into()
            }
            "AccountNotConfigured" => {
                format!("ask the platform team to add account {} to the accounts file", self.account)
            }
            "QuotaExceeded" => format!("remove what is unused or raise the quota in account {}", self.account),
            "AccessDenied" => format!(
                "allow {} for the controller's role in account {}: `redshift-link iam` prints the policy",
                self.operation, self.account
            ),
            "Throttled" | "Retrying" => "nothing: it is tried again".into(),
            _ => "see the message of AWS".into(),
        }
    }
}

/// AWS names the kind of policy in the message of an explicit denial (docs/aws-behaviour.md#errors).
fn names_an_organization_policy(message: &str) -> bool {
    ["service control policy", "resource control policy", "permissions boundary"]
        .iter()
        .any(|name| message.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> AwsError {
        AwsError {
            account: AccountId("111122223333".into()),
            region: Some(Region("eu-west-1".into())),
            operation: Operation::new(Service::Ec2, "CreateRoute"),
            resource: "rtb-1".into(),
            code: code.into(),
            message: message.into(),
            request_id: Some("abc".into()),
            class: classify(Service::Ec2, code, message),
        }
    }

    #[test]
    fn an_error_says_where_what_and_what_to_do() {
        let error = error("UnauthorizedOperation", "You are not authorized");
        assert_eq!(
            error.to_string(),
            "ec2:CreateRoute on rtb-1 in account 111122223333, eu-west-1: UnauthorizedOperation: You are not authorized (request abc)"
        );
        assert_eq!(error.reason(), "AccessDenied");
        assert!(error.remedy().contains("ec2:CreateRoute"));
    }

    #[test]
    fn a_denial_by_the_organization_is_named() {
        assert_eq!(
            error("UnauthorizedOperation", "... with an explicit deny in a service control policy").reason(),
            "DeniedByOrganization"
        );
        assert_eq!(
            error("UnauthorizedOperation", "... no permissions boundary allows").reason(),
            "DeniedByOrganization"
        );
    }

    #[test]
    fn what_may_have_been_executed_is_ambiguous() {
        assert!(error(code::NO_ANSWER, "").is_ambiguous());
        assert!(error("InternalError", "").is_ambiguous());
        assert!(error("ExecuteStatementException", "").is_ambiguous());
        assert!(!error("RequestLimitExceeded", "").is_ambiguous());
    }
}
