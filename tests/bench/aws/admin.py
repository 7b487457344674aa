"""The bench's own API, under /_bench/: what no client of AWS can do (README.md lists it)."""

import re
import time
from collections.abc import Callable
from typing import Any

from . import cluster_roles, inventory, kms, studio, world
from .ec2.peering import STATES
from .engine import Engine
from .errors import AwsError
from .faults import Fault
from .redshift_data import running
from .state import state

PREFIX = "/_bench/"

Body = dict[str, Any]
Route = Callable[["Admin", Body, dict[str, str], re.Match[str]], Any]
_ROUTES: list[tuple[str, re.Pattern[str], Route]] = []


def _route(method: str, path: str) -> Callable[[Route], Route]:
    def register(handler: Route) -> Route:
        _ROUTES.append((method, re.compile(path), handler))
        return handler

    return register


class Admin:
    """Answers requests to the bench itself."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def handle(self, method: str, path: str, body: Body, query: dict[str, str]) -> tuple[int, Any]:
        """Status and JSON answer."""
        for wanted, pattern, handler in _ROUTES:
            match = pattern.fullmatch(path)
            if match and wanted == method:
                try:
                    return 200, handler(self, body, query, match)
                except AwsError as error:
                    return 400, {"error": f"{error.code}: {error.message}"}
        return 404, {"error": f"no {method} {PREFIX}{path}"}

    @_route("GET", "health")
    def _health(self, *_: Any) -> Any:
        return {"status": "ok"}

    @_route("POST", "reset")
    def _reset(self, *_: Any) -> Any:
        self.engine.reset()
        return {}

    @_route("POST", "credentials")
    def _credentials(self, body: Body, *_: Any) -> Any:
        with self.engine.lock:
            return world.session(**world.snake_case(body)).as_json()

    @_route("POST", "sessions/expire")
    def _expire(self, body: Body, *_: Any) -> Any:
        """Ends the sessions of a role: for clients that refresh credentials."""
        with self.engine.lock:
            return {"expired": state.sessions.expire(body["account"], body["role"], time.time())}

    @_route("POST", "world")
    def _world(self, body: Body, *_: Any) -> Any:
        with self.engine.lock:
            return world.build(self.engine, body)

    @_route("POST", "studio-session")
    def _studio_session(self, body: Body, *_: Any) -> Any:
        with self.engine.lock:
            return studio.session(body["account"], body["domainId"], body["profile"]).as_json()

    @_route("GET", "calls")
    def _calls(self, _: Body, query: dict[str, str], __: Any) -> Any:
        return self.engine.journal.after(int(query.get("after", 0)))

    @_route("POST", "calls/clear")
    def _clear_calls(self, *_: Any) -> Any:
        self.engine.journal.clear()
        return {}

    @_route("POST", "faults")
    def _fault(self, body: Body, *_: Any) -> Any:
        self.engine.faults.add(Fault(**body))
        return {}

    @_route("DELETE", "faults")
    def _clear_faults(self, *_: Any) -> Any:
        self.engine.faults.clear()
        return {}

    @_route("GET", "held")
    def _held(self, _: Body, query: dict[str, str], __: Any) -> Any:
        return self.engine.gate.first(float(query.get("wait", 0)))

    @_route("POST", "release")
    def _release(self, *_: Any) -> Any:
        return {"released": self.engine.gate.release()}

    @_route("GET", "settings")
    def _settings(self, *_: Any) -> Any:
        return state.settings.as_dict()

    @_route("POST", "settings")
    def _set(self, body: Body, *_: Any) -> Any:
        state.settings.update(body)
        return state.settings.as_dict()

    @_route("POST", r"peering/(?P<id>pcx-[0-9a-f]+)")
    def _peering(self, body: Body, _: Any, match: re.Match[str]) -> Any:
        if body["status"] not in STATES:
            raise ValueError(f"unknown status; known: {', '.join(STATES)}")
        with self.engine.lock:
            state.peerings[match["id"]].become(body["status"], body.get("message", ""))
        return {}

    @_route("POST", r"app")
    def _app(self, body: Body, *_: Any) -> Any:
        with self.engine.lock:
            studio.set_app_status(body["account"], body["domainId"], body["appName"], body["status"])
        return {}

    @_route("POST", r"cluster")
    def _cluster(self, body: Body, *_: Any) -> Any:
        with self.engine.lock:
            world.set_cluster(**world.snake_case(body))
        return {}

    @_route("POST", r"cluster-role")
    def _cluster_role(self, body: Body, *_: Any) -> Any:
        with self.engine.lock:
            cluster_roles.set_role(**world.snake_case(body))
        return {}

    @_route("POST", r"key")
    def _key(self, body: Body, *_: Any) -> Any:
        with self.engine.lock:
            kms.set_state(body["arn"], body["status"])
        return {}

    @_route("POST", r"statement/(?P<id>[0-9a-f-]+)")
    def _statement(self, body: Body, _: Any, match: re.Match[str]) -> Any:
        """Ends a statement as the cluster itself would."""
        with self.engine.lock:
            running.end_from_outside(state.statements[match["id"]], body["error"])
        return {}

    @_route("GET", "inventory")
    def _inventory(self, _: Body, query: dict[str, str], __: Any) -> Any:
        with self.engine.lock:
            return inventory.of(query["account"])
