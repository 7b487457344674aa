"""Requests whose operation is told by method, path and query: S3 (docs/aws-behaviour.md#s3-requests)."""

import base64
import hashlib
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict

from .errors import AwsError

# A bucket in front of the host's name, as SDKs put it unless the host is an address.
_VIRTUAL_HOST = re.compile(r"(?P<bucket>.+)\.(?:localhost|s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?)(?::\d+)?")
# Another kind of bucket, another kind of function.
_NOT_HERE = ("ListDirectoryBuckets", "WriteGetObjectResponse", "CreateSession")
# Whose checksum is of the object, not of what the request carries.
_WITHOUT_BODY_CHECKSUM = ("CompleteMultipartUpload", "CreateMultipartUpload")

# The root element of an answer where the service model does not tell it; the Rust SDK insists on it.
_ROOTS = {"GetBucketVersioning": "VersioningConfiguration"}

_CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "content-md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "x-amz-checksum-crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "x-amz-checksum-sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
}


@dataclass(frozen=True)
class Route:
    """How an operation is told from the others."""

    operation: str
    method: str
    # Whether the path names a bucket, and a key.
    segments: int
    query: frozenset[tuple[str, str]]
    present: frozenset[str]
    headers: frozenset[str]

    @property
    def weight(self) -> int:
        """The route that asks for more is the one that is meant."""
        return len(self.query) + len(self.present) + len(self.headers)

    def fits(self, method: str, segments: int, query: MultiDict, headers: Headers) -> bool:
        """Whether a request has all that the operation asks for."""
        return (
            (method, segments) == (self.method, self.segments)
            and all(name in query and value in ("", query[name]) for name, value in self.query)
            and all(name in query for name in self.present)
            and all(name in headers for name in self.headers)
        )


@cache
def _routes(service: str) -> tuple[Route, ...]:
    model = get_service_model(service)
    found = []
    for name in model.operation_names:
        if name in _NOT_HERE:
            continue
        operation = model.operation_model(name)
        path, _, query = operation.http["requestUri"].partition("?")
        shape = operation.input_shape
        found.append(
            Route(
                name,
                operation.http["method"],
                0 if path == "/" else 2 if "{Key" in path else 1,
                frozenset(parse_qsl(query, keep_blank_values=True)),
                frozenset(shape.required_query_args if shape else ()),
                frozenset(shape.required_headers if shape else ()),
            )
        )
    return tuple(sorted(found, key=lambda route: -route.weight))


@dataclass
class RestRequest:
    """What moto's parser takes, and the operation that the request is of."""

    operation: str
    parts: dict[str, Any]


def read(service: str, method: str, target: str, headers: Any, body: bytes) -> RestRequest:
    """Finds the operation, and unwraps a body that was sent in chunks with a checksum behind them."""
    received = Headers(list(headers.items()))
    url = urlsplit(target)
    query = MultiDict(parse_qsl(url.query, keep_blank_values=True))
    path = unquote(url.path)
    if virtual := _VIRTUAL_HOST.fullmatch(received.get("Host", "")):
        path = f"/{virtual['bucket']}{path}"
    bucket, _, key = path.removeprefix("/").partition("/")
    segments = 2 if key else 1 if bucket else 0
    route = next((r for r in _routes(service) if r.fits(method, segments, query, received)), None)
    if route is None:
        raise AwsError("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
    if "x-amz-decoded-content-length" in received:
        body = _unwrapped(body, received)
    if route.operation not in _WITHOUT_BODY_CHECKSUM:
        _check(body, received)
    parts = {"values": query, "headers": received, "body": body, "url_params": {"Bucket": bucket, "Key": key}}
    return RestRequest(route.operation, parts)


def rooted(operation: str, body: str | bytes) -> str | bytes:
    """A body under the root element that AWS gives it."""
    name = _ROOTS.get(operation)
    return body.replace(f"{operation}Response", name) if name and isinstance(body, str) else body


def _unwrapped(body: bytes, headers: Headers) -> bytes:
    """The content of an `aws-chunked` body; its trailers become headers."""
    content, rest = b"", body
    try:
        while True:
            line, rest = rest.split(b"\r\n", 1)
            size = int(line.partition(b";")[0], 16)
            if size == 0:
                break
            content, rest = content + rest[:size], rest[size + 2 :]
    except ValueError:
        raise AwsError("IncompleteBody", "The request body terminated unexpectedly")
    if len(content) != int(headers["x-amz-decoded-content-length"]):
        raise AwsError("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header")
    for line in rest.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip()] = value.strip()
    encodings = [e.strip() for e in headers.get("Content-Encoding", "").split(",")]
    left = [e for e in encodings if e and e != "aws-chunked"]
    headers.pop("Content-Encoding", None)
    if left:
        headers["Content-Encoding"] = ",".join(left)
    return content


def _check(body: bytes, headers: Headers) -> None:
    for name, digest in _CHECKSUMS.items():
        given = headers.get(name)
        if given and given != base64.b64encode(digest(body)).decode():
            what = "Content-MD5" if name == "content-md5" else name.rpartition("-")[2].upper()
            raise AwsError("BadDigest", f"The {what} you specified did not match the calculated checksum.")
