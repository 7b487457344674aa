"""One control plane: the order in which its programs start, and when each of them works."""

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..failure import Failure, tail
from . import assets, flags
from .pki import Pki
from .process import Program

EXTRAS = ("kube-scheduler", "kwok")
START_SECONDS = 120  # much more than a busy machine takes

_DATA = ("etcd-data", "etcd:0", "peer:0", "pki", "flex", "bin", "kubeconfig", "state.json")
_LOGS = "log"


class Cluster:
    """One control plane with its state in a folder, which nothing else uses."""

    def __init__(self, folder: Path, extras: list[str]):
        self.folder = folder
        self.programs: list[Program] = []
        self._extras = extras
        self._pki = Pki(folder / "pki")
        self._port = 0

    @property
    def url(self) -> str:
        return f"https://{flags.HOST}:{self._port}"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def start(self) -> None:
        """Starts everything, and returns when all of it works."""
        clear(self.folder)
        (self.folder / _LOGS).mkdir()
        etcd = self._launch("etcd", *flags.ETCD)
        self._pki.create()
        self._until(etcd, (self.folder / flags.ETCD_SOCKET).is_socket)
        self._start_apiserver()
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(self._pki.admin_kubeconfig(self.url))
        manager = self._launch("kube-controller-manager", *flags.CONTROLLER_MANAGER)
        self._until(manager, self._default_namespace_is_filled)
        if "kube-scheduler" in self._extras:
            self._launch("kube-scheduler", *flags.SCHEDULER)
        if "kwok" in self._extras:
            self._start_kwok()
        self._link_clients()

    def check(self) -> None:
        """Fails when one of the programs has ended."""
        for program in self.programs:
            if not program.alive():
                raise Failure(f"{program.name} has ended; the end of its log:\n{tail(program.log)}")

    def stop(self) -> None:
        """Ends everything at once: what it holds is thrown away, so there is nothing to save first."""
        for program in reversed(self.programs):
            program.kill()
        clear(self.folder, keep_logs=True)

    def _launch(self, name: str, *arguments: str) -> Program:
        program = Program(name, [str(assets.find(name)), *arguments], self.folder)
        self.programs.append(program)
        return program

    def _until(self, program: Program, ready: Callable[[], object]) -> None:
        end = time.monotonic() + START_SECONDS
        while not ready():
            self.check()
            if time.monotonic() > end:
                raise Failure(f"{program.name} hangs; the end of its log:\n{tail(program.log)}")
            time.sleep(0.05)

    def _start_apiserver(self) -> None:
        with _reserved_port() as port:
            self._port = port
            program = self._launch("kube-apiserver", *flags.APISERVER, f"--secure-port={port}")
            self._until(program, lambda: self._get("/readyz") and self._get("/api/v1/namespaces/default"))

    def _default_namespace_is_filled(self) -> bool:
        # The controller manager makes these, and pods are refused without the first.
        made = ("serviceaccounts/default", "configmaps/kube-root-ca.crt")
        return all(self._get(f"/api/v1/namespaces/default/{path}") for path in made)

    def _start_kwok(self) -> None:
        stages = assets.find("kwok").with_name("kwok.yaml")
        program = self._launch("kwok", *flags.KWOK, f"--config={stages}")
        capacity = {"cpu": "64", "memory": "256Gi", "pods": "1000"}
        node = {
            "metadata": {"name": "kwok", "labels": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}},
            "status": {"capacity": capacity, "allocatable": capacity},
        }
        self._until(program, lambda: self._request("POST", "/api/v1/nodes", json.dumps(node)))
        self._until(program, self._node_is_ready)

    def _node_is_ready(self) -> bool:
        node = json.loads(self._get("/api/v1/nodes/kwok") or "{}")
        conditions = node.get("status", {}).get("conditions", [])
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def _link_clients(self) -> None:
        """One folder with kubectl and helm of the server's version, wherever each comes from."""
        (self.folder / "bin").mkdir()
        for name in ("kubectl", "helm"):
            (self.folder / "bin" / name).symlink_to(assets.find(name))

    def _get(self, path: str) -> bytes:
        return self._request("GET", path)

    def _request(self, method: str, path: str, body: str | None = None) -> bytes:
        """The answer to the admin's request, empty unless it succeeded."""
        tls = ssl.create_default_context(cafile=self._pki.path("ca.crt"))
        tls.load_cert_chain(self._pki.path("admin.crt"), self._pki.path("admin.key"))
        connection = http.client.HTTPSConnection(flags.HOST, self._port, timeout=5, context=tls)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status < 300:
                return content
        return b""


def clear(folder: Path, keep_logs: bool = False) -> None:
    """Removes what a control plane wrote; etcd alone takes over 100 MB."""
    for name in _DATA if keep_logs else (*_DATA, _LOGS):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _reserved_port() -> Iterator[int]:
    """A port that stays ours until the program that shares it listens on it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((flags.HOST, 0))
        yield holder.getsockname()[1]
