"""Policies as a reviewer reads them: a line for each statement."""

from .inventory import last, listed


def lines(policies: dict) -> list[str]:
    """Whom a role trusts, and what it may do."""
    trust = policies["trustPolicy"]["Statement"][0]
    trusted = f"role  {policies['role']['name']}, entered by {trust['Principal']['AWS']} with an external id"
    return [f"  {line}" for line in (trusted, *map(_statement, policies["permissionsPolicy"]["Statement"]))]


def _statement(statement: dict) -> str:
    where = ", ".join(_resource(resource) for resource in listed(statement["Resource"]))
    conditions = [
        f" if {key} {'=' if operator == 'StringEquals' else 'like'} {', '.join(listed(value))}"
        for operator, tests in statement.get("Condition", {}).items()
        for key, value in tests.items()
    ]
    return f"{statement['Effect'].lower():<5}  {_actions(listed(statement['Action']))} on {where}{''.join(conditions)}"


def _actions(actions: list[str]) -> str:
    """Reads are many and harmless: their number is enough."""
    names = [action.partition(":")[2] for action in actions]
    services = sorted({action.partition(":")[0] for action in actions})
    if all(name.startswith(("Describe", "Get", "List")) for name in names):
        return f"{len(names)} reads of {', '.join(services)}"
    return f"{services[0]}: {', '.join(names)}"


def _resource(arn: str) -> str:
    return last(arn, ":")
