"""The local AWS as a process of its own: the tests see what any other client sees."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .client import CONSUMER, REGION, Bench
from .testing import BUCKET, World


@pytest.fixture(scope="session")
def process():
    root = Path(__file__).parents[2]
    running = subprocess.Popen(
        [sys.executable, "-m", "bench.aws", "--stdin-eof"],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    ready = json.loads(running.stdout.readline())
    assert ready["pid"] == running.pid
    yield ready
    running.stdin.close()
    assert running.wait(30) == 0


@pytest.fixture(scope="session")
def _bench(process):
    return Bench(process["url"])


@pytest.fixture
def bench(_bench):
    _bench.post("reset")
    return _bench


@pytest.fixture
def world(bench):
    return World(bench, bench.post("world"))


@pytest.fixture
def build(bench):
    """Worlds with options."""
    return lambda **options: World(bench, bench.post("world", **options))


@pytest.fixture
def owner(bench):
    """S3 as the administrator of the consumer's account, which has an empty bucket."""
    s3 = bench.admin(CONSUMER, "s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return s3
