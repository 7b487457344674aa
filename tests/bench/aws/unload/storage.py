"""The bucket as an UNLOAD sees it: through the last role of the chain, with S3's refusals in Redshift's words
(docs/aws-behaviour.md#unload).
"""

import secrets
import time
from typing import Any

from ..call import Call
from ..engine import Engine
from ..errors import AwsError
from ..redshift_data.authentication import cluster_of
from ..redshift_data.statements import Query, Statement
from ..sessions import Principal
from ..state import state
from ..warehouse.failure import QueryFailed, failed
from .order import Order
from .roles import detail
from .way import Way

_ATTEMPTS = 4
# What operations of other names are called in policies.
_ACTIONS = {
    "HeadObject": "GetObject",
    "ListObjectsV2": "ListBucket",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
}


class Storage:
    """Writes below the destination of an UNLOAD, and reads there."""

    def __init__(self, engine: Engine, session: Principal, statement: Statement, query: Query, order: Order) -> None:
        self._engine, self._session, self._statement, self._query, self._order = engine, session, statement, query, order
        self._region = order.region or statement.region
        with engine.lock:
            cluster = cluster_of(statement.account, statement.region, statement.cluster)
            self._way = Way(statement.account, statement.region, cluster)
        self._encryption = {"ServerSideEncryption": "AES256"}
        if order.kms_key_id is not None:
            self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": order.kms_key_id}

    def _call(self, operation: str, **params: Any) -> Any:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                if not self._session.alive:
                    raise AwsError("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403)
                bucket, action = self._order.bucket, _ACTIONS.get(operation, operation)
                with self._engine.lock:
                    asked = Call(self._session, "s3", action, self._region, {"Bucket": bucket, **params})
                    origin = self._way.origin(asked, f"arn:{self._session.partition}:s3:::{bucket}")
                return self._engine.perform_as(self._session, f"s3:{operation}", self._region, origin, Bucket=bucket, **params)
            except AwsError as error:
                if error.status < 500 or error.status == 501 or attempt == _ATTEMPTS:
                    raise
                time.sleep(0.02)

    def _failed(self, error: AwsError, key: str | None) -> QueryFailed:
        number = secrets.token_hex(8).upper()
        text = f"S3ServiceException:{error.message},Status {error.status},Error {error.code},Rid {number},CanRetry 1"
        path = f"s3://{self._order.bucket}/{key or ''}"
        context = f"Failed to initialize S3 output stream. S3 path: {path}" if key else f"S3 path: {path}"
        return failed(text, detail(text, context, "s3_unloader.cpp:181", self._statement, self._query))

    def look(self, first_key: str) -> None:
        """What is asked before anything is written: where the bucket is, and whether it may be read."""
        if state.settings.unload_asks_for_bucket_location:
            self._ask("GetBucketLocation")
        if state.settings.unload_reads_objects:
            self._ask("HeadObject", Key=first_key)
        if self._order.auto:
            self._encrypt_as(self._ask("GetBucketEncryption"))

    def _ask(self, operation: str, **params: Any) -> Any:
        try:
            return self._call(operation, **params)
        except AwsError as error:
            # That there is none is an answer.
            if error.code not in ("NoSuchKey", "ServerSideEncryptionConfigurationNotFoundError"):
                raise self._failed(error, None)
            return {}

    def _encrypt_as(self, answer: dict[str, Any]) -> None:
        """As the bucket does by default, if that is with a key of KMS."""
        rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
        default = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
        if default.get("SSEAlgorithm") == "aws:kms":
            key = default.get("KMSMasterKeyID")
            self._encryption = {"ServerSideEncryption": "aws:kms", **({"SSEKMSKeyId": key} if key else {})}

    def keys(self, prefix: str) -> list[str]:
        """The objects below a prefix."""
        found: list[str] = []
        token: dict[str, str] = {}
        try:
            while True:
                page = self._call("ListObjectsV2", Prefix=prefix, **token)
                found += [item["Key"] for item in page.get("Contents", [])]
                if not page.get("IsTruncated"):
                    return found
                token = {"ContinuationToken": page["NextContinuationToken"]}
        except AwsError as error:
            raise self._failed(error, None)

    def delete(self, key: str) -> None:
        """An object; in a versioned bucket its older versions stay."""
        try:
            self._call("DeleteObject", Key=key)
        except AwsError as error:
            raise self._failed(error, key)

    def put(self, key: str, body: bytes, between: Any) -> None:
        """An object, in one or as an upload; `between` is done when its bytes are there and it is not."""
        try:
            if not state.settings.unload_multipart:
                between()
                self._call("PutObject", Key=key, Body=body, **self._encryption)
                return
            upload = self._call("CreateMultipartUpload", Key=key, **self._encryption)["UploadId"]
            part = self._call("UploadPart", Key=key, UploadId=upload, PartNumber=1, Body=body)
            between()
            parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            self._call("CompleteMultipartUpload", Key=key, UploadId=upload, MultipartUpload=parts)
        except AwsError as error:
            raise self._failed(error, key)
