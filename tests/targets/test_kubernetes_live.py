"""Laws of a diff with a cluster: one that holds what was built differs in nothing, and one change shows once, at its place."""

from __future__ import annotations

import copy
import functools
import json
import os
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aigw_compile.live import kubectl, kubernetes
from aigw_compile.live.told import Drift
from aigw_compile.target import facts
from tests import support
from tests.support import TargetChoice
from tests.targets import kubectl as stand_in
from tests.targets.by_hand import Path_, another, at, leaves
from tests.targets.kubernetes_specs import SPECS
from tests.targets.test_kong_sides import run
from tests.targets.test_kubernetes import FOLDERS, PROFILES, checked, cluster, outputs

CASES = [
    pytest.param(name, profile, id=f"{name}-{profile}") for name in SPECS if name != "wide" for profile in PROFILES
]


class Case:
    """A spec, compiled, and a cluster that holds it."""

    def __init__(self, name: str, profile: str) -> None:
        built = outputs(name, profile)[0]
        self.name, self.target = checked(name).name, facts("kubernetes", profile)
        self.known = [*self.target.settings["objects"][profile].values()]
        self.spec = kubernetes.documents(self.name, {"manifests.yaml": built})
        self.manifests: Any = built
        self.asked: list[Sequence[str]] = []

    def objects(self, seed: int = 0) -> list[Any]:
        return stand_in.stored(self.manifests, seed, cluster=defaults(self.target.profile))

    def drift(self, objects: Sequence[Any], back: bool = False) -> Drift:
        def ask(arguments: Sequence[str]) -> bytes:
            self.asked.append(arguments)
            return stand_in.answer(arguments, objects, self.known)

        cluster = kubernetes.Cluster("kubernetes:c", ask)
        sides = (self.spec, cluster) if back else (cluster, self.spec)
        return kubernetes.compare(*sides, self.name, self.target)


@functools.cache
def defaults(profile: str) -> Any:
    """The CRDs, which fill defaults in, where they are here."""
    return cluster(profile) if (support.shared() or Path("/nowhere")).joinpath("upstream/crds").is_dir() else None


def said(drift: Drift) -> list[str]:
    return [change.sentence for change in drift.diff.changes]


# --- laws


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_a_cluster_that_holds_what_was_built(name: str, profile: str) -> None:
    """With defaults of the CRDs, and with all that a server, kubectl and other tools write into objects; strangers beside."""
    case = Case(name, profile)
    objects = case.objects(1)
    for one in [*objects][:5]:
        stranger = copy.deepcopy(one)
        stranger["metadata"]["name"] += "-other"
        stranger["metadata"]["labels"]["app.kubernetes.io/part-of"] = "another"
        objects.append(stranger)
    for back in (False, True):
        drift = case.drift(objects, back)
        assert said(drift) == []
        assert drift.diff.compared == len(case.spec.parts) == len(case.manifests)
    assert "of others do not count: app.kubernetes.io/instance, argocd.argoproj.io/tracking-id" in drift.diff.notes[0]
    assert {arguments[0] for arguments in case.asked} == {"get"}
    assert all(a != "secrets" or "konghq.com/credential=acl" in args[2] for args in case.asked for a in args[1:2])


@pytest.mark.parametrize("profile", PROFILES)
def test_the_kinds_are_those_that_are_written(profile: str) -> None:
    """As the CRDs name them; with no kind that nothing writes."""
    settings = facts("kubernetes", profile).settings
    written = {o["kind"]: stand_in.resource(o) for name in SPECS for o in outputs(name, profile)[0]}
    assert settings["objects"][profile] == written


CRD = re.compile(r"\n  group: (?P<group>\S+)\n(.*\n)*?    kind: (?P<kind>\S+)\n(.*\n)*?    plural: (?P<plural>\S+)\n")


@pytest.mark.parametrize("profile", PROFILES)
def test_kinds_are_named_as_their_crds_name_them(profile: str) -> None:
    shared = support.shared()
    if not shared:
        pytest.skip("needs the shared folder")
    plurals = {}
    for folder in FOLDERS[profile]:
        for path in sorted((shared / "upstream/crds" / folder).glob("*.yaml")):
            if found := CRD.search(path.read_text("utf-8")):
                plurals[found["group"], found["kind"]] = found["plural"]
    for kind, resource in facts("kubernetes", profile).settings["objects"][profile].items():
        if "." in resource:
            plural, _, group = resource.split(".", 2)
            assert plurals[group, kind] == plural


# --- one change shows once


NAMES = {"name", "kind", "apiVersion", "modelNameOverride", "description"}
OURS = ("labels", "annotations")


def told_of(one: Any, ours: Any) -> list[Path_]:
    """Every field but those that tell an object, or an item of a list, from others, and what counts for others alone."""
    return [
        path
        for path in leaves(one)
        if path[-1] not in NAMES
        and path[0] not in ("status", "apiVersion", "kind")
        and (path[0] != "metadata" or (path[1] in OURS and path[2] in ours["metadata"].get(path[1], {})))
        and not (path[0] == "spec" and path[1] in kubernetes.ASSIGNED.get(one["kind"], ()))
    ]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", ["bank", "saas"])
def test_each_field_that_changes_shows_once_at_its_place(name: str, profile: str) -> None:
    """In each round one field of every object."""
    case = Case(name, profile)
    objects = case.objects(5)
    chosen = random.Random(5)
    known = {kubernetes._ident(o, True): o for o in case.manifests} | {
        kubernetes._ident(o, False): o for o in case.manifests
    }
    spaces = any("namespace" in o["metadata"] for o in case.manifests)
    left = [(o, told_of(o, known[kubernetes._ident(o, spaces)])) for o in objects]
    for _, paths in left:
        chosen.shuffle(paths)
        del paths[25:]
    while left := [(one, paths) for one, paths in left if paths]:
        undo = [(one, path, at(one, path)) for one, paths in left for path in [paths.pop()]]
        for one, path, before in undo:
            at(one, path[:-1])[path[-1]] = another(before)
        changes = case.drift(objects).diff.changes
        assert len(changes) == len(undo), ([c.sentence for c in changes], [u[1] for u in undo])
        assert {c.classes for c in changes} == {("unclassified",)}
        assert {c.op for c in changes} == {"changed"}
        for one, path, before in undo:
            at(one, path[:-1])[path[-1]] = before
    assert said(case.drift(objects)) == []


def test_what_is_more_or_less_shows_once() -> None:
    case = Case("bank", "kong-operator")
    objects = case.objects(2)
    route = next(o for o in objects if o["kind"] == "HTTPRoute")
    more = copy.deepcopy(route)
    more["metadata"]["name"] = "by-hand"
    objects.append(more)
    objects.remove(route)
    group = next(o for o in objects if o["kind"] == "Secret")
    objects.remove(group)
    sentences = said(case.drift(objects))
    assert sorted(s.rpartition(": ")[2] for s in sentences) == ["added", "added", "removed"]
    assert "manifests.yaml: [gateway.networking.k8s.io/HTTPRoute/ai/by-hand]: removed" in sentences


def test_what_acts_counts_whoever_wrote_it() -> None:
    """A plugin that is hung on a route by hand; and an object that somebody took the labels of."""
    case = Case("saas", "kong-operator")
    objects = case.objects(2)
    route = next(o for o in objects if o["kind"] == "HTTPRoute")
    route["metadata"]["annotations"]["konghq.com/tags"] = "by-hand"
    route["metadata"]["labels"] = {"team": "x"}
    assert [s.partition("].metadata.")[2] for s in said(case.drift(objects))] == [
        "annotations.konghq.com/tags: removed by-hand",
        "labels.app.kubernetes.io/managed-by: added aigw-compile",
        "labels.app.kubernetes.io/part-of: added saas",
    ]


# --- secrets


def test_no_secret_is_shown() -> None:
    case = Case("bank", "kong-operator")
    objects = case.objects(2)
    for one in objects:
        if one["kind"] == "Secret":
            one["data"]["group"] = "enE3LWNhbmFyeQ=="
        if one["kind"] == "KongPlugin":
            one["config"]["by_hand"] = "zq7-canary"
            one["config"]["redis"] = {"password": "zq7-canary"}
        if one["kind"] == "GatewayConfiguration":
            container = one["spec"]["dataPlaneOptions"]["deployment"]["podTemplateSpec"]["spec"]["containers"][0]
            container["env"][0] = {"name": "KONG_ADMIN_TOKEN", "value": "zq7-canary"}
        if one["kind"] == "KongVault":
            one["spec"]["config"] = {"token": "zq7-canary", "host": "u:zq7-canary@h"}
    drift = case.drift(objects)
    assert len(drift.diff.changes) > 10
    assert "zq7" not in " ".join(said(drift))
    assert "enE3" not in " ".join(said(drift))


# --- kubectl itself

SPEC = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: desk}
spec:
  listeners: [{name: public, port: 8080}]
  providers: [{name: openai, type: openai, auth: {apiKey: {env: OPENAI_KEY}}}]
  models: [{name: chat, targets: [{provider: openai, model: gpt-4o}], timeouts: {request: 30s}}]
  auth: {apiKey: {headers: [x-api-key]}}
  consumers: [{name: bot, credentials: [{apiKey: {env: BOT_KEY}}]}]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, the current folder, in which kubectl is the stand-in and knows a cluster that holds what the spec says."""
    (tmp_path / "gateway.yaml").write_text(SPEC)
    (tmp_path / "aigw-compile.yaml").write_text("targets: {kubernetes: {}}\n")
    (tmp_path / "bin").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def manifests() -> list[Any]:
    from aigw_compile import compiler

    built = support.build_all_accepted(compiler.check_text(SPEC), TargetChoice("kubernetes", "", {}))
    (found,) = (d.body for d in built.documents if d.filename == "manifests.yaml")
    return stand_in.stored(found)  # type: ignore[arg-type]


KNOWN = [*facts("kubernetes").settings["objects"]["envoy-ai-gateway"].values()]


def test_a_cluster_by_kubectl(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objects = manifests()
    stand_in.script(project / "bin", objects, KNOWN)
    side = "kubernetes:kind-aigw"
    code, out, err = run(capsys, "diff", side, "gateway.yaml", "--exit-code")
    assert (code, err) == (0, ""), (out, err)
    assert out.startswith(f"desk: {len(objects)} entities, 0 differences\n")
    asked = [json.loads(line) for line in (project / "bin/asked").read_text().splitlines()]
    assert {(a[0], a[1], a[2], a[-1]) for a in asked} == {
        ("--context=kind-aigw", "--request-timeout=20s", "get", "--output=json")
    }
    policy = next(o for o in objects if o["kind"] == "BackendTrafficPolicy")
    policy["spec"]["retry"]["numRetries"] += 5
    stand_in.script(project / "bin", objects, KNOWN)
    code, out, _ = run(capsys, "diff", side, "--exit-code")
    assert (code, "spec.retry.numRetries: 5 -> 0" in out) == (2, True), out
    assert "because of gateway.yaml:7:" in out
    code, out, _ = run(capsys, "diff", "gateway.yaml", side)
    assert "spec.retry.numRetries: 0 -> 5" in out


FORBIDDEN = (
    'Error from server (Forbidden): gateways is forbidden: User "u" cannot list resource "gateways" in API group "x"'
)
WRONG: list[tuple[str, dict[str, str], str, str]] = [
    ("no such context", {"context": "another"}, "AIG7115", "kubectl has no such context"),
    ("forbidden", {"fails": FORBIDDEN}, "AIG7111", 'may not list "gateways"'),
    ("a login", {"fails": "error: You must be logged in to the server (Unauthorized)"}, "AIG7111", "wants a login"),
    ("nobody there", {"fails": "I0101 1\nThe connection to the server was refused"}, "AIG7110", "was refused"),
    ("without a word", {"fails": ""}, "AIG7110", "without a word"),
    ("a secret", {"fails": "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD is no good"}, "AIG7110", "is no good"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "code", "words"), [pytest.param(*row[1:], id=row[0]) for row in WRONG])
def test_what_kubectl_complains_of(
    more: dict[str, str], code: str, words: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.script(project / "bin", [], KNOWN, **more)
    ended, out, err = run(capsys, "diff", "kubernetes:kind-aigw")
    assert (ended, out) == (3, "")
    assert code in err, err
    assert words in err
    assert "abcdefghijkl" not in err


def test_a_cluster_without_the_controller(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in.script(project / "bin", [], KNOWN[:4])
    ended, _, err = run(capsys, "diff", "kubernetes:kind-aigw")
    assert (ended, "AIG7112" in err, 'does not know "backendtrafficpolicies"' in err) == (3, True, True), err


@pytest.mark.parametrize("text", ["[]", "{", "7", '{"items": [{"kind": "Gateway"}]}', '{"items": 7}', "[" * 100_000])
def test_no_list_of_objects(text: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = project / "bin/kubectl"
    (project / "bin/text").write_text(text)
    program.write_text(f"#!/bin/sh\ncat {project / 'bin/text'}\n")
    program.chmod(0o755)
    ended, _, err = run(capsys, "diff", "kubernetes:kind-aigw")
    assert (ended, "AIG7112" in err) == (3, True), err


@pytest.mark.parametrize(
    ("context", "code"),
    [("", "AIG7115"), ("-o", "AIG7115"), ("--kubeconfig=x", "AIG7115"), ("a b", "AIG7115"), ("a\nb", "AIG7115"), ("a;b", "AIG7115"),
     ("$(a)", "AIG7115"), ("a" * 300, "AIG7115"), ("arn:aws:eks:eu-west-1:123:cluster/x", ""), ("admin@kind", "")],
)  # fmt: skip
def test_names_of_contexts(context: str, code: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in.script(project / "bin", manifests(), KNOWN, context=context)
    ended, _, err = run(capsys, "diff", f"kubernetes:{context}")
    assert (ended, code in err) == ((3, True) if code else (0, True)), err
    assert code == "" or not (project / "bin/asked").exists()


def test_there_is_no_kubectl(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(project))
    ended, _, err = run(capsys, "diff", "kubernetes:kind-aigw")
    assert (ended, "AIG7116" in err, "kubectl is not there" in err) == (3, True, True)
    (project / "kubectl").write_text("#!/nowhere/at/all\n")
    (project / "kubectl").chmod(0o755)
    ended, _, err = run(capsys, "diff", "kubernetes:kind-aigw")
    assert (ended, "AIG7116" in err) == (3, True)


@pytest.mark.parametrize(
    ("bound", "value", "words"), [("SECONDS", 0.3, "takes more than"), ("LARGEST", 10, "gives more than")]
)
def test_bounds(
    bound: str,
    value: Any,
    words: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also where what kubectl started goes on."""
    monkeypatch.setattr(kubectl, bound, value)
    program = project / "bin/kubectl"
    program.write_text("#!/bin/sh\necho 0123456789012345; sleep 60\n")
    program.chmod(0o755)
    ended, _, err = run(capsys, "diff", "kubernetes:kind-aigw")
    assert (ended, "AIG7113" in err, words in err) == (3, True, True), err


def test_two_clusters_need_a_spec(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in.script(project / "bin", [], KNOWN)
    ended, out, err = run(capsys, "diff", "kubernetes:a", "kubernetes:b")
    assert (ended, out, "a spec" in err) == (3, "", True), (out, err)
