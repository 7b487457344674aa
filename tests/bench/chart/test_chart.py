"""The chart: `$(tests/bench/venv.sh)/bin/python -m pytest tests/bench/chart`, with the program built."""

import json
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml

from ..accounts import account
from ..aws.client import CONSUMER, PLATFORM, PRODUCER, allow, document
from ..cluster import GROUP
from ..links import link
from ..release import CHART, Release, accounts_file
from ..servers import ROOT, eventually
from .values import ACCOUNTS, FULL, SERVICE_MONITORS, WRONG

CRD = f"crossaccountredshiftlinks.{GROUP}"
JOBS = f"unloadjobs.{GROUP}"
NAMESPACE = "redshift-link"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.fixture(scope="session")
def render(helm):
    """The objects of a release with these values, by kind."""

    def rendered(values=None, *options: str) -> dict[str, list[dict]]:
        text = helm("template", "redshift-link", CHART, "-n", "platform", *options, values=values or {}).stdout
        objects = {}
        for found in filter(None, yaml.safe_load_all(text)):
            objects.setdefault(found["kind"], []).append(found)
        return objects

    return rendered


def environment(deployment: dict) -> dict:
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def leaves(values: dict, prefix: str = "") -> dict:
    """The values that the README lists: those of the chart's own groups each for itself."""
    found = {}
    for name, value in values.items():
        whole = name in ("resources", "podSecurityContext", "securityContext")
        if isinstance(value, dict) and value and not whole:
            found |= leaves(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


class TestChart:
    """What can be seen without a cluster."""

    @pytest.mark.parametrize("values", [{}, FULL], ids=["defaults", "full"])
    def test_lint(self, helm, values):
        helm("lint", "--strict", CHART, values=values)

    def test_version_is_the_programs(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
        assert (chart["version"], chart["appVersion"]) == (version, version)

    def test_kubernetes_version(self, helm):
        for version, good in {"1.32.9": False, "1.33.0": True, "1.33.4-eks-0123456": True}.items():
            done = helm("template", CHART, "--kube-version", version, check=False)
            assert (done.returncode == 0) == good, done.stderr

    def test_definitions_are_those_that_the_program_prints(self, render, binary):
        printed = list(yaml.safe_load_all(subprocess.check_output([binary, "crds"])))
        for keep in (True, False):
            rendered = render({"crds": {"keep": keep}})["CustomResourceDefinition"]
            annotations = [definition["metadata"].pop("annotations", {}) for definition in rendered]
            assert annotations == [{"helm.sh/resource-policy": "keep"} if keep else {}] * len(printed)
            for definition in rendered:
                del definition["metadata"]["labels"]
            assert rendered == printed
        assert "CustomResourceDefinition" not in render({"crds": {"install": False}})

    def test_every_value_is_documented(self):
        values, _, _ = (CHART / "README.md").read_text().partition("\n## Metrics\n")
        rows = re.findall(r"^\| `(\S+)` \| (?:`(.*?)`)?", values, re.MULTILINE)
        defaults = leaves(DEFAULTS)
        assert [name for name, _ in rows] == list(defaults)
        for name, text in rows:
            value = defaults[name]
            assert text in ("", value or '""' if isinstance(value, str) else json.dumps(value)), name
        lines = (CHART / "values.yaml").read_text().splitlines()
        for name in defaults:
            key = name.rpartition(".")[2]
            above = [lines[n - 1].strip() for n, line in enumerate(lines) if re.match(rf" *{key}:", line)]
            assert above and all(line.startswith("#") for line in above), name

    @pytest.mark.parametrize(("message", "values"), WRONG, ids=[json.dumps(values)[:60] for _, values in WRONG])
    def test_wrong_values_are_refused(self, helm, message, values):
        done = helm("template", CHART, values=values, check=False)
        assert done.returncode and message in done.stderr, done.stderr

    def test_as_a_dependency(self, helm, tmp_path):
        parent = tmp_path / "parent"
        shutil.copytree(CHART, parent / "charts/redshift-link")
        needs = [{"name": "redshift-link", "version": "0.x", "condition": "redshift-link.enabled"}]
        chart = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": needs}
        (parent / "Chart.yaml").write_text(json.dumps(chart))
        values = {"global": {"a": 1}, "redshift-link": {"enabled": True}}
        assert "kind: Deployment" in helm("template", parent, values=values).stdout

    def test_settings_reach_the_program(self, render, binary):
        usage = subprocess.check_output([binary, "run", "--help"], text=True)
        known = dict(re.findall(r"\[env: (\w+)=.*?\](?:\s+\[default: (.*?)\])?", usage))
        own = {name: value for name, value in environment(render()["Deployment"][0]).items() if isinstance(value, str)}
        assert own.pop("REDSHIFT_LINK_LOG_FORMAT") == "json"
        assert f"Absent: {own.pop('REDSHIFT_LINK_LOG')};" in usage
        assert own == {name: known[name] for name in own}, "the chart's defaults are the program's"
        full = environment(render(FULL)["Deployment"][0])
        assert {name: full[f"REDSHIFT_LINK_{name}"] for name in ("INSTALLATION", "INTERVAL", "LOG")} == {
            "INSTALLATION": "analytics-prod",
            "INTERVAL": "90s",
            "LOG": "debug",
        }
        assert set(full) - set(known) == {"AWS_REGION", "AWS_ENDPOINT_URL", "NODE"}

    def test_selectors_are_of_no_values_but_names(self, render):
        plain, full = render(), render({**FULL, "nameOverride": "", "fullnameOverride": ""})
        for objects in (plain, full):
            selector = objects["Deployment"][0]["spec"]["selector"]["matchLabels"]
            assert selector == {
                "app.kubernetes.io/name": "redshift-link",
                "app.kubernetes.io/instance": "redshift-link",
            }
            labels = objects["Deployment"][0]["spec"]["template"]["metadata"]["labels"]
            assert selector.items() <= labels.items()
            assert objects["Service"][0]["spec"]["selector"] == selector
            assert objects["PodDisruptionBudget"][0]["spec"]["selector"]["matchLabels"] == selector
        assert full["ServiceMonitor"][0]["spec"]["selector"]["matchLabels"] == selector
        assert all(o["metadata"]["labels"]["team"] == "platform" for found in full.values() for o in found)

    def test_what_is_left_out(self, render):
        assert "PodDisruptionBudget" not in render({"replicas": 1})
        assert "ServiceMonitor" not in render()
        assert len(render()["ClusterRole"]) == 3 and len(render({"rbac": {"aggregate": False}})["ClusterRole"]) == 1
        assert "ServiceAccount" not in render({"serviceAccount": {"create": False, "name": "mine"}})
        # only where the installation's id is the UID of kube-system
        for values, verbs in (({}, {"get", "list", "watch"}), ({"installation": "x"}, {"list", "watch"})):
            rules = render({**values, "rbac": {"aggregate": False}})["ClusterRole"][0]["rules"]
            assert {v for rule in rules if "namespaces" in rule["resources"] for v in rule["verbs"]} == verbs

    def test_long_names_fit(self, render):
        for found in render({"fullnameOverride": "a" * 80}).values():
            assert all(len(o["metadata"]["name"]) <= 63 for o in found)

    def test_a_secret_of_ones_own(self, render):
        objects = render({"accountsSecret": {"name": "mine", "key": "all"}})
        assert "Secret" not in objects
        volume = objects["Deployment"][0]["spec"]["template"]["spec"]["volumes"][0]["secret"]
        assert volume == {"secretName": "mine", "items": [{"key": "all", "path": "accounts.yaml"}]}

    def test_the_program_reads_what_the_accounts_say(self, render, binary, tmp_path):
        """Also external ids that YAML would take for something else."""
        odd = ["0123", "1e3", "null", "yes", "0x1F", "1_000", "12:30:45", "2026-01-01", "=.", "@a", "-1", ".inf"]
        entries = [*ACCOUNTS, *(account(id=f"{n:012}", externalId=text) for n, text in enumerate(odd))]
        file = tmp_path / "accounts.yaml"
        file.write_text(accounts_file(render({"accounts": entries})["Secret"][0]))
        command = [binary, "iam", "--accounts", file, "--installation", "x", "--controller-role-arn"]
        printed = json.loads(subprocess.check_output([*command, f"arn:aws:iam::{PLATFORM}:role/c"]))["accounts"]
        asked = {id: policies["trustPolicy"]["Statement"][0]["Condition"] for id, policies in printed.items()}
        assert {id: condition["StringEquals"]["sts:ExternalId"] for id, condition in asked.items()} == {
            entry["id"]: entry["externalId"] for entry in entries
        }


def may(cluster, user: str, namespace: str) -> set[tuple[str, str, str, str]]:
    """What RBAC gives to a user in a namespace and in the whole cluster: group, resource, name and verb."""
    group = "authorization.k8s.io/v1"
    review = {"apiVersion": group, "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    answer = cluster.kubectl(
        "create", "--raw", f"/apis/{group}/selfsubjectrulesreviews", "-f", "-", f"--as={user}", manifest=review
    )
    rules = json.loads(answer.stdout)["status"]["resourceRules"]
    return {
        (group, resource, name, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


@pytest.fixture(scope="class")
def release(cluster):
    """What helm said, when all of it was ready."""
    cluster.namespace(NAMESPACE, **RESTRICTED)
    release = Release(cluster, NAMESPACE)
    yield release.install({"accounts": ACCOUNTS, "interval": "5s", "lostAnswerGrace": "2s"})
    release.uninstall()
    cluster.kubectl("delete", "crd", CRD, JOBS, "--timeout=20s")


class TestRelease:
    """An installed release."""

    def test_pods_are_let_in_where_pods_are_restricted(self, cluster, release):
        deployment = cluster.get("deployment", "redshift-link", "-n", NAMESPACE)
        assert deployment["status"]["availableReplicas"] == 2
        assert "arning" not in release.stdout + release.stderr
        other = ("run", "other", "--image=other", "--dry-run=server", "-n", NAMESPACE)
        refused = cluster.kubectl(*other, check=False).stderr
        assert "violates PodSecurity" in refused, "the namespace refuses others"
        budget = lambda: cluster.get("pdb", "redshift-link", "-n", NAMESPACE)["status"]
        eventually(lambda: budget()["disruptionsAllowed"] == 1, "the budget to see its pods")
        pods = cluster.get("pods", "-n", NAMESPACE)["items"]
        assert all(any("projected" in volume for volume in pod["spec"]["volumes"]) for pod in pods), "a token"
        account = cluster.get("serviceaccount", "redshift-link", "-n", NAMESPACE)
        assert account["automountServiceAccountToken"] is False, "only for these pods"

    def test_permissions_are_exactly_these(self, cluster, release):
        user, nobody = (f"system:serviceaccount:{NAMESPACE}:{name}" for name in ("redshift-link", "default"))
        everywhere = {
            (GROUP, "crossaccountredshiftlinks", "", "get"),
            (GROUP, "crossaccountredshiftlinks", "", "list"),
            (GROUP, "crossaccountredshiftlinks", "", "watch"),
            (GROUP, "crossaccountredshiftlinks", "", "patch"),
            (GROUP, "crossaccountredshiftlinks/status", "", "patch"),
            (GROUP, "unloadjobs", "", "list"),
            (GROUP, "unloadjobs", "", "watch"),
            (GROUP, "unloadjobs", "", "patch"),
            (GROUP, "unloadjobs", "", "delete"),
            (GROUP, "unloadjobs/status", "", "patch"),
            ("", "namespaces", "", "list"),
            ("", "namespaces", "", "watch"),
            ("", "namespaces", "kube-system", "get"),
            ("events.k8s.io", "events", "", "create"),
        }
        lease = {("coordination.k8s.io", "leases", "redshift-link", verb) for verb in ("get", "update")}
        lease.add(("coordination.k8s.io", "leases", "", "create"))
        for namespace, wanted in ((NAMESPACE, everywhere | lease), ("default", everywhere)):
            assert may(cluster, user, namespace) - may(cluster, nobody, namespace) == wanted

    def test_users_get_links_by_the_roles_that_they_have(self, cluster, release):
        def may_with_links(user: str) -> set:
            return {(resource, verb) for group, resource, _, verb in may(cluster, user, "team") if group == GROUP}

        cluster.namespace("team")
        read, write = {"get", "list", "watch"}, {"create", "update", "patch", "delete", "deletecollection"}
        for role, verbs in {"view": read, "edit": read | write, "admin": read | write}.items():
            cluster.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}", "-n", "team")
            wanted = {(kind, verb) for kind in ("crossaccountredshiftlinks", "unloadjobs") for verb in verbs}
            eventually(lambda: may_with_links(role) == wanted, f"{role} to be aggregated")  # noqa: B023

    def test_the_program_works_with_its_token_alone(self, cluster, release, aws, tmp_path):
        """As the pod would run: with its arguments, its environment, its accounts file and its token."""
        installed = Release(cluster, NAMESPACE)
        pod = installed.pod(tmp_path)
        world = aws.post("world")
        aws.post("settings", peering_provisioning_seconds=0)
        aws.admin(PRODUCER, "iam").create_policy(PolicyName="boundary", PolicyDocument=document(allow("*")))
        pod.identify(aws, world)
        cluster.namespace("ml", team="ml")

        log = tmp_path / "log"
        with pod.running(log):
            eventually(lambda: pod.probe("livenessProbe") and pod.probe("readinessProbe"), "the probes")
            eventually(pod.leads, "leadership")
            assert installed.lease_holder() == "pod"
            cluster.create(link(domain=world["pairs"][0]["consumer"]["domainId"]), "-n", "ml")
            cluster.kubectl("wait", "rslink/warehouse", "-n", "ml", "--for=condition=Ready", "--timeout=40s")
            eventually(lambda: cluster.get("events.events.k8s.io", "-n", "ml")["items"], "an event")
            cluster.kubectl("delete", "rslink/warehouse", "-n", "ml", "--timeout=40s")
        assert not installed.lease_holder(), "given back"
        assert all(json.loads(line) for line in log.read_text().splitlines()), "JSON lines"
        assert "forbidden" not in log.read_text().lower(), log.read_text()


def test_a_release_from_install_to_uninstall(cluster, tmp_path):
    """Definitions are upgraded and kept, new accounts restart nothing, and of the release nothing else is left."""
    namespace, name = "platform", ("redshift-link", CHART, "-n", "platform")
    cluster.namespace(namespace, **RESTRICTED)
    cluster.create(SERVICE_MONITORS)
    older = tmp_path / "chart"
    shutil.copytree(CHART, older)
    file = older / f"files/crds/{CRD}.yaml"
    definition = yaml.safe_load(file.read_text())
    del specification(definition)["suspend"]
    file.write_text(json.dumps(definition))

    cluster.helm("install", "redshift-link", older, "-n", namespace, "--wait")
    assert "suspend" not in specification(cluster.get("crd", CRD))
    cluster.create(link(), "-n", "default")

    values = {**FULL, "nameOverride": "", "fullnameOverride": "", "crds": {"keep": True}}
    done = cluster.helm("upgrade", *name, "--wait", values=values)
    assert "arning" not in done.stdout + done.stderr
    assert "suspend" in specification(cluster.get("crd", CRD))
    before = cluster.get("deployment", "redshift-link", "-n", namespace)
    assert before["status"]["availableReplicas"] == 3

    cluster.helm("upgrade", *name, values={**values, "accounts": ACCOUNTS[:1]})
    assert CONSUMER not in accounts_file(cluster.get("secret", "redshift-link-accounts", "-n", namespace), "file")
    after = cluster.get("deployment", "redshift-link", "-n", namespace)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]

    cluster.helm("uninstall", "redshift-link", "-n", namespace, "--wait")
    kinds = "all,secrets,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,pdb,servicemonitors,crds"
    left = cluster.get(kinds, "-A", "-l", "app.kubernetes.io/instance=redshift-link")["items"]
    assert [found["metadata"]["name"] for found in left] == [CRD, JOBS]
    assert cluster.get("rslink", "warehouse", "-n", "default"), "kept"

    cluster.helm("install", *name, values={"crds": {"keep": False}})
    cluster.helm("uninstall", "redshift-link", "-n", namespace, "--wait")
    assert not cluster.get("crd", CRD) and not cluster.get("crd", JOBS)


def specification(definition: dict) -> dict:
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema["properties"]["spec"]["properties"]
