"""Self-check: `PYTHONPATH=tests python3 -m unittest -v bench.controlplane.test_controlplane`."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from . import assets, build

COMMAND = [sys.executable, "-m", __package__]
SECONDS = 60


def setUpModule() -> None:
    build.build(build.DEFAULT)  # here, so that no test is slow because of it


def invoke(*arguments: str, **options) -> str:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, **options)
    if done.returncode:
        raise AssertionError(f"{arguments}: {done.stderr}")
    return done.stdout


def eventually(condition, what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not after {SECONDS} s: {what}")
        time.sleep(0.1)


def running(facts: dict) -> list[str]:
    """The programs of a control plane that still run in its folder: their pids may have been reused."""

    def folder(pid: int) -> str:
        try:
            return os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            return ""

    return [name for name, pid in facts["pids"].items() if folder(pid) == facts["dir"]]


class TestCase(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def kubectl(self, facts: dict, *arguments: str, text: str | None = None, check: bool = True) -> str:
        command = [f"{facts['bin']}/kubectl", "--kubeconfig", facts["kubeconfig"], *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=SECONDS)
        if check and done.returncode:
            self.fail(f"{arguments}: {done.stderr}")
        return done.stdout if check else done.stdout + done.stderr


class Background(TestCase):
    """What a control plane does, started and stopped as the demo does it."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(invoke, "stop", "--dir", str(self.folder))
        self.facts = json.loads(invoke("start", "--dir", str(self.folder)))

    def test_works_and_stops(self) -> None:
        self.namespace_is_deleted_with_what_is_in_it()
        self.token_is_held_to_rbac()
        self.certificate_names_user_and_groups()
        self.stops_and_leaves_only_logs()

    def namespace_is_deleted_with_what_is_in_it(self) -> None:
        self.kubectl(self.facts, "create", "namespace", "team")
        self.kubectl(self.facts, "-n", "team", "create", "configmap", "thing", "--from-literal=a=b")
        self.kubectl(self.facts, "delete", "namespace", "team", "--timeout=30s")
        self.assertIn("NotFound", self.kubectl(self.facts, "get", "namespace", "team", check=False))

    def token_is_held_to_rbac(self) -> None:
        for command in (
            "create serviceaccount reader",
            "create role reader --verb=list --resource=configmaps",
            "create rolebinding reader --role=reader --serviceaccount=default:reader",
        ):
            self.kubectl(self.facts, *command.split())
        token = self.kubectl(self.facts, "create", "token", "reader").strip()
        config = json.loads(Path(self.facts["kubeconfig"]).read_text())
        config["users"][0]["user"] = {"token": token}
        (self.folder / "token").write_text(json.dumps(config))
        as_reader = self.facts | {"kubeconfig": str(self.folder / "token")}
        self.assertIn("kube-root-ca.crt", self.kubectl(as_reader, "get", "configmaps"))
        refused = self.kubectl(as_reader, "get", "secrets", check=False)
        self.assertIn('User "system:serviceaccount:default:reader" cannot list', refused)

    def certificate_names_user_and_groups(self) -> None:
        (self.folder / "user").write_text(invoke("user", "--dir", str(self.folder), "jane", "readers", "writers"))
        as_jane = self.facts | {"kubeconfig": str(self.folder / "user")}
        known = json.loads(self.kubectl(as_jane, "auth", "whoami", "-o", "json"))["status"]["userInfo"]
        self.assertEqual(known["username"], "jane")
        self.assertEqual(known["groups"], ["readers", "writers", "system:authenticated"])

    def stops_and_leaves_only_logs(self) -> None:
        self.assertEqual(Path(self.facts["kubeconfig"]).stat().st_mode & 0o777, 0o600)
        self.assertEqual(json.loads(invoke("status", "--dir", str(self.folder))), self.facts)
        with self.assertRaisesRegex(AssertionError, "is running"):
            invoke("start", "--dir", str(self.folder))
        invoke("stop", "--dir", str(self.folder))
        self.assertEqual(running(self.facts), [])
        ours = {path.name for path in self.folder.iterdir()} - {"token", "user"}
        self.assertEqual(ours, {"log", "controlplane.lock"})
        with self.assertRaisesRegex(AssertionError, "no control plane"):
            invoke("status", "--dir", str(self.folder))
        invoke("stop", "--dir", str(self.folder))  # is no error


class Foreground(TestCase):
    """How a control plane ends that belongs to a test."""

    def spawn(self, command: list[str]) -> subprocess.Popen:
        """A child with a pipe on each side, which ends with the test."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        child = subprocess.Popen(command, text=True, **pipes)

        def end() -> None:
            for pipe in (child.stdin, child.stdout, child.stderr):
                pipe.close()
            child.wait(SECONDS)

        self.addCleanup(end)
        return child

    def run_in(self, *options: str) -> tuple[subprocess.Popen, dict]:
        child = self.spawn([*COMMAND, "run", *options])
        return child, json.loads(child.stdout.readline())

    def test_two_at_once_end_apart(self) -> None:
        (first, facts), (second, others) = self.run_in("--dir", str(self.folder)), self.run_in()
        self.kubectl(facts, "create", "namespace", "only-here")
        self.assertIn("NotFound", self.kubectl(others, "get", "namespace", "only-here", check=False))
        first.stdin.close()
        self.assertEqual(first.wait(SECONDS), 0)
        self.assertEqual(running(facts), [])
        self.assertIn("default", self.kubectl(others, "get", "namespaces"))
        second.terminate()
        self.assertEqual(second.wait(SECONDS), 0)
        self.assertEqual(running(others), [])
        self.assertFalse(Path(others["dir"]).exists(), "a folder that nobody named goes as well")

    def test_ends_when_the_test_is_killed(self) -> None:
        script = (
            "import subprocess, sys, time\n"
            f"child = subprocess.Popen({[*COMMAND, 'run', '--dir', str(self.folder)]}, stdin=subprocess.PIPE)\n"
            "time.sleep(600)\n"
        )
        test = self.spawn([sys.executable, "-c", script])
        facts = json.loads(test.stdout.readline())
        self.assertEqual(len(running(facts)), 3)
        test.kill()
        eventually(lambda: not running(facts), "all have ended")
        eventually(lambda: not (self.folder / "state.json").exists(), "its files are removed")

    def test_ends_when_its_supervisor_is_killed(self) -> None:
        child, facts = self.run_in("--dir", str(self.folder))
        child.kill()
        eventually(lambda: not running(facts), "all have ended")

    def test_ends_while_starting(self) -> None:
        child = self.spawn([*COMMAND, "run", "--dir", str(self.folder)])
        eventually((self.folder / "log/kube-apiserver.log").exists, "it is starting")
        child.stdin.close()
        self.assertEqual(child.wait(5), 0)
        self.assertFalse((self.folder / "etcd-data").exists())

    def test_says_which_program_has_ended(self) -> None:
        child, facts = self.run_in("--dir", str(self.folder))
        os.kill(facts["pids"]["kube-controller-manager"], signal.SIGKILL)
        self.assertEqual(child.wait(SECONDS), 1)
        self.assertIn("kube-controller-manager has ended", child.stderr.read())
        self.assertEqual(running(facts), [])

    def test_leaves_folders_of_others_alone(self) -> None:
        (self.folder / "bin").mkdir()
        with self.assertRaisesRegex(AssertionError, "holds other files"):
            invoke("start", "--dir", str(self.folder))
        invoke("stop", "--dir", str(self.folder))
        self.assertTrue((self.folder / "bin").exists())


class Assets(TestCase):
    """What the user provides is used, and not built."""

    def test_provided_programs_are_not_built(self) -> None:
        provided = self.folder / "assets"
        provided.mkdir()
        for name in ("etcd", "kube-apiserver", "kubectl"):
            (provided / name).symlink_to(assets.find(name))
        environment = os.environ | {
            "KUBEBUILDER_ASSETS": str(provided),
            "TEST_ASSET_KUBE_CONTROLLER_MANAGER": str(assets.find("kube-controller-manager")),
            "TEST_ASSET_HELM": str(assets.find("helm")),
            "REDSHIFT_LINK_CACHE": str(self.folder / "cache"),
            "PATH": "/usr/bin:/bin",
        }
        invoke("build", env=environment)
        self.assertFalse((self.folder / "cache").exists())
        state = self.folder / "state"
        self.addCleanup(invoke, "stop", "--dir", str(state))
        facts = json.loads(invoke("start", "--dir", str(state), env=environment))
        self.assertEqual(os.readlink(f"{facts['bin']}/kubectl"), str(provided / "kubectl"))
        command = Path(f"/proc/{facts['pids']['kube-apiserver']}/cmdline").read_bytes().split(b"\0")
        self.assertEqual(command[0].decode(), str(provided / "kube-apiserver"))


@unittest.skipUnless((assets.bin_dir() / "kwok").exists(), "needs `build kube-scheduler kwok`")
class Pods(TestCase):
    """With scheduler and kwok, pods run as far as Kubernetes can tell."""

    def test_helm_waits_for_a_deployment(self) -> None:
        self.addCleanup(invoke, "stop", "--dir", str(self.folder / "state"))
        facts = json.loads(invoke("start", "--dir", str(self.folder / "state"), "--with", "kube-scheduler,kwok"))
        self.kubectl(facts, "create", "deployment", "web", "--image=example.invalid/web")
        self.kubectl(facts, "wait", "--for=condition=Available", "deployment/web", "--timeout=30s")
        helm, chart = [f"{facts['bin']}/helm", "--kubeconfig", facts["kubeconfig"]], str(self.folder / "chart")
        for arguments in (["create", chart], ["install", "shop", chart, "--wait"], ["uninstall", "shop", "--wait"]):
            done = subprocess.run([*helm, *arguments], capture_output=True, text=True, timeout=SECONDS)
            self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
