//! The table (service, code) -> class; see docs/aws-behaviour.md for where the codes come from.

use super::{Class, Service, code};

pub(super) const SERVER_FAULTS: &[&str] = &[
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "InternalServiceError",
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

pub(super) fn is_quota(code: &str) -> bool {
    code.ends_with("LimitExceeded") || code.ends_with("LimitExceededException") || code == "ResourceLimitExceeded"
}

/// Spelling differs between EC2's own pages and answers (`ID` or `Id`), so case is ignored.
pub(super) fn is_not_found(code: &str) -> bool {
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
                | "NoSuchBucketPolicy"
                | "ObjectLockConfigurationNotFoundError"
                | "NoSuchKey"
                | "NoSuchUpload"
                | "ServerSideEncryptionConfigurationNotFoundError"
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
        use Service::{Ec2, Iam, Redshift, RedshiftData, S3, SageMaker, SecretsManager, Sts};
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
            (SecretsManager, "InternalServiceError", "", Transient),
            (SecretsManager, "ThrottlingException", "", Transient),
            (SecretsManager, "ResourceNotFoundException", "", Stale),
            (SecretsManager, "AccessDeniedException", "", Blocked),
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
            (S3, "ServerSideEncryptionConfigurationNotFoundError", "", Stale),
            (S3, "NoSuchBucket", "", Stale),
            (S3, "NoSuchBucketPolicy", "", Stale),
            (S3, "ObjectLockConfigurationNotFoundError", "", Stale),
            (S3, "SlowDown", "", Transient),
            (S3, "RequestTimeout", "", Transient),
            (S3, "InternalError", "", Transient),
            (S3, "AccessDenied", "", Blocked),
        ];
        for (service, code, message, class) in rows {
            assert_eq!(classify(*service, code, message), *class, "{service:?} {code} {message}");
        }
    }
}
