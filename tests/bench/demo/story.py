"""The chapters."""

import json
import time

import yaml

from ..accounts import consumer, make_roles, producer
from ..aws.client import CONSUMER
from ..failure import Failure
from ..program import Pod
from ..release import NAME
from . import inventory, policies
from .conditions import Conditions
from .stage import SIDES, Stage, folder

# Above the five seconds for which the controller may use a listing again: each look is a new one.
INTERVAL = "6s"


def accounts(stage: Stage) -> None:
    """Who is who."""
    warehouse, studio, terminal = stage.pair["producer"], stage.pair["consumer"], stage.terminal
    terminal.line()
    terminal.say(
        "The API server is a real one. AWS is played by a program that keeps the accounts apart, checks every call against "
        "IAM policies, and refuses what AWS refuses."
    )
    terminal.line()
    terminal.rows(
        [
            ("producer", SIDES["producer"], f"Redshift cluster {warehouse['clusterIdentifier']}", _network(warehouse)),
            ("consumer", SIDES["consumer"], f"SageMaker Studio domain {studio['domainId']}", _network(studio)),
            ("platform", stage.world["platform"]["account"], "the role that the controller runs as", ""),
        ]
    )


def install(stage: Stage) -> Pod:
    """The release, with the accounts and who may use what in them."""
    terminal, namespace = stage.terminal, stage.manifest.namespace
    warehouse, studio = stage.pair["producer"]["clusterIdentifier"], stage.pair["consumer"]["domainId"]
    values = {
        "installation": "demo",
        "replicas": 0,
        "interval": INTERVAL,
        "lostAnswerGrace": "2s",
        "accounts": [
            producer(namespaces=[namespace], clusters=[warehouse], databaseGroups=stage.manifest.groups),
            consumer(namespaces=[namespace], domains=[studio], buckets=[f"{stage.pair['consumer']['bucket']}/"]),
        ],
    }
    text = yaml.safe_dump(values, sort_keys=False)
    (folder() / "values.yaml").write_text(text)
    terminal.say(
        "No image is published yet, so the release gets no pod: the controller runs beside the cluster, with the token of "
        f"its ServiceAccount, the platform's role at AWS, and nothing else. It looks at each link every {INTERVAL} instead of "
        f"every 10m, so that nobody has to wait here. The files that are shown are in {folder()}."
    )
    terminal.line()
    terminal.command("cat values.yaml")
    terminal.output(text)
    terminal.command(f"helm install {NAME} charts/{NAME} -n {NAME} --create-namespace --values values.yaml")
    terminal.output(stage.release.install(values, "--create-namespace").stdout.partition("\nTEST SUITE")[0])
    terminal.command(f"kubectl create token {NAME} -n {NAME}")
    pod = stage.release.pod(folder(), "--duration=24h")
    terminal.output("(given to the controller)")
    pod.env["REDSHIFT_LINK_LOG_FORMAT"] = "text"
    return pod


def roles(stage: Stage, pod: Pod) -> None:
    """The controller's role in each account, with what the program prints and no more."""
    terminal, controller = stage.terminal, stage.world["platform"]["roleArn"]
    printed = pod.policies(stage.world)
    (folder() / "policies.json").write_text(json.dumps(printed, indent=2))
    terminal.line()
    terminal.say(
        "Each account lets the controller in by a role. The program prints the policies of these roles; in short:"
    )
    terminal.line()
    terminal.command(f"redshift-link iam --controller-role-arn {controller} >policies.json")
    for account, found in printed["accounts"].items():
        terminal.output("\n".join([f"{account}:", *policies.lines(found)]))
    make_roles(stage.aws, stage.world, printed)
    pod.enter(stage.aws, stage.world)
    terminal.line()
    terminal.say("Both roles are made, with exactly the policies in policies.json.")
    terminal.line()


def count(stage: Stage, before: list[dict], after: list[dict] | None = None) -> None:
    """How many things there are in each account, now or before and after."""
    columns = [(before[n], after[n]) if after else (before[n],) for n in range(len(SIDES))]
    rows = [("", *(f"{side} {account}" for side, account in SIDES.items()))]
    for number, kind in enumerate(inventory.KINDS):
        rows.append(
            (kind, *(" -> ".join(str(inventory.counts(look)[number]) for look in column) for column in columns))
        )
    stage.terminal.rows(rows)


def plan(stage: Stage, pod: Pod) -> None:
    """What would be done, before anything is."""
    terminal, manifest = stage.terminal, folder() / "studio.yaml"
    terminal.command("cat studio.yaml")
    terminal.output(stage.manifest.text)
    terminal.line()
    stage.kubectl(f"create namespace {stage.manifest.namespace}")
    terminal.line()
    terminal.say(
        "The plan is made by the same code as in the cluster. Left out here: the documents of roles and policies."
    )
    terminal.line()
    terminal.command("redshift-link plan -f studio.yaml >plan.txt; grep -v '^    ' plan.txt")
    planned = pod.run("plan", "-f", str(manifest), good=(2,), KUBECONFIG=stage.cluster.kubeconfig).stdout
    (folder() / "plan.txt").write_text(planned)
    terminal.output("\n".join(line for line in planned.splitlines() if not line.startswith("    ")))


def apply(stage: Stage, conditions: Conditions) -> None:
    """The link becomes Ready."""
    stage.kubectl("apply -f studio.yaml")
    stage.terminal.line()
    conditions.begin()
    conditions.follow("Ready", "True")
    stage.terminal.line()
    stage.kubectl(f"get rslink -n {stage.manifest.namespace}")


def look(stage: Stage, before: list[dict], now: list[dict]) -> None:
    """What was made, and where."""
    for side, old, new in zip(SIDES.items(), before, now, strict=True):
        stage.terminal.line(f"{side[0]} {side[1]}")
        for kind, words in inventory.added(old, new):
            stage.terminal.output(f"{kind:<20} {words}")
    link = stage.cluster.get("rslink", stage.manifest.name, "-n", stage.manifest.namespace)
    if used := link["status"].get("used"):
        stage.terminal.line("made by others, found to do the job, used and never touched")
        stage.terminal.output("\n".join(used))


def repair(stage: Stage, conditions: Conditions, whole: list[dict]) -> None:
    """A route goes, and comes back."""
    terminal, link = stage.terminal, stage.manifest
    table, cidr = stage.pair["consumer"]["routeTables"]["own"], stage.pair["producer"]["cidr"]
    terminal.say(f"An administrator of {CONSUMER} takes the way to the warehouse from one of Studio's subnets:")
    terminal.line()
    terminal.command(f"aws ec2 delete-route --route-table-id {table} --destination-cidr-block {cidr}")
    stage.aws.admin(CONSUMER, "ec2").delete_route(RouteTableId=table, DestinationCidrBlock=cidr)
    terminal.line()
    conditions.begin()
    found = conditions.follow("RoutesReady", "Unknown")
    repaired = conditions.follow("Ready", "True")
    if stage.inventories() != whole:
        raise Failure("the link says Ready, but the accounts are not as they were before the route was deleted")
    terminal.line()
    terminal.good(f"Found after {found:.1f} s, repaired after {repaired:.1f} s: both accounts are as they were.")
    terminal.line()
    arguments = f"events -n {link.namespace} --for rslink/{link.name}"
    terminal.command(f"kubectl {arguments} | grep RoutesReady")
    told = [line for line in stage.cluster.kubectl(*arguments.split()).stdout.splitlines() if "RoutesReady" in line]
    if not any(table in line for line in told):
        raise Failure(f"no event tells of the route in {table}")
    terminal.output("\n".join(told))
    terminal.line()
    stage.kubectl(f"get rslink {link.name} -n {link.namespace} -o jsonpath={{.status.undone}}")


def delete(stage: Stage, before: list[dict]) -> None:
    """Nothing is left."""
    terminal, began = stage.terminal, time.monotonic()
    stage.kubectl("delete -f studio.yaml")
    took = time.monotonic() - began
    after = stage.inventories()
    terminal.line()
    count(stage, before, after)
    terminal.line()
    sides = zip(SIDES, before, after, strict=True)
    lines = [f"{side}, {line}" for side, old, new in sides for line in inventory.difference(old, new)]
    for line in lines:
        terminal.bad(line)
    if lines:
        raise Failure("the accounts are not as they were before the link")
    terminal.good(f"Nothing is left, {took:.1f} s after the command: no difference in either account.")


def _network(side: dict) -> str:
    return f"{side['vpcId']}, {side['cidr']}"
