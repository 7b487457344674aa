"""Listings of objects, and uploads in parts (docs/aws-behaviour.md#listings)."""

from .client import allow
from .testing import BUCKET, refused, s3_of

AT = {"Bucket": BUCKET}


def versioned(owner):
    owner.put_bucket_versioning(**AT, VersioningConfiguration={"Status": "Enabled"})


def keys(s3, **options):
    return [item["Key"] for item in s3.list_objects_v2(**AT, **options).get("Contents", [])]


def test_a_listing_comes_in_pages(bench, owner):
    names = [f"p/{n:02}" for n in range(12)] + ["q é&<"]
    for name in names:
        owner.put_object(**AT, Key=name)
    pages = list(owner.get_paginator("list_objects_v2").paginate(**AT, PaginationConfig={"PageSize": 5}))
    assert [len(p["Contents"]) for p in pages] == [5, 5, 3]
    assert [item["Key"] for p in pages for item in p["Contents"]] == names
    assert keys(owner, Prefix="p/", StartAfter="p/09") == ["p/10", "p/11"]
    bench.post("settings", page_limit=7)
    assert len(keys(owner)) == 7
    with refused("InvalidArgument"):
        keys(owner, ContinuationToken="\x7f")
    versioned(owner)
    owner.put_object(**AT, Key="p/03")
    pages = list(owner.get_paginator("list_object_versions").paginate(**AT, PaginationConfig={"PageSize": 4}))
    assert [len(p["Versions"]) for p in pages] == [4, 4, 4, 2]
    shown = [(v["Key"], v["VersionId"]) for p in pages for v in p["Versions"]]
    assert len(set(shown)) == 14 and [k for k, _ in shown] == sorted([*names, "p/03"])


def test_a_delimiter_folds_keys(owner):
    for name in ("a/1", "a/2", "b/1", "c"):
        owner.put_object(**AT, Key=name)
    first = owner.list_objects_v2(**AT, Delimiter="/", MaxKeys=2)
    assert [p["Prefix"] for p in first["CommonPrefixes"]] == ["a/", "b/"] and first["KeyCount"] == 2
    rest = owner.list_objects_v2(**AT, Delimiter="/", ContinuationToken=first["NextContinuationToken"])
    assert "CommonPrefixes" not in rest and [c["Key"] for c in rest["Contents"]] == ["c"]
    versions = owner.list_object_versions(**AT, Delimiter="/")
    assert [p["Prefix"] for p in versions["CommonPrefixes"]] == ["a/", "b/"] and len(versions["Versions"]) == 1


# Uploads


def begin(s3, key="big", **options):
    return {**AT, "Key": key, "UploadId": s3.create_multipart_upload(**AT, Key=key, **options)["UploadId"]}


def send(s3, upload, number, body):
    return {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}


def complete(s3, upload, *parts, **options):
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": list(parts)}, **options)


def test_an_object_is_put_together_from_parts(bench, owner):
    bench.post("settings", smallest_part_bytes=4)
    upload = begin(owner, ContentType="text/csv")
    two, one = send(owner, upload, 2, b"xx"), send(owner, upload, 1, b"1234")
    assert keys(owner) == []
    assert [u["Key"] for u in owner.list_multipart_uploads(**AT)["Uploads"]] == ["big"]
    for parts, code in (
        ([two, one], "InvalidPartOrder"),
        ([one, {**two, "ETag": one["ETag"]}], "InvalidPart"),
        ([one, {**two, "PartNumber": 3}], "InvalidPart"),
        ([], "MalformedXML"),
    ):
        with refused(code, status=400):
            complete(owner, upload, *parts)
    three = send(owner, upload, 3, b"last")
    with refused("EntityTooSmall"):
        complete(owner, upload, one, two, three)
    assert complete(owner, upload, one, three)["ETag"].endswith('-2"')
    got = owner.get_object(**AT, Key="big")
    assert (got["Body"].read(), got["ContentType"]) == (b"1234last", "text/csv")
    assert "Uploads" not in owner.list_multipart_uploads(**AT)
    with refused("NoSuchUpload", status=404):
        complete(owner, upload, one)
    with refused("PreconditionFailed", status=412):
        again = begin(owner)
        complete(owner, again, send(owner, again, 1, b"1"), IfNoneMatch="*")


def test_an_upload_may_be_aborted(bench, owner):
    upload = begin(owner)
    send(owner, upload, 1, b"1")
    with refused("AccessDenied", "s3:AbortMultipartUpload"):
        s3_of(bench, "r", allow("s3:PutObject")).abort_multipart_upload(**upload)
    owner.abort_multipart_upload(**upload)
    assert "Uploads" not in owner.list_multipart_uploads(**AT)
    for call in (lambda: send(owner, upload, 1, b"1"), lambda: owner.abort_multipart_upload(**upload)):
        with refused("NoSuchUpload"):
            call()
