"""The chapters about an UNLOAD: rows of the producer's table in the consumer's bucket, and a job that is stopped."""

import time

import yaml

from ..aws.client import CONSUMER
from ..failure import Failure
from ..servers import ROOT, eventually
from .stage import Stage, folder

EXAMPLE = ROOT / "examples/unload-job.yaml"
PREFIX = "warehouse/"
ROWS = "(1, 'Turku', 'FI', DATE '2019-05-01'), (2, 'Oulu', 'FI', DATE '2021-09-15'), (3, 'Bergen', 'NO', DATE '2020-02-03')"
TABLE = (
    "CREATE TABLE stores (id int, city varchar(40), country char(2), opened date)",
    f"INSERT INTO stores VALUES {ROWS}",
    "GRANT SELECT ON stores TO public",
)


def bucket(stage: Stage) -> str:
    """The bucket that the rows go to."""
    return stage.pair["consumer"]["bucket"]


def prepare(stage: Stage) -> None:
    """A table in the warehouse, and a link that lets rows out."""
    terminal, link = stage.terminal, stage.manifest
    terminal.say("An administrator of the warehouse makes a table that everybody in it may read:")
    terminal.line()
    for sql in TABLE:
        terminal.command(f'aws redshift-data execute-statement --cluster-identifier ... --sql "{sql}"')
        stage.aws.sql(stage.pair["producer"], sql)
    terminal.line()
    terminal.say(f"The link is to let UNLOADs out, below {PREFIX} in a bucket of the consumer's account and nowhere else:")
    terminal.line()
    unload = f'{{"spec":{{"unload":{{"bucket":"{bucket(stage)}","prefix":"{PREFIX}"}}}}}}'
    stage.kubectl(f"patch rslink {link.name} -n {link.namespace} --type merge -p '{unload}'")
    stage.kubectl(f"wait rslink {link.name} -n {link.namespace} --for=condition=UnloadRolesReady --timeout=90s")


def run(stage: Stage) -> None:
    """The job, its result, and the rows."""
    terminal, namespace = stage.terminal, stage.manifest.namespace
    job = _job(stage, "stores")
    terminal.line()
    terminal.command("cat stores.yaml")
    terminal.output((folder() / "stores.yaml").read_text())
    stage.unload("run -f stores.yaml")
    terminal.line()
    stage.kubectl(f"get unload -n {namespace}")
    terminal.line()
    s3, found = stage.aws.admin(CONSUMER, "s3"), []
    for key in _keys(stage, PREFIX + job["spec"]["output"]["path"]):
        text = s3.get_object(Bucket=bucket(stage), Key=key)["Body"].read().decode()
        if not key.endswith("manifest"):
            terminal.command(f"aws s3 cp s3://{bucket(stage)}/{key} -")
            terminal.output(text)
            found += text.splitlines()[1:]
    if sorted(found) != ["1,Turku,2019-05-01", "2,Oulu,2021-09-15"]:
        raise Failure(f"these are not the rows of the query: {found}")
    terminal.line()
    terminal.good("Two rows of the producer's table, read from the consumer's bucket.")


def cancel(stage: Stage) -> None:
    """A job that is deleted half-way leaves nothing, and the data of the first goes with it."""
    terminal, namespace = stage.terminal, stage.manifest.namespace
    stage.aws.post("settings", unload_file_seconds=3)
    _job(stage, "half-way")
    stage.unload("run -f half-way.yaml --detach")
    running = lambda: stage.cluster.get("unload", "half-way", "-n", namespace).get("status", {}).get("state") == "Running"
    eventually(running, "the second statement to run", seconds=60)
    stage.unload(f"status half-way -n {namespace}")
    began = time.monotonic()
    stage.unload(f"cancel half-way -n {namespace} --delete --wait")
    took = time.monotonic() - began
    stage.kubectl(f"delete unload stores -n {namespace}")
    terminal.line()
    if left := _keys(stage, ""):
        raise Failure(f"left in the bucket: {left}")
    terminal.good(f"The second came to its end and was cleaned up in {took:.1f} s. Nothing is left in the bucket.")


def _job(stage: Stage, name: str) -> dict:
    """The example with this name, over the demo's link."""
    job = yaml.safe_load(EXAMPLE.read_text())
    job["metadata"] |= {"name": name, "namespace": stage.manifest.namespace}
    job["spec"]["linkRef"]["name"] = stage.manifest.name
    (folder() / f"{name}.yaml").write_text(yaml.safe_dump(job, sort_keys=False))
    return job


def _keys(stage: Stage, prefix: str) -> list[str]:
    listed = stage.aws.admin(CONSUMER, "s3").list_objects_v2(Bucket=bucket(stage), Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Contents", [])]
