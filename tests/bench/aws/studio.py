"""What SageMaker does behind the API: sessions for notebooks, and apps that come and go."""

from . import sts
from .errors import AwsError
from .iam.principals import find_role
from .sagemaker import Domain
from .sessions import Principal
from .state import state

_SERVICE = "sagemaker.amazonaws.com"


def _domain(account: str, identifier: str) -> Domain:
    for (owner, _), studio in state.studios.items():
        if owner == account and identifier in studio.domains:
            return studio.domains[identifier]
    raise AwsError("ResourceNotFound", f"Domain {identifier} does not exist.")


def session(account: str, domain_id: str, profile: str) -> Principal:
    """The session of a notebook: of the profile's execution role, with the profile's name if the domain says so."""
    domain = _domain(account, domain_id)
    if profile not in domain.profiles:
        raise AwsError("ResourceNotFound", f"User profile {profile} does not exist.")
    settings = {**domain.description["DefaultUserSettings"], **domain.profiles[profile]["UserSettings"]}
    role = find_role(settings["ExecutionRole"])
    carried = domain.description.get("DomainSettings", {}).get("ExecutionRoleIdentityConfig") == "USER_PROFILE_NAME"
    for action in ("sts:AssumeRole", "sts:SetSourceIdentity") if carried else ("sts:AssumeRole",):
        if role is None or not sts.trusted_service(role, _SERVICE, action):
            raise AwsError(
                "AccessDenied", f"{_SERVICE} is not authorized to perform: {action} on {settings['ExecutionRole']}", 403
            )
    return state.sessions.add(
        Principal(
            account=account,
            role=role,
            partition=role.partition,
            session_name="SageMaker",
            source_identity=profile if carried else None,
        )
    )


def set_app_status(account: str, domain_id: str, name: str, status: str) -> None:
    """Puts an app into a state, as its user or SageMaker might."""
    for app in _domain(account, domain_id).apps:
        if app["AppName"] == name:
            app["Status"] = status
            return
    raise AwsError("ResourceNotFound", f"App {name} does not exist.")
