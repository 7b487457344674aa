"""The built program, run outside the cluster as the pod of a release runs in it."""

import json
import os
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .accounts import make_roles
from .aws.client import PLATFORM, Bench
from .cluster import run
from .controlplane.process import spawn
from .failure import Failure, tail
from .servers import ROOT, eventually

# Kubernetes gives a pod of the chart 45 s.
END_SECONDS = 45


def binary() -> Path:
    """The built program."""
    return Path(os.environ.get("REDSHIFT_LINK_BINARY", ROOT / "target/debug/redshift-link")).absolute()


class Pod:
    """The container of a Deployment: its arguments, environment and probes, its accounts file and token from files."""

    def __init__(self, binary: Path, deployment: dict, accounts: Path, kubeconfig: Path):
        self._container = deployment["spec"]["template"]["spec"]["containers"][0]
        self._binary = binary
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        namespace = deployment["metadata"]["namespace"]
        self.env = {entry["name"]: entry["value"] for entry in self._container["env"] if "value" in entry}
        self.env |= {"POD_NAME": "pod", "POD_NAMESPACE": namespace, "KUBECONFIG": str(kubeconfig)}
        self.env |= {"REDSHIFT_LINK_ACCOUNTS": str(accounts), "REDSHIFT_LINK_ADMIN_ADDRESS": self.address}

    def policies(self, world: dict) -> dict:
        """The policies that the controller's roles need, as the program prints them."""
        return json.loads(self.run("iam", "--controller-role-arn", world["platform"]["roleArn"]).stdout)

    def enter(self, aws: Bench, world: dict) -> None:
        """Runs from now on as the platform's role, in this AWS."""
        session = aws.session(PLATFORM, world["platform"]["roleName"])
        self.env |= {"AWS_ACCESS_KEY_ID": session["accessKeyId"], "AWS_SECRET_ACCESS_KEY": session["secretAccessKey"]}
        self.env |= {"AWS_SESSION_TOKEN": session["sessionToken"], "AWS_REGION": world["platform"]["region"]}
        self.env |= {"AWS_ENDPOINT_URL": aws.url, "AWS_EC2_METADATA_DISABLED": "true"}

    def identify(self, aws: Bench, world: dict) -> None:
        """Makes the roles at AWS, with exactly the policies that the program prints, and runs as one of them."""
        make_roles(aws, world, self.policies(world))
        self.enter(aws, world)

    def run(self, *arguments: str, good: tuple[int, ...] = (0,), **env: str) -> subprocess.CompletedProcess:
        """Runs a command of the program to its end."""
        done = run([self._binary, *arguments], env={**self.env, **env}, check=False)
        if done.returncode not in good:
            raise Failure(f"redshift-link {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return done

    @contextmanager
    def running(self, log: Path) -> Iterator[subprocess.Popen]:
        """Ends it as the kubelet does, and as it must: well. After a failure it is killed."""
        command = [str(self._binary), *self._container["args"]]
        with log.open("w") as output:
            # in a session of its own: Ctrl-C is for us
            program = spawn(command, env=self.env, stdout=output, stderr=output, start_new_session=True)
        try:
            yield program
            program.terminate()
            if code := program.wait(END_SECONDS):
                raise Failure(f"the controller ended with {code}:\n{tail(log)}")
        finally:
            program.kill()
            program.wait()

    def probe(self, kind: str) -> bool:
        """Whether a probe of the container succeeds."""
        return self.get(self._container[kind]["httpGet"]["path"]) is not None

    def leads(self) -> bool:
        """Whether it is the one that acts."""
        return "redshift_link_leader 1" in (self.get("/metrics") or "")

    def until_leading(self, program: subprocess.Popen) -> None:
        """Waits until it is the one that acts."""
        eventually(lambda: program.poll() is not None or self.leads(), "the controller leads")
        if program.poll() is not None:
            raise Failure(f"the controller ended with {program.returncode}")

    def get(self, path: str) -> str | None:
        """What it answers, where it answers well."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            return direct.open(f"http://{self.address}{path}").read().decode()
        except OSError:
            return None
