"""The words in which tests speak of UNLOAD: the roles on both sides, a bucket, and what is in it afterwards."""

import json
import time

from .client import CONSUMER, PRODUCER, allow, by, document
from .sql_testing import as_admin, as_role

FIRST = f"arn:aws:iam::{PRODUCER}:role/unload-first"
LAST = f"arn:aws:iam::{CONSUMER}:role/unload-last"
BUCKET = "analytics-exports"
USER = f"arn:aws:redshift:eu-west-1:{PRODUCER}:dbuser:warehouse/IAMR:runner"
ROWS = "select i, 'row ' || i as t from generate_series(1, 10) i"
WRITING = ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"]


class Link:
    """A chain of two roles from the standard world's cluster to a bucket of the consumer, and who runs statements."""

    def __init__(self, bench, *, attach=True):
        self.bench = bench
        trust = by("Service", "redshift.amazonaws.com", StringEquals={"sts:ExternalId": USER})
        bench.role(PRODUCER, "unload-first", allow("sts:AssumeRole", LAST), trust=trust)
        self.may(*WRITING, trust=by("AWS", FIRST))
        self.s3 = bench.admin(CONSUMER, "s3")
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        if attach:
            self.attach()
        self.sql = as_role(bench)
        self.admin = as_admin(bench)

    def may(self, *actions, trust=None):
        """What the last role may do; with `trust` it is made."""
        statement = allow(list(actions), [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"])
        if trust:
            self.bench.role(CONSUMER, "unload-last", statement, trust=trust)
            return
        iam = self.bench.admin(CONSUMER, "iam")
        iam.put_role_policy(RoleName="unload-last", PolicyName="test", PolicyDocument=document(statement))

    def attach(self):
        self.bench.post("settings", cluster_role_adding_seconds=0)
        redshift = self.bench.admin(PRODUCER, "redshift")
        redshift.modify_cluster_iam_roles(ClusterIdentifier="warehouse", AddIamRoles=[FIRST])
        redshift.describe_clusters(ClusterIdentifier="warehouse")

    def text(self, query, prefix="out/", options="", roles=f"{FIRST},{LAST}"):
        """An UNLOAD statement."""
        return f"UNLOAD ({quoted(query)}) TO 's3://{BUCKET}/{prefix}' IAM_ROLE '{roles}' {options}"

    def start(self, *arguments, **options):
        return self.sql.start(self.text(*arguments, **options))

    def ok(self, *arguments, **options):
        return self.sql.ok(self.text(*arguments, **options))

    def error(self, *arguments, **options):
        return self.sql.error(self.text(*arguments, **options))

    def files(self, prefix=""):
        """The objects of the bucket."""
        page = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return {o["Key"]: self.s3.get_object(Bucket=BUCKET, Key=o["Key"])["Body"].read() for o in page.get("Contents", [])}

    def lines(self, prefix=""):
        """The lines of all objects but manifests."""
        bodies = [body for key, body in self.files(prefix).items() if not key.endswith("manifest")]
        return b"".join(bodies).decode().splitlines()

    def manifest(self, key="out/manifest"):
        return json.loads(self.files()[key])

    def until_files(self, number, seconds=10):
        """Waits until so many objects are there."""
        end = time.monotonic() + seconds
        while len(self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])) < number:
            assert time.monotonic() < end
            time.sleep(0.01)


def quoted(query):
    """A query as UNLOAD's literal."""
    return "'" + query.replace("\\", "\\\\").replace("'", "''") + "'"
