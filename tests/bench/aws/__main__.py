"""Runs the local AWS until it is told to stop; see README.md."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
import warnings

from . import services  # noqa: F401
from .server import Server
from .warehouse.clusters import clusters
from .warm import warm


def main() -> None:
    """Starts, says where, and serves."""
    parser = argparse.ArgumentParser(prog="bench.aws", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--stdin-eof", action="store_true", help="end when standard input is closed")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore", module="moto")

    server = Server(arguments.port)
    warm(server.engine)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if arguments.stdin_eof:
        threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    print(json.dumps({"url": server.url, "pid": os.getpid()}), flush=True)
    stop.wait()
    server.shutdown()
    clusters.stop()


if __name__ == "__main__":
    main()
