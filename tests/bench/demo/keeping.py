"""A demo that goes on when its command has ended: how it is let go, looked around in, and ended."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from .. import lock
from ..controlplane.process import die_with, outlive_parent
from ..program import Pod
from ..stop import SIGNALS
from .stage import SIDES, Stage, folder, log

_DESCRIPTORS = (0, 1, 2)
_ENVIRONMENT, _PROFILES = "environment", "aws-config"


def lock_file() -> Path:
    """Held by the process that owns a demo."""
    return folder() / "demo.lock"


def in_background(play: Callable[[Callable[[], None]], int]) -> int:
    """Plays in a child that is given a way to be let go: its exit code, or 0 as soon as it uses that."""
    reader, writer = os.pipe()
    parent = os.getpid()
    sys.stdout.flush()
    if child := os.fork():
        os.close(writer)
        return _wait(child, reader)
    os.close(reader)
    die_with(parent)
    return play(lambda: _let_go(writer))


def stop() -> bool:
    """Ends the demo that runs; false where there is none."""
    return lock.end_holder(lock_file())


def look_around(stage: Stage, pod: Pod) -> None:
    """Writes what a shell needs, and says what there is to see."""
    exports = _write_exports(stage)
    terminal, namespace, name = stage.terminal, stage.manifest.namespace, stage.manifest.name
    terminal.say(f"In your shell, or with `. {folder() / _ENVIRONMENT}`, which says the same:")
    terminal.line()
    for line in exports:
        terminal.command(line)
    terminal.line()
    for line in (
        "kubectl get rslink -A -o wide",
        f"kubectl describe rslink {name} -n {namespace}",
        "kubectl explain rslink.spec",
        f"kubectl edit rslink {name} -n {namespace}",
    ):
        terminal.command(line)
    terminal.line()
    terminal.say(
        "Both AWS accounts, as their administrators, with the aws command or boto3 (boto3.Session(profile_name=...)):"
    )
    terminal.line()
    terminal.command("aws --profile producer iam list-roles --path-prefix /redshift-link/")
    terminal.command("aws --profile consumer ec2 describe-vpc-peering-connections")
    terminal.line()
    terminal.say("The controller:")
    terminal.line()
    terminal.command(f"tail -f {log()}")
    terminal.command(f"curl http://{pod.address}/metrics")
    terminal.line()
    terminal.say("And the end of it all:")
    terminal.line()
    terminal.command("make demo-stop")


def forget() -> None:
    """Removes what leads to servers that have ended."""
    for name in (_ENVIRONMENT, _PROFILES):
        (folder() / name).unlink(missing_ok=True)


def _write_exports(stage: Stage) -> list[str]:
    profiles = folder() / _PROFILES
    lines = [
        f"export KUBECONFIG={stage.cluster.kubeconfig}",
        f"export PATH={stage.cluster.bin}:$PATH",
        f"export AWS_ENDPOINT_URL={stage.aws.url} AWS_CONFIG_FILE={profiles}",
    ]
    profiles.write_text("".join(_profile(stage, side) for side in SIDES))
    (folder() / _ENVIRONMENT).write_text("\n".join([*lines, ""]))
    return lines


def _profile(stage: Stage, side: str) -> str:
    credentials = stage.world[side]["admin"]
    return (
        f"[profile {side}]\n"
        f"region = {stage.world[side]['region']}\n"
        f"aws_access_key_id = {credentials['accessKeyId']}\n"
        f"aws_secret_access_key = {credentials['secretAccessKey']}\n"
        f"aws_session_token = {credentials['sessionToken']}\n"
    )


def _wait(child: int, reader: int) -> int:
    """What ends us ends the child, which cleans up; we end after it."""
    for number in SIGNALS:
        signal.signal(number, lambda number, _: os.kill(child, number))
    if os.read(reader, 1):
        return 0
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 1


def _let_go(writer: int) -> None:
    """Leaves the terminal, so that neither its end nor a reader of our output has to do with us, and the parent."""
    os.setsid()
    outlive_parent()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in _DESCRIPTORS:
        os.dup2(nothing, descriptor)
    os.write(writer, b".")
    os.close(writer)
