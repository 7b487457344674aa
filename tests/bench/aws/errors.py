"""Refusals and faults in the words of each service (docs/aws-behaviour.md#errors)."""

from moto.core.exceptions import ServiceException


class AwsError(ServiceException):
    """A refusal with its code, text and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400, headers: dict[str, str] | None = None):
        super().__init__(code, message)
        self.status = status
        self.headers = headers or {}


# Statuses of codes that moto raises or that the service models do not list.
STATUS = {
    "NoSuchEntity": 404,
    "EntityAlreadyExists": 409,
    "DeleteConflict": 409,
    "LimitExceeded": 409,
    "ClusterNotFound": 404,
    "ServiceFailure": 500,
}

_THROTTLED = {
    "ec2": ("RequestLimitExceeded", "Request limit exceeded.", 503),
    "kms": (
        "ThrottlingException",
        "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
        400,
    ),
    "s3": ("SlowDown", "Please reduce your request rate.", 503),
    "redshift-data": ("ThrottlingException", "Rate exceeded", 400),
    "sagemaker": ("ThrottlingException", "Rate exceeded", 400),
    "secretsmanager": ("ThrottlingException", "Rate exceeded", 400),
}
_BROKEN = {
    "ec2": ("InternalError", "An internal error has occurred", 500),
    "redshift-data": ("InternalServerException", "The Amazon Redshift Data API operation failed due to an internal error.", 500),
    "iam": ("ServiceFailure", "The request processing has failed because of an unknown error, exception or failure.", 500),
    "kms": ("KMSInternalException", "The request was rejected because an internal exception occurred.", 500),
    "s3": ("InternalError", "We encountered an internal error. Please try again.", 500),
    "secretsmanager": ("InternalServiceError", "An error occurred on the server side.", 500),
}
_UNKNOWN_KEY = {
    "ec2": ("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
    "kms": ("UnrecognizedClientException", "The security token included in the request is invalid.", 400),
    "s3": ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403),
    "redshift-data": ("UnrecognizedClientException", "The security token included in the request is invalid.", 400),
    "sagemaker": ("UnrecognizedClientException", "The security token included in the request is invalid.", 400),
    "secretsmanager": ("UnrecognizedClientException", "The security token included in the request is invalid.", 400),
}
_EXPIRED = {
    "ec2": ("RequestExpired", "Request has expired.", 400),
    "kms": ("ExpiredTokenException", "The security token included in the request is expired", 400),
    "s3": ("ExpiredToken", "The provided token has expired.", 400),
    "redshift-data": ("ExpiredTokenException", "The security token included in the request is expired", 400),
    "sagemaker": ("ExpiredTokenException", "The security token included in the request is expired", 400),
    "secretsmanager": ("ExpiredTokenException", "The security token included in the request is expired", 400),
}


def throttled(service: str) -> AwsError:
    """The caller's rate is exceeded."""
    return AwsError(*_THROTTLED.get(service, ("Throttling", "Rate exceeded", 400)))


def broken(service: str) -> AwsError:
    """A fault on AWS's side."""
    return AwsError(*_BROKEN.get(service, ("InternalFailure", "An internal failure occurred", 500)))


def unknown_key(service: str) -> AwsError:
    """No such access key, or not with this session token."""
    return AwsError(
        *_UNKNOWN_KEY.get(service, ("InvalidClientTokenId", "The security token included in the request is invalid.", 403))
    )


def expired(service: str) -> AwsError:
    """The session has ended."""
    return AwsError(*_EXPIRED.get(service, ("ExpiredToken", "The security token included in the request is expired", 403)))


_KMS_ELSEWHERE = (
    "because the resource does not exist in this Region, no resource-based policies allow access, "
    "or a resource-based policy explicitly denies access"
)


def denied(service: str, who: str, action: str, resource: str, reason: str, elsewhere: bool = False) -> AwsError:
    """No permission. `reason` is AWS's half sentence on the kind of policy that refused.

    S3 and KMS do not tell it of a resource `elsewhere`, in another account.
    """
    if service == "s3" and elsewhere:
        return AwsError("AccessDenied", "Access Denied", 403)
    if service == "kms" and elsewhere and "resource-based" in reason:
        reason = _KMS_ELSEWHERE
    if service == "s3":
        resource = f'"{resource}"'
    text = f"User: {who} is not authorized to perform: {action} on resource: {resource} {reason}"
    if service == "ec2":
        text = f"You are not authorized to perform this operation. {text}. Encoded authorization failure message: bench"
        return AwsError("UnauthorizedOperation", text, 403)
    if service in ("kms", "redshift-data", "sagemaker", "secretsmanager"):
        return AwsError("AccessDeniedException", text, 400)
    return AwsError("AccessDenied", text, 403)


def not_implemented(action: str) -> AwsError:
    """The bench lacks the operation: 501, so that nobody takes it for an outage and tries again."""
    return AwsError("NotImplemented", f"the bench does not implement {action}", 501)
