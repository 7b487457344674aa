"""Where the programs are: the user's own first, in the order of controller-runtime's envtest, then ours."""

import os
from pathlib import Path


def cache() -> Path:
    """The folder, outside the checkout, that holds what is built or left running."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("REDSHIFT_LINK_CACHE") or Path(base) / "redshift-link").absolute()


def cache_dir() -> Path:
    """The part of it that is the control plane's."""
    return cache() / "controlplane"


def bin_dir() -> Path:
    """The folder that `build` fills."""
    return cache_dir() / "bin"


def provided(name: str) -> Path | None:
    """The program that the user provides, by TEST_ASSET_<NAME> or in KUBEBUILDER_ASSETS."""
    if path := os.environ.get("TEST_ASSET_" + name.upper().replace("-", "_")):
        return Path(path).absolute()
    if folder := os.environ.get("KUBEBUILDER_ASSETS"):
        path = Path(folder).absolute() / name
        if os.access(path, os.X_OK):
            return path
    return None


def find(name: str) -> Path:
    """The program to run. The PATH is not searched: what lies there may be versions away."""
    return provided(name) or bin_dir() / name
