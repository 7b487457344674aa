"""SageMaker Studio: domains, user profiles and apps (docs/aws-behaviour.md#sagemaker-studio). moto lacks most of it."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .access.decision import Need
from .call import Call
from .errors import AwsError
from .operations import operation
from .state import now, state

_LIVE_APPS = ("Pending", "InService", "Deleting")


@dataclass
class Domain:
    """A Studio domain."""

    description: dict[str, Any]
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    apps: list[dict[str, Any]] = field(default_factory=list)
    updated: float = float("-inf")

    def as_api(self) -> dict[str, Any]:
        """As DescribeDomain gives it."""
        updating = now() - self.updated < state.settings.domain_updating_seconds
        return {**self.description, "Status": "Updating" if updating else "InService"}


@dataclass
class Studio:
    """The domains of an account and region."""

    domains: dict[str, Domain] = field(default_factory=dict)


def _time() -> datetime:
    return datetime.fromtimestamp(now(), UTC)


def studio(account: str, region: str) -> Studio:
    """What an account has in a region."""
    return state.studios.setdefault((account, region), Studio())


def _not_found(what: str) -> AwsError:
    return AwsError("ResourceNotFound", f"{what} does not exist.")


def _domain(call: Call, identifier: str | None = None) -> Domain:
    identifier = identifier or call.get("DomainId")
    domain = studio(call.account, call.region).domains.get(identifier)
    if domain is None:
        raise _not_found(f"Domain {identifier}")
    return domain


def _profile(call: Call) -> dict[str, Any]:
    profile = _domain(call).profiles.get(call.get("UserProfileName"))
    if profile is None:
        raise _not_found(f"User profile {call.get('UserProfileName')}")
    return profile


# Permissions


def _on_domain(call: Call) -> list[Need]:
    return [Need(call.action, call.arn(f"domain/{call.get('DomainId')}"))]


def _passed_roles(call: Call, *settings: str) -> list[Need]:
    roles = {(call.get(name) or {}).get("ExecutionRole") for name in settings} - {None}
    return [Need("iam:PassRole", arn, {"iam:passedtoservice": "sagemaker.amazonaws.com"}) for arn in sorted(roles)]


def _on_profile(call: Call) -> list[Need]:
    arn = call.arn(f"user-profile/{call.get('DomainId')}/{call.get('UserProfileName')}")
    return [Need(call.action, arn), *_passed_roles(call, "UserSettings")]


def _on_app(call: Call) -> list[Need]:
    owner = call.get("UserProfileName") or call.get("SpaceName")
    return [Need(call.action, _app_arn(call, owner))]


def _app_arn(call: Call, owner: str) -> str:
    return call.arn(f"app/{call.get('DomainId')}/{owner}/{call.get('AppType')}/{call.get('AppName')}")


# Domains


@operation(
    "sagemaker:CreateDomain",
    needs=lambda call: [Need(call.action, call.arn("domain/*")), *_passed_roles(call, "DefaultUserSettings")],
)
def create_domain(call: Call) -> dict[str, Any]:
    """A domain as the request describes it."""
    identifier = "d-" + secrets.token_hex(6)
    arn = call.arn(f"domain/{identifier}")
    kept = ("DomainName", "AuthMode", "DefaultUserSettings", "DefaultSpaceSettings", "DomainSettings", "SubnetIds", "VpcId")
    description = {name: call.get(name) for name in kept if call.get(name) is not None}
    description |= {
        "DomainId": identifier,
        "DomainArn": arn,
        "AppNetworkAccessType": call.get("AppNetworkAccessType", "PublicInternetOnly"),
        "CreationTime": _time(),
        "LastModifiedTime": _time(),
        "HomeEfsFileSystemId": "fs-" + secrets.token_hex(4),
        "Url": f"https://{identifier}.studio.{call.region}.sagemaker.aws",
    }
    studio(call.account, call.region).domains[identifier] = Domain(description)
    return {"DomainArn": arn, "DomainId": identifier, "Url": description["Url"]}


@operation("sagemaker:DescribeDomain", needs=_on_domain)
def describe_domain(call: Call) -> dict[str, Any]:
    """A domain."""
    return _domain(call).as_api()


@operation("sagemaker:UpdateDomain", needs=_on_domain)
def update_domain(call: Call) -> dict[str, Any]:
    """Changes settings; the identity of the execution role only while no app runs."""
    domain = _domain(call)
    change = call.get("DomainSettingsForUpdate") or {}
    live = [app for app in domain.apps if app["Status"] in _LIVE_APPS]
    if live and ("ExecutionRoleIdentityConfig" in change or call.get("AppNetworkAccessType")):
        names = ", ".join(f"{app['AppType']}/{app['AppName']}" for app in live)
        raise AwsError("ResourceInUse", f"The domain cannot be updated while apps are running: {names}")
    if domain.as_api()["Status"] == "Updating":
        raise AwsError("ResourceInUse", "The domain is being updated.")
    settings = dict(domain.description.get("DomainSettings", {}))
    settings |= {key: value for key, value in change.items() if key in ("ExecutionRoleIdentityConfig", "SecurityGroupIds")}
    domain.description |= {"DomainSettings": settings, "LastModifiedTime": _time()}
    for name in ("DefaultUserSettings", "DefaultSpaceSettings", "AppNetworkAccessType", "SubnetIds"):
        if call.get(name) is not None:
            domain.description[name] = call.get(name)
    domain.updated = now()
    return {"DomainArn": domain.description["DomainArn"]}


@operation("sagemaker:ListDomains")
def list_domains(call: Call) -> dict[str, Any]:
    """A page of the domains."""
    kept = ("DomainArn", "DomainId", "DomainName", "Status", "CreationTime", "LastModifiedTime", "Url")
    domains = [d.as_api() for d in studio(call.account, call.region).domains.values()]
    return _page(call, "Domains", [{key: d[key] for key in kept if key in d} for d in domains])


# User profiles


@operation("sagemaker:CreateUserProfile", needs=_on_profile)
def create_user_profile(call: Call) -> dict[str, Any]:
    """A profile of a domain."""
    domain, name = _domain(call), call.get("UserProfileName")
    if name in domain.profiles:
        raise AwsError("ResourceInUse", f"User profile {name} already exists.")
    arn = call.arn(f"user-profile/{call.get('DomainId')}/{name}")
    domain.profiles[name] = {
        "DomainId": call.get("DomainId"),
        "UserProfileArn": arn,
        "UserProfileName": name,
        "HomeEfsFileSystemUid": "200005",
        "Status": "InService",
        "CreationTime": _time(),
        "LastModifiedTime": _time(),
        "UserSettings": call.get("UserSettings") or {},
    }
    return {"UserProfileArn": arn}


@operation("sagemaker:DescribeUserProfile", needs=_on_profile)
def describe_user_profile(call: Call) -> dict[str, Any]:
    """A profile with its settings."""
    return _profile(call)


@operation("sagemaker:UpdateUserProfile", needs=_on_profile)
def update_user_profile(call: Call) -> dict[str, Any]:
    """Changes those settings of a profile that are given."""
    profile = _profile(call)
    profile["UserSettings"] = {**profile["UserSettings"], **(call.get("UserSettings") or {})}
    profile["LastModifiedTime"] = _time()
    return {"UserProfileArn": profile["UserProfileArn"]}


@operation("sagemaker:DeleteUserProfile", needs=_on_profile)
def delete_user_profile(call: Call) -> dict[str, Any]:
    """Removes a profile without apps."""
    domain, name = _domain(call), _profile(call)["UserProfileName"]
    if any(app.get("UserProfileName") == name and app["Status"] in _LIVE_APPS for app in domain.apps):
        raise AwsError("ResourceInUse", f"User profile {name} has apps.")
    del domain.profiles[name]
    return {}


@operation("sagemaker:ListUserProfiles")
def list_user_profiles(call: Call) -> dict[str, Any]:
    """A page of the profiles, without their settings."""
    domains = studio(call.account, call.region).domains.values()
    if identifier := call.get("DomainIdEquals"):
        domains = [_domain(call, identifier)]
    kept = ("DomainId", "UserProfileName", "Status", "CreationTime", "LastModifiedTime")
    profiles = [
        p for d in domains for p in d.profiles.values() if call.get("UserProfileNameContains", "") in p["UserProfileName"]
    ]
    return _page(call, "UserProfiles", [{key: p[key] for key in kept} for p in profiles])


# Apps


@operation("sagemaker:CreateApp", needs=_on_app)
def create_app(call: Call) -> dict[str, Any]:
    """An app of a profile or a space, running at once."""
    owner = "UserProfileName" if call.get("UserProfileName") else "SpaceName"
    if owner == "UserProfileName":
        _profile(call)
    app = {name: call.get(name) for name in ("DomainId", owner, "AppType", "AppName")}
    _domain(call).apps.append({**app, "Status": "InService", "CreationTime": _time()})
    return {"AppArn": _app_arn(call, call.get(owner))}


@operation("sagemaker:DeleteApp", needs=_on_app)
def delete_app(call: Call) -> dict[str, Any]:
    """Ends an app, which stays in listings as deleted."""
    wanted = {name: call.get(name) for name in ("UserProfileName", "SpaceName", "AppType", "AppName") if call.get(name)}
    for app in _domain(call).apps:
        if app["Status"] in _LIVE_APPS and wanted.items() <= app.items():
            app["Status"] = "Deleted"
            return {}
    raise _not_found(f"App {call.get('AppName')}")


@operation("sagemaker:ListApps")
def list_apps(call: Call) -> dict[str, Any]:
    """A page of apps, the deleted ones too."""
    domains = studio(call.account, call.region).domains
    wanted = call.get("DomainIdEquals")
    owner = call.get("UserProfileNameEquals")
    apps = [app for identifier, d in domains.items() if wanted in (None, identifier) for app in d.apps]
    return _page(call, "Apps", [app for app in apps if owner in (None, app.get("UserProfileName"))])


def _page(call: Call, key: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    start = int(call.get("NextToken") or 0)
    end = start + min(call.get("MaxResults", 10), state.settings.page_limit)
    answer: dict[str, Any] = {key: items[start:end]}
    if end < len(items):
        answer["NextToken"] = str(end)
    return answer
