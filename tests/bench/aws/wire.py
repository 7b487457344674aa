"""HTTP requests to calls, and results to HTTP answers, by moto's protocol parsers and serializers."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import OperationNotFoundError
from moto.core.errors import get_error_model
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel
from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from moto.core.responses import ActionResult, BaseResponse
from moto.core.serialize import SerializationContext, XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model
from moto.ec2.responses import EC2Response
from moto.iam.responses import IamResponse
from moto.redshift.responses import RedshiftResponse
from werkzeug.exceptions import HTTPException

from . import errors, rest
from .errors import AwsError

SERVICES = ("ec2", "iam", "kms", "redshift", "redshift-data", "s3", "sagemaker", "secretsmanager", "sts")

# moto's responders, for the operations that it executes.
RESPONDERS: dict[str, type[BaseResponse]] = {"ec2": EC2Response, "iam": IamResponse, "redshift": RedshiftResponse}

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")


@dataclass
class Request:
    """An API request as it came: whose key, where, what."""

    access_key: str
    token: str | None
    service: str
    region: str
    operation: str
    params: dict[str, Any]


@dataclass
class Answer:
    """What goes back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes
    error: AwsError | None = None
    # What was rendered, for callers within the process.
    result: Any = None


@cache
def model(service: str, operation: str) -> OperationModel:
    """The service model's operation; a nameless one stands for those that it lacks."""
    service_model = get_service_model(service)
    try:
        return service_model.operation_model(operation)
    except OperationNotFoundError:
        return OperationModel({}, service_model)


def spoken(headers: Any) -> str:
    """The service in whose form a request that cannot be read is refused."""
    signature = _CREDENTIAL.search(headers.get("Authorization", ""))
    return signature.group(3) if signature and signature.group(3) in SERVICES else "sts"


def read(method: str, target: str, headers: Any, body: bytes) -> Request:
    """Takes a signed request apart."""
    signature = _CREDENTIAL.search(headers.get("Authorization", ""))
    if signature is None:
        raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    access_key, region, service = signature.groups()
    if service not in SERVICES:
        raise errors.not_implemented(service)
    protocol = str(get_service_model(service).protocol)
    parts: dict[str, Any] = {"values": {}, "headers": headers, "body": body, "url_params": {}}
    if protocol == "rest-xml":
        found = rest.read(service, method, target, headers, body)
        operation, parts = found.operation, found.parts
    elif target := headers.get("X-Amz-Target"):
        operation = target.rpartition(".")[2]
    else:
        parts["values"] = dict(parse_qsl(body.decode(), keep_blank_values=True))
        operation = parts["values"].get("Action", "")
    request = Request(access_key, headers.get("X-Amz-Security-Token"), service, region, operation, {})
    if model(service, operation).name:
        parser = PROTOCOL_PARSERS[protocol](model(service, operation))
        try:
            request.params = parser.parse(parts) or {}
        except (AttributeError, TypeError, ValueError, RequestParserError) as error:
            if protocol == "rest-xml":
                raise AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate.")
            raise AwsError("MalformedInput", f"the parameters cannot be read: {error}")
    return request


def render(service: str, operation: str, request_id: str, result: Any) -> Answer:
    """An answer with `result`: a dict named as in the service model, a result of moto's, or an AwsError."""
    picker = None
    if isinstance(result, ActionResult):
        picker = XFormedAttributePicker(response_transformers=RESPONDERS[service].RESPONSE_KEY_PATH_TO_TRANSFORMER)
        result = result.result
    service_model = get_service_model(service)
    serializer = get_serializer_class(service, str(service_model.protocol))(
        model(service, operation), context=SerializationContext(request_id), value_picker=picker
    )
    serialized = serializer.serialize(result)
    headers = {**serialized["headers"], "x-amzn-requestid": request_id}
    body = serialized["body"]
    if isinstance(result, AwsError):
        status = result.status
        headers |= result.headers
    else:
        status = getattr(result, "status", serialized["status_code"])
    if service == "s3":
        body = rest.rooted(operation, body)
        headers["x-amz-request-id"] = request_id
        if isinstance(result, dict) and result.get("ContentType"):
            headers["Content-Type"] = result["ContentType"]
    error = result if isinstance(result, AwsError) else None
    return Answer(status, headers, body.encode() if isinstance(body, str) else body, error, result)


def as_aws_error(service: str, error: Exception) -> AwsError:
    """A refusal by moto, with its status."""
    if isinstance(error, AwsError):
        return error
    if isinstance(error, HTTPException):  # moto's older kind
        error = ServiceException(error.error_type, error.message)
    shape = get_error_model(error, get_service_model(service))
    status = errors.STATUS.get(shape.error_code) or shape.metadata.get("error", {}).get("httpStatusCode", 400)
    return AwsError(shape.error_code, getattr(error, "message", str(error)), status)
