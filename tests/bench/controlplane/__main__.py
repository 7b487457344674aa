"""The command line: `PYTHONPATH=tests python3 -m bench.controlplane COMMAND`."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from ..failure import Failure
from . import build, supervisor
from .cluster import EXTRAS
from .console import say
from .pki import Pki


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.controlplane", description="A real Kubernetes control plane on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("build", help="build what is missing")
    command.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(build.PROGRAMS)}")
    for name, text in (
        ("start", "start in the background; prints a line of JSON when ready"),
        ("run", "the same in the foreground, until stdin closes or a signal comes"),
        ("stop", "stop it, and remove all but its logs"),
        ("status", "print the line of JSON again; fails when it is not running"),
        ("user", "print the kubeconfig of a new user with a client certificate"),
    ):
        command = commands.add_parser(name, help=text)
        text = "the folder for its state"
        if name == "run":
            command.add_argument("--dir", type=Path, help=f"{text}; absent: one that goes with it")
        else:
            command.add_argument("--dir", required=True, type=Path, help=text)
        if name in ("start", "run"):
            text = f"more programs, of {','.join(EXTRAS)}"
            command.add_argument("--with", dest="extras", type=_extras, default=[], help=text)
        if name == "run":
            text = "leave stdin alone, and let go of stdout once ready"
            command.add_argument("--detached", action="store_true", help=text)
        if name == "user":
            command.add_argument("name")
            command.add_argument("groups", nargs="*", metavar="GROUP")
    arguments = parser.parse_args()
    try:
        _COMMANDS[arguments.command](arguments)
    except (Failure, OSError) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _extras(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := set(names) - set(EXTRAS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return names


def _build(arguments: argparse.Namespace) -> None:
    names = arguments.names or build.DEFAULT
    if unknown := set(names) - set(build.PROGRAMS):
        raise Failure(f"cannot build: {', '.join(unknown)}")
    build.build(names)


def _start(arguments: argparse.Namespace) -> None:
    build.build([*build.DEFAULT, *arguments.extras])
    supervisor.start(arguments.dir.absolute(), arguments.extras)


def _run(arguments: argparse.Namespace) -> None:
    if arguments.dir:
        supervisor.run(arguments.dir.absolute(), arguments.extras, arguments.detached)
        return
    with tempfile.TemporaryDirectory(prefix="redshift-link-controlplane-", ignore_cleanup_errors=True) as folder:
        supervisor.run(Path(folder), arguments.extras, arguments.detached)


def _stop(arguments: argparse.Namespace) -> None:
    supervisor.stop(arguments.dir.absolute())


def _status(arguments: argparse.Namespace) -> None:
    print(json.dumps(supervisor.state(arguments.dir.absolute())))


def _user(arguments: argparse.Namespace) -> None:
    folder = arguments.dir.absolute()
    url = supervisor.state(folder)["url"]
    print(Pki(folder / "pki").user_kubeconfig(arguments.name, arguments.groups, url))


_COMMANDS = {"build": _build, "start": _start, "run": _run, "stop": _stop, "status": _status, "user": _user}

if __name__ == "__main__":
    sys.exit(main())
