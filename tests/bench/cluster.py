"""A cluster as its administrator uses it: kubectl, helm, and a watch."""

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .controlplane import assets
from .controlplane.process import spawn
from .failure import Failure

GROUP = "redshiftlink.dev"
LINKS = "crossaccountredshiftlinks"
JOBS = "unloadjobs"
SECONDS = 120


class Helm:
    """Runs helm; values go to its standard input. It has no cluster unless `kubeconfig` is given."""

    def __init__(self, folder: Path):
        # of its own, so that it neither reads nor writes what its user has
        self._own = {f"HELM_{kind}_HOME": str(folder / kind) for kind in ("CACHE", "CONFIG", "DATA")}

    def __call__(self, *arguments, values=None, kubeconfig="/dev/null", check=True) -> subprocess.CompletedProcess:
        options = [] if values is None else ["--values", "-"]
        return run(
            [assets.find("helm"), *arguments, *options],
            input=json.dumps(values or {}),
            env={**os.environ, **self._own, "KUBECONFIG": str(kubeconfig)},
            check=check,
        )


class Cluster:
    """The local control plane, as its administrator."""

    def __init__(self, facts: dict, helm: Helm):
        self.kubeconfig, self.bin = facts["kubeconfig"], facts["bin"]
        self._helm = helm

    def command(self, *arguments: str) -> list[str]:
        """A command line of kubectl."""
        return [str(assets.find("kubectl")), "--kubeconfig", self.kubeconfig, *arguments]

    def kubectl(self, *arguments: str, manifest=None, check=True, cwd=None) -> subprocess.CompletedProcess:
        """Runs kubectl; a manifest goes to its standard input."""
        return run(self.command(*arguments), input=json.dumps(manifest or {}), check=check, cwd=cwd)

    def get(self, *arguments: str) -> dict:
        """An object, or a list of them; empty where it is not there."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json", "--ignore-not-found").stdout or "{}")

    def create(self, manifest: dict, *options: str) -> dict:
        """Creates an object; gives what the API server made of it."""
        return json.loads(self.kubectl("create", "-f", "-", "-o", "json", *options, manifest=manifest).stdout)

    def namespace(self, name: str, **labels: str) -> None:
        """A namespace that did not exist before."""
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    def helm(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        """Runs helm in this cluster."""
        return self._helm(*arguments, kubeconfig=self.kubeconfig, **options)

    @contextmanager
    def watch(self, namespace: str, kind: str = LINKS) -> Iterator["Watch"]:
        """Follows the objects of a kind in a namespace, from those that are there on."""
        path = f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/{kind}?watch=true"
        child = spawn(self.command("get", "--raw", path), stdout=subprocess.PIPE)
        try:
            yield Watch(child.stdout.fileno())
        finally:
            child.kill()
            child.wait()
            child.stdout.close()


class Watch:
    """Events as the API server sends them: one a line."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._rest = b""

    def events(self, seconds: float) -> Iterator[tuple[str, dict]]:
        """Kinds of events and objects as they come, until so much time has passed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            line, found, rest = self._rest.partition(b"\n")
            if found:
                self._rest = rest
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise Failure(f"the watch: {event['object'].get('message')}")
                yield event["type"], event["object"]
            elif select.select([self._descriptor], [], [], left)[0]:
                more = os.read(self._descriptor, 1 << 20)
                if not more:
                    raise Failure("the API server ended the watch")
                self._rest += more


def run(command: list, check: bool = True, **options) -> subprocess.CompletedProcess:
    """Runs a command to its end."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=SECONDS, **options)
    if check and done.returncode:
        raise Failure(f"{' '.join(map(str, command))}: {done.stderr}")
    return done
