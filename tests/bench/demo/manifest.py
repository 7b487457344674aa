"""The manifest that is applied: the example, for the Studio domain that the local AWS made."""

import re
from dataclasses import dataclass

import yaml

from ..failure import Failure
from ..servers import ROOT

EXAMPLE = ROOT / "examples/studio.yaml"


@dataclass(frozen=True)
class Manifest:
    """A manifest of one link."""

    text: str
    name: str
    namespace: str
    groups: list[str]

    @classmethod
    def of_example(cls, domain: str) -> "Manifest":
        """The example with this domain in it: the id of a domain is AWS's to choose."""
        text, found = re.subn(r"(?m)^(\s*domainId:\s*)[^\s#]+", rf"\g<1>{domain}", EXAMPLE.read_text())
        links = [entry for entry in yaml.safe_load_all(text) if entry and entry["kind"] == "CrossAccountRedshiftLink"]
        if found != 1 or len(links) != 1:
            raise Failure(f"{EXAMPLE} has {len(links)} links and {found} domains: the demo needs one of each")
        meta, access = links[0]["metadata"], links[0]["spec"].get("access", {})
        return cls(text, meta["name"], meta.get("namespace", "default"), access.get("databaseGroups", []))
