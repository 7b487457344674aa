"""`python -m bench.demo [--keep | --stop]`, as `make demo` runs it."""

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack

from .. import lock
from ..controlplane import build
from ..failure import Failure, tail
from ..program import Pod, binary
from ..stop import Stop, stoppable
from . import keeping, story, unload
from .conditions import Conditions
from .stage import Stage, built, folder, log
from .terminal import Terminal

LetGo = Callable[[], None]


def main() -> int:
    """Plays the story, or ends one that was left running."""
    parser = argparse.ArgumentParser(prog="bench.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave all of it running in the background")
    parser.add_argument("--stop", action="store_true", help="end what was left running")
    arguments = parser.parse_args()
    if arguments.stop:
        print("the demo is ended" if keeping.stop() else "no demo is running")
        return 0
    return keeping.in_background(play) if arguments.keep else play(None)


def play(let_go: LetGo | None) -> int:
    """Plays the story, one at a time. Whatever way it ends, nothing is left running, unless it was let go."""
    terminal = Terminal()
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    running = f"a demo is running already, with its files in {folder()}: end it with `make demo-stop` first"
    try:
        with stoppable(), lock.hold(keeping.lock_file(), running):
            return _told(terminal, let_go)
    except Failure as failure:
        terminal.bad(str(failure))
        return 1
    except Stop:
        terminal.line()
        terminal.aside("stopped: nothing is left running")
        return 130


def _told(terminal: Terminal, let_go: LetGo | None) -> int:
    """What went wrong is said when all has ended, with the end of the controller's log."""
    log().unlink(missing_ok=True)
    try:
        _tell(terminal, let_go)
    except Exception as error:
        # of what was not foreseen, the place in the code says most
        text = str(error) if isinstance(error, Failure) else traceback.format_exc()
        terminal.line()
        for line in text.splitlines():
            terminal.bad(line)
        if log().exists():
            terminal.aside(f"the end of {log()}:")
            for line in tail(log()).splitlines():
                terminal.line(line)
        return 1
    finally:
        keeping.forget()
    return 0


def _tell(terminal: Terminal, let_go: LetGo | None) -> None:
    began = time.monotonic()
    if not binary().exists():
        raise Failure(f"there is no program {binary()}: `make demo` builds it")
    build.build(build.DEFAULT)
    terminal.title(
        "redshift-link: a Redshift warehouse in one AWS account, SageMaker Studio in another, and one object"
    )
    terminal.chapter("A cluster and two AWS accounts, all on this machine")
    with built(terminal) as stage, ExitStack() as held:
        story.accounts(stage)
        terminal.chapter("The platform team installs the controller")
        pod = story.install(stage)
        story.roles(stage, pod)
        with terminal.step("redshift-link run: starts, and takes the lease"):
            program = held.enter_context(pod.running(log()))
            pod.until_leading(program)
        before = stage.inventories()
        terminal.line()
        story.count(stage, before)
        _live(stage, pod, before)
        if let_go:
            terminal.chapter("All of it is left running, to look around in")
            keeping.look_around(stage, pod)
            let_go()
            program.wait()
            raise Failure("the controller has ended")
        terminal.chapter("The link is deleted, and nothing is left")
        story.delete(stage, before)
    terminal.line()
    terminal.say(f"Total: {time.monotonic() - began:.0f} s.")


def _live(stage: Stage, pod: Pod, before: list[dict]) -> None:
    """From the plan to the rows."""
    terminal = stage.terminal
    terminal.chapter("A user asks what would be done")
    story.plan(stage, pod)
    with stage.cluster.watch(stage.manifest.namespace) as watch:
        conditions = Conditions(watch, terminal)
        terminal.chapter("The link is applied")
        story.apply(stage, conditions)
        terminal.chapter("What exists now, and in which account")
        whole = stage.inventories()
        story.look(stage, before, whole)
        terminal.chapter("A route is deleted behind its back")
        story.repair(stage, conditions, whole)
    terminal.chapter("Rows of the warehouse go to the other account")
    unload.prepare(stage)
    unload.run(stage)
    terminal.chapter("A second job is deleted half-way")
    unload.cancel(stage)


if __name__ == "__main__":
    sys.exit(main())
