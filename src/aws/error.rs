//! What went wrong at AWS, and which class of failure that is.
//!
//! The table (service, code) -> class stands here once; see docs/aws-behaviour.md for where the codes come from.

use super::scope::{AccountId, Region};
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

const SERVER_FAULTS: &[&str] = &[
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "KMSInternalException",
    "ServerInternal",
    "ServiceFailure",
    "ServiceFailureException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Unavailable",
    // of the Data API: something around the statement failed, and it may be there
    "ExecuteStatementException",
    // S3 had no whole request in time, or did not carry it out
    "RequestTimeout",
];

const THROTTLES: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "EC2ThrottledException",
    "TooManyRequestsException",
    "BandwidthLimitExceeded",
    "SlowDown",
];

/// True where AWS asks for fewer calls.
#[must_use]
pub fn is_throttle(code: &str) -> bool {
    THROTTLES.contains(&code)
}

fn is_quota(code: &str) -> bool {
    code.ends_with("LimitExceeded") || code.ends_with("LimitExceededException") || code == "ResourceLimitExceeded"
}

/// Spelling differs between EC2's own pages and answers (`ID` or `Id`), so case is ignored.
fn is_not_found(code: &str) -> bool {
    code.to_ascii_lowercase().ends_with(".notfound")
        || matches!(
            code,
            "NoSuchEntity"
                | "NoSuchEntityException"
                | "ClusterNotFound"
                | "ClusterNotFoundFault"
                | "ClusterSubnetGroupNotFoundFault"
                | "ResourceNotFound"
                | "ResourceNotFoundException"
                | "NoSuchBucket"
                | "NoSuchKey"
                | "NoSuchUpload"
                | "NotFoundException"
        )
}

/// The class of an error code of a service; `message` tells apart what one code is used for.
#[must_use]
pub fn classify(service: Service, code: &str, message: &str) -> Class {
    if is_throttle(code) || SERVER_FAULTS.contains(&code) {
        return Class::Transient;
    }
    match (service, code) {
        // the permissions boundary of a role to be made: somebody has to make that policy
        (Service::Iam, "NoSuchEntity") if message.contains("not attachable") => Class::Blocked,
        _ if is_not_found(code) => Class::Stale,
        // a role that was made a moment ago is not yet known as a principal
        (Service::Iam, "MalformedPolicyDocument" | "MalformedPolicyDocumentException")
            if message.contains("Invalid principal") =>
        {
            Class::Transient
        }
        (
            Service::Iam,
            "ConcurrentModification" | "ConcurrentModificationException" | "EntityTemporarilyUnmodifiable",
        ) => Class::Transient,
        (Service::Iam, "EntityAlreadyExists" | "EntityAlreadyExistsException") => Class::Stale,
        (Service::Iam, "DeleteConflict" | "DeleteConflictException") => Class::Blocked,
        (
            Service::Ec2,
            "RouteAlreadyExists"
            | "InvalidPermission.Duplicate"
            | "InvalidStateTransition"
            | "IncorrectState"
            | "VpcPeeringConnectionAlreadyExists",
        ) => Class::Stale,
        // a connection that is about to be active; the same code as for the wrong account, hence the message
        (Service::Ec2, "OperationNotPermitted") if message.contains("is not active") => Class::Transient,
        (Service::Ec2, "ConcurrentTagAccess" | "Blocked" | "DependencyViolation") => Class::Transient,
        (Service::Redshift, "InvalidClusterState" | "InvalidClusterStateFault") => Class::Transient,
        (Service::SageMaker, "ResourceInUse" | "ConflictException") => Class::Transient,
        // somebody else put the object first, or is at it
        (Service::S3, "PreconditionFailed" | "ConditionalRequestConflict" | "OperationAborted") => Class::Stale,
        // the cluster or the account has enough to do
        (
            Service::RedshiftData,
            "ActiveStatementsExceededException"
            | "ActiveSessionsExceededException"
            | "ActiveWaitingRequestsExceededException"
            | "DatabaseConnectionException"
            | "QueryTimeoutException",
        ) => Class::Transient,
        // the statement is not yet, or no longer, where it can be cancelled
        (Service::RedshiftData, "ValidationException") if message.contains("Could not cancel") => Class::Transient,
        // AWS documents no wording for a cluster that takes no statements now: it is looked at before each submission
        (Service::RedshiftData, "ValidationException") if message.to_ascii_lowercase().contains("paus") => {
            Class::Transient
        }
        (_, code::NO_ANSWER) => Class::Transient,
        // the account is entered anew
        (
            _,
            "RequestExpired"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "UnrecognizedClientException",
        ) => Class::Transient,
        (
            _,
            "InvalidParameterValue"
            | "InvalidParameter"
            | "InvalidParameterCombination"
            | "ValidationError"
            | "ValidationException"
            | "InvalidInput",
        ) => Class::Terminal,
        // denied, over quota, and whatever we do not know: slowly again, so that it heals without a hand on the object
        _ => Class::Blocked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_per_code() {
        use Class::{Blocked, Stale, Terminal, Transient};
        use Service::{Ec2, Iam, Redshift, RedshiftData, S3, SageMaker, Sts};
        let rows: &[(Service, &str, &str, Class)] = &[
            (Iam, "Throttling", "Rate exceeded", Transient),
            (Ec2, "RequestLimitExceeded", "", Transient),
            (Ec2, "EC2ThrottledException", "", Transient),
            (SageMaker, "ThrottlingException", "", Transient),
            (Iam, "ServiceFailure", "", Transient),
            (Iam, "ServiceFailureException", "", Transient),
            (Ec2, "InternalError", "", Transient),
            (Ec2, "Unavailable", "", Transient),
            (Ec2, "ServiceUnavailable", "", Transient),
            (Sts, code::NO_ANSWER, "", Transient),
            (Sts, code::ROLE_NOT_ASSUMABLE, "", Blocked),
            (Sts, code::WRONG_ACCOUNT, "", Blocked),
            (Sts, "ExpiredToken", "", Transient),
            (Ec2, "RequestExpired", "", Transient),
            (Iam, "InvalidClientTokenId", "", Transient),
            (SageMaker, "UnrecognizedClientException", "", Transient),
            (Iam, "NoSuchEntity", "", Stale),
            (Iam, "NoSuchEntity", "Scope ARN: arn:aws:iam::1:policy/b does not exist or is not attachable.", Blocked),
            (Iam, "EntityAlreadyExists", "", Stale),
            (Iam, "MalformedPolicyDocument", "Invalid principal in policy: \"AWS\":\"arn\"", Transient),
            (Iam, "MalformedPolicyDocument", "Syntax errors in policy", Blocked),
            (Iam, "DeleteConflict", "", Blocked),
            (Iam, "LimitExceeded", "", Blocked),
            (Iam, "ConcurrentModification", "", Transient),
            (Iam, "EntityTemporarilyUnmodifiable", "", Transient),
            (Iam, "UnmodifiableEntity", "", Blocked),
            (Iam, "InvalidInput", "", Terminal),
            (Iam, "AccessDenied", "", Blocked),
            (Ec2, "UnauthorizedOperation", "", Blocked),
            (Ec2, "AuthFailure", "", Blocked),
            (Ec2, "OptInRequired", "", Blocked),
            (Ec2, "RouteAlreadyExists", "", Stale),
            (Ec2, "InvalidRoute.NotFound", "", Stale),
            (Ec2, "InvalidRouteTableID.NotFound", "", Stale),
            (Ec2, "InvalidVpcPeeringConnectionID.NotFound", "", Stale),
            (Ec2, "InvalidVpcPeeringConnectionId.NotFound", "", Stale),
            (Ec2, "InvalidPermission.Duplicate", "", Stale),
            (Ec2, "InvalidPermission.NotFound", "", Stale),
            (Ec2, "InvalidSecurityGroupRuleId.NotFound", "", Stale),
            (Ec2, "InvalidGroup.NotFound", "", Stale),
            (Ec2, "InvalidStateTransition", "", Stale),
            (
                Ec2,
                "OperationNotPermitted",
                "Peering pcx-1 is not active. Peering options can be added only to active peerings.",
                Transient,
            ),
            (Ec2, "OperationNotPermitted", "User (1) cannot accept peering pcx-1", Blocked),
            (Ec2, "VpcPeeringConnectionAlreadyExists", "", Stale),
            (Ec2, "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled", "", Blocked),
            (Ec2, "RouteLimitExceeded", "", Blocked),
            (Ec2, "RulesPerSecurityGroupLimitExceeded", "", Blocked),
            (Ec2, "TagLimitExceeded", "", Blocked),
            (Ec2, "ConcurrentTagAccess", "", Transient),
            (Ec2, "InvalidParameterValue", "", Terminal),
            (Redshift, "ClusterNotFound", "", Stale),
            (Redshift, "InvalidClusterState", "", Transient),
            (SageMaker, "ResourceNotFound", "", Stale),
            (SageMaker, "ResourceInUse", "", Transient),
            (SageMaker, "ValidationException", "", Terminal),
            (RedshiftData, "ThrottlingException", "", Transient),
            (RedshiftData, "InternalServerException", "", Transient),
            (RedshiftData, "ExecuteStatementException", "", Transient),
            (RedshiftData, "ActiveStatementsExceededException", "", Transient),
            (RedshiftData, "ActiveSessionsExceededException", "", Transient),
            (RedshiftData, "ActiveWaitingRequestsExceededException", "", Transient),
            (RedshiftData, "DatabaseConnectionException", "", Transient),
            (RedshiftData, "QueryTimeoutException", "", Transient),
            (RedshiftData, "ResourceNotFoundException", "", Stale),
            (RedshiftData, "AccessDeniedException", "", Blocked),
            (RedshiftData, "ValidationException", "Redshift cluster is paused", Transient),
            (
                RedshiftData,
                "ValidationException",
                "Could not cancel a query that is already in FINISHED state",
                Transient,
            ),
            (RedshiftData, "ValidationException", "Database is not valid", Terminal),
            (S3, "PreconditionFailed", "", Stale),
            (S3, "ConditionalRequestConflict", "", Stale),
            (S3, "OperationAborted", "", Stale),
            (S3, "NoSuchKey", "", Stale),
            (S3, "NoSuchUpload", "", Stale),
            (S3, "NoSuchBucket", "", Stale),
            (S3, "SlowDown", "", Transient),
            (S3, "RequestTimeout", "", Transient),
            (S3, "InternalError", "", Transient),
            (S3, "AccessDenied", "", Blocked),
        ];
        for (service, code, message, class) in rows {
            assert_eq!(classify(*service, code, message), *class, "{service:?} {code} {message}");
        }
    }

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
