"""How a Kong and a file of Kong's are read as a side of a diff, and what is said: pages, errors, secrets, tags, versions, formats."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile import __main__ as main
from aigw_compile import explain, live, secretfiles
from aigw_compile.live import http as asking
from aigw_compile.live import kong as kong_
from aigw_compile.live.kong.raw import KINDS
from aigw_compile.target import facts
from tests import support
from tests.proxy.certificates import Authority
from tests.targets import kong_admin
from tests.targets.kong_admin import Admin, Rows, serving

SPEC = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: desk}
spec:
  listeners: [{name: public, port: 8443, tls: {certificate: {env: CERT}, key: {env: CERT_KEY}}, hostnames: [ai.example.com]}]
  vaults: [{name: env, type: env, env: {prefix: AIGW_}}]
  providers: [{name: openai, type: openai, auth: {apiKey: {vault: env, key: openai-key}}}]
  models: [{name: chat, targets: [{provider: openai, model: gpt-4o}]}]
  auth: {apiKey: {headers: [authorization]}}
  consumers:
    - {name: bot, credentials: [{apiKey: {env: BOT_KEY}}]}
    - {name: person, credentials: [{apiKey: {env: PERSON_KEY}}]}
  policies: {limits: [{name: rpm, by: [consumer], per: minute, requests: 60}]}
"""
PROJECT = "targets:\n  kong:\n    profile: oss-3.9\n    accept: [{code: AIG6000, at: spec, reason: a test}]\n"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command in this process; return exit code, standard output, standard error."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["aigw-compile", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
    told = capsys.readouterr()
    assert "Traceback" not in told.err, told.err
    return int(ended.value.code or 0), told.out, told.err


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A project whose spec is built, and the current folder."""
    (tmp_path / "gateway.yaml").write_text(SPEC)
    (tmp_path / "aigw-compile.yaml").write_text("targets: {kong: {profile: oss-3.9}}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    for name in ("KONG_ADMIN_TOKEN", "KONG_ADMIN_CA"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = run(capsys, "build")
    assert code == 0, err
    return tmp_path


@pytest.fixture
def rows(project: Path) -> Rows:
    """A Kong that holds what the spec says."""
    body = yaml.safe_load((project / "build/desk/kong/kong.yml").read_text())
    for consumer in body["consumers"]:
        consumer["keyauth_credentials"] = [{"key": f"Bearer key-of-{consumer['username']}", "tags": consumer["tags"]}]
    return kong_admin.rows_of(body, {})


def one(rows: Rows, kind: str, **fields: Any) -> dict[str, Any]:
    return next(r for r in rows[kind] if fields.items() <= r.items())


# --- what is said


def test_nothing_differs(rows: Rows, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Admin(rows, 2)) as url:
        code, out, err = run(capsys, "diff", url, "gateway.yaml", "--exit-code", "--fail-on", "breaking")
    assert code == 0
    assert set(re.findall("AIG[0-9]+", err)) <= {"AIG7104"}
    assert out.splitlines()[0] == f"desk: {sum(map(len, rows.values()))} entities, 0 differences"
    assert "2 keys and passwords of consumers, which a kong.yml does not hold, were compared by number alone" in out


def test_what_differs_is_told_with_its_cause(rows: Rows, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one(rows, "plugins", name="rate-limiting")["config"]["minute"] = 100
    with serving(Admin(rows)) as url:
        code, out, _ = run(capsys, "diff", url, "gateway.yaml")
        assert code == 0
        assert "config.minute: 100 -> 60\n      because of gateway.yaml:13:" in out
        assert run(capsys, "diff", url)[1] == out
        assert (
            "config.minute: 60 -> 100\n      because of gateway.yaml:13:" in run(capsys, "diff", "gateway.yaml", url)[1]
        )
        assert run(capsys, "diff", url, "build")[1].startswith("desk: ")
        assert run(capsys, "diff", url, "--exit-code")[0] == 2
        assert run(capsys, "diff", url, "--exit-code", "--fail-on", "cost")[0] == 1
        assert run(capsys, "diff", url, "--fail-on", "cosmetic")[0] == 1
        _, text, _ = run(capsys, "diff", url, "--format", "json")
        _, page, _ = run(capsys, "diff", url, "--format", "markdown")
    found = json.loads(text)
    jsonschema.validate(found, json.loads((support.ROOT / "schemas/diff.schema.json").read_text()))
    (found,) = found["gateways"]
    assert found["compared"] == sum(map(len, rows.values()))
    assert [(c["before"], c["after"], c["classes"]) for c in found["changes"]] == [("100", "60", ["unclassified"])]
    assert found["changes"][0]["cause"].startswith("gateway.yaml:13:")
    assert "- **unclassified**: kong.yml: " in page
    assert "`gateway.yaml:13:" in page


def test_a_credential_that_is_written_in_later_is_a_secret_on_both_sides(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Delegated to the proxy: what Kong shows it stands in a header of a plugin, and in no kong.yml."""
    (project / "gateway.yaml").write_text(SPEC.replace("hostnames: [ai.example.com]", "hostnames: [b.example.com]"))
    (project / "aigw-compile.yaml").write_text(
        "targets: {kong: {delegate: proxy, delegateUrl: 'http://127.0.0.1:8787'}}"
    )
    assert run(capsys, "build")[0] == 0
    folder = project / "build/desk/kong"
    secretfiles.write(folder, secretfiles.placeholders(secretfiles.read(folder)))
    rows = kong_admin.rows_of(yaml.safe_load((folder / "kong.rendered.yml").read_text()), {})
    assert "proxy-authorization:Bearer" in str(rows)
    with serving(Admin(rows)) as url:
        for sides in (
            (url,),
            (url, "build"),
            (url, "build/desk/kong/kong.yml"),
            ("build/desk/kong/kong.rendered.yml", url),
        ):
            assert "entities, 0 differences" in run(capsys, "diff", *sides)[1]
        one(rows, "plugins", instance_name="desk-chat-hand")["config"]["add"]["headers"].append("x-api-key:zq7-canary")
        _, out, _ = run(capsys, "diff", url)
    assert "1 difference\n" in out
    assert "canary" not in out


def test_a_difference_may_be_approved(rows: Rows, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one(rows, "plugins", name="rate-limiting")["config"]["minute"] = 100
    with serving(Admin(rows)) as url:
        _, _, err = run(capsys, "diff", url, "--fail-on", "breaking")
        found = re.search(r"aigw-compile approve ([0-9a-f]{12})", err)
        assert found, err
        approve = ("approve", found[1], "--until", "2999-01-01", "--reason", "an experiment", "--against", url)
        assert run(capsys, *approve)[0] == 0
        assert run(capsys, "diff", url, "--fail-on", "breaking")[0] == 0
        assert run(capsys, "diff", url, "--exit-code")[0] == 2


def test_a_dump_against_a_running_kong(rows: Rows, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No spec on either side: gateways go by their tags, and keys are compared by what they hold."""
    (project / "dump.yaml").write_text(yaml.safe_dump(kong_admin.dumped(rows)))
    for row in rows["plugins"]:
        row["updated_at"] = 7
    other = {"id": "other", "name": "other", "host": "h", "tags": ["managed-by-aigw-compile", "aigw-gateway:other"]}
    rows["services"].append(other)
    with serving(Admin(rows)) as url:
        _, out, _ = run(capsys, "diff", "dump.yaml", url)
        assert "desk: 16 entities, 0 differences" in out
        assert "of other gateways" not in out
        assert "other: 1 entity, 1 difference\n  [unclassified]  kong.yml: services[other]: added" in out
        one(rows, "keyauth_credentials", key="Bearer key-of-bot")["key"] = "Bearer another"
        _, out, _ = run(capsys, "diff", "dump.yaml", url)
    assert "consumers[bot].keyauth_credentials[1].key: another (secret)" in out
    assert "key-of" not in out


# kind, how it is changed, what is told of it
def gone(rows: Rows, kind: str, **fields: Any) -> None:
    rows[kind].remove(one(rows, kind, **fields))


ENTITIES: list[tuple[str, Callable[[Rows], Any], list[str]]] = [
    ("plugin renamed", lambda r: one(r, "plugins", name="key-auth").update(name="basic-auth"), ["plugins[basic-auth:desk-keys]: removed", "plugins[key-auth:desk-keys]: added"]),
    ("instance renamed", lambda r: one(r, "plugins", name="key-auth").update(instance_name="x"), ["plugins[key-auth:desk-keys].instance_name: x -> desk-keys"]),
    ("plugin deleted", lambda r: gone(r, "plugins", name="ai-proxy"), ["plugins[ai-proxy:desk-chat-proxy]: added"]),
    ("route renamed", lambda r: one(r, "routes", name="desk-chat").update(name="mine"), ["routes[desk-chat]: added with 3 more inside", "routes[mine]: removed with 3 more inside"]),
    ("route moved", lambda r: (r["services"].append({"id": "s", "name": "s", "host": "h"}), one(r, "routes", name="desk-chat").update(service={"id": "s"})), ["routes[desk-chat].service: s -> desk"]),
    ("service without its routes", lambda r: one(r, "services").update(name="old"), ["services[desk]: added", "service: old -> desk", "service: old -> desk", "services[old]: removed"]),
    ("key added", lambda r: r["keyauth_credentials"].append({**r["keyauth_credentials"][0], "id": "k", "key": "other"}), ["keyauth_credentials[2]: removed"]),
    ("key deleted", lambda r: r["keyauth_credentials"].pop(), ["keyauth_credentials[1]: added"]),
    ("group given", lambda r: r["acls"].append({"id": "a", "group": "admins", "consumer": r["consumers"][0], "tags": r["consumers"][0]["tags"]}), ["acls[admins]: removed"]),
    ("tag taken away", lambda r: one(r, "routes", name="desk-chat").update(tags=["mine"]), ["routes[desk-chat].tags: [mine] -> [aigw-gateway:desk, managed-by-aigw-compile]"]),
    ("vault renamed", lambda r: one(r, "vaults").update(prefix="old"), ["vaults[aigw-env]: added", "vaults[old]: removed"]),
    ("name of a server", lambda r: one(r, "snis").update(name="old.example.com"), ["snis[ai.example.com]: added", "snis[old.example.com]: removed"]),
    ("certificate in clear", lambda r: one(r, "certificates").update(key="-----BEGIN PRIVATE KEY-----\nAAAA"), ["key: (secret) -> {vault://env/cert-key}"]),
    ("everything deleted", lambda r: [r[k].clear() for k in r], []),
]  # fmt: skip


@pytest.mark.parametrize(("change", "told"), [pytest.param(*row[1:], id=row[0]) for row in ENTITIES])
def test_entities(
    rows: Rows, change: Callable[[Rows], Any], told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    change(rows)
    with serving(Admin(rows)) as url:
        _, out, _ = run(capsys, "diff", url, "--format", "json")
    sentences = sorted(c["sentence"] for c in json.loads(out)["gateways"][0]["changes"])
    if not told:
        assert all(s.endswith("inside") or ": added" in s for s in sentences)
        assert len(sentences) > 4
        return
    assert len(sentences) == len(told), sentences
    for part in told:
        assert any(part in s for s in sentences), (part, sentences)


# --- tags


def test_strangers_are_counted_and_what_acts_on_ours_is_named(rows: Rows, capsys: pytest.CaptureFixture[str]) -> None:
    number = kong_admin.strangers(rows, 4)
    route, bot = one(rows, "routes", name="desk-chat"), one(rows, "consumers", username="bot")
    rows["plugins"].append({"id": "p", "name": "response-transformer", "config": {}, "route": {"id": route["id"]}})
    rows["keyauth_credentials"].append({"id": "k", "key": "let-me-in", "consumer": {"id": bot["id"]}})
    for name in ("sales", "hr"):
        rows["services"].append(
            {"id": name, "name": name, "host": "h", "tags": ["managed-by-aigw-compile", f"aigw-gateway:{name}"]}
        )
    with serving(Admin(rows, 3)) as url:
        code, out, err = run(capsys, "diff", url, "--exit-code")
    assert code == 0, out
    assert f"{number + 2} entities without our tags were left alone" in out
    assert "of other gateways, and left alone: hr (1), sales (1)" in out
    assert "warning AIG7102 desk: 2 entities without our tags act on what is ours: " in err
    assert "routes[desk-chat].plugins[response-transformer]" in err
    assert "consumers[bot].keyauth_credentials[" in err
    assert "let-me-in" not in out + err


def test_only_some_tags_are_read_where_they_are_asked_for(rows: Rows, capsys: pytest.CaptureFixture[str]) -> None:
    kong_admin.strangers(rows, 4)
    admin = Admin(rows, 2)
    with serving(admin) as url:
        _, out, _ = run(capsys, "diff", f"{url}?tags=managed-by-aigw-compile,aigw-gateway:desk")
    assert "entities, 0 differences" in out
    assert "left alone" not in out
    assert "read only what is tagged managed-by-aigw-compile,aigw-gateway:desk" in out
    assert all(
        "tags=managed-by-aigw-compile%2Caigw-gateway%3Adesk" in t
        for _, t in admin.asked
        if t.count("/") == 1 and "?" in t
    )


def test_groups_and_upstreams_are_read_with_what_is_in_them() -> None:
    ours = ["managed-by-aigw-compile", "aigw-gateway:g"]
    rows: Rows = {
        "services": [], "routes": [], "plugins": [],
        "consumers": [{"id": f"c{n}", "username": f"c{n}", "tags": ours} for n in range(5)],
        "consumer_groups": [{"id": "1", "name": "staff", "tags": ours}, {"id": "2", "name": "all", "tags": None}],
        "members": [{"consumer": {"id": f"c{n}"}, "group": {"id": g}} for n, g in ((0, "1"), (0, "2"), (4, "2"))],
        "upstreams": [{"id": "u", "name": "u", "tags": ours}, {"id": "v", "name": "v", "tags": []}],
        "targets": [{"id": f"t{n}", "target": f"h:{n}", "upstream": {"id": "uv"[n % 2]}, "tags": ours} for n in range(6)],
    }  # fmt: skip
    admin = Admin(rows, 2)
    with serving(admin) as url:
        kong = kong_.running(url, {})
    groups = {e.ident[1]: e.value.get("groups") for e in kong.entities if e.kind == "consumers"}
    assert groups == {"c0": ["all", "staff"], "c1": None, "c2": None, "c3": None, "c4": ["all"]}
    assert sorted(e.label for e in kong.entities if e.kind == "targets") == [
        f"upstreams[u].targets[h:{n}]" for n in (0, 2, 4)
    ]
    assert not any("/upstreams/v/" in target for _, target in admin.asked)


# --- versions

VERSIONS = [
    ({"version": "3.9.3", "edition": "community"}, ""),
    ({"version": "3.9.0"}, ""),
    ({"version": "3.8.1", "edition": "community"}, "Kong 3.8.1 oss"),
    ({"version": "3.9.1.2", "edition": "enterprise"}, "Kong 3.9.1.2 enterprise"),
    ({"version": "3.15.0.0-enterprise-edition", "edition": None}, "Kong 3.15.0.0-enterprise-edition enterprise"),
    ({"version": "nightly"}, "Kong nightly"),
]


@pytest.mark.parametrize(("information", "told"), VERSIONS)
def test_another_version_than_the_profile(
    rows: Rows, information: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Admin(rows, **information)) as url:
        _, out, err = run(capsys, "diff", url)
    assert "entities, 0 differences" in out
    assert (f"AIG7101 {url} is {told}, and the profile is Kong 3.9 (open source)" in err) == bool(told), err
    assert told or "AIG7101" not in err


# --- how it is asked


def test_only_gets_with_the_token_in_its_header(
    rows: Rows, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KONG_ADMIN_TOKEN", "zq7-canary-token")
    admin = Admin(rows, 1, token="zq7-canary-token", prefix="/team-a")
    with serving(admin) as url:
        code, out, err = run(capsys, "diff", f"{url}/")
        assert code == 0, err
        monkeypatch.setenv("KONG_ADMIN_TOKEN", "zq7-canary-wrong")
        refused, _, said = run(capsys, "diff", url)
    assert {method for method, _ in admin.asked} == {"GET"}
    assert all(h["Kong-Admin-Token"].startswith("zq7-canary") for h in admin.headers)
    assert all(target.startswith("/team-a/") for _, target in admin.asked)
    assert refused == 3
    assert "AIG7111" in said
    assert "canary" not in out + err + said


def test_tls_is_checked(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = Authority("an authority")
    pair = authority.pair("127.0.0.1")
    for name, text in (("ca.pem", authority.pem), ("cert.pem", pair.certificate), ("key.pem", pair.key)):
        (tmp_path / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with serving(Admin(rows), context) as url:
        assert url.startswith("kong:https://")
        code, _, err = run(capsys, "diff", url)
        assert code == 3
        assert "AIG7110" in err
        assert "its certificate is not trusted" in err
        monkeypatch.setenv("KONG_ADMIN_CA", str(tmp_path / "ca.pem"))
        assert "entities, 0 differences" in run(capsys, "diff", url)[1]
        monkeypatch.setenv("KONG_ADMIN_CA", str(tmp_path / "gateway.yaml"))
        assert "KONG_ADMIN_CA names no file with certificates" in run(capsys, "diff", url)[2]


def test_a_token_in_clear_over_a_network_is_a_warning() -> None:
    from aigw_compile.live.kong import admin as reader

    told = [
        d.code
        for base in ("http://kong.internal:8001", "http://127.0.0.1:8001", "https://k:8444", "http://[::1]:1")
        for d in reader._findings(base, "t", base)
    ]
    assert told == ["AIG7103"]
    assert [*reader._findings("http://kong.internal:8001", "", "")] == []


PAGE = json.dumps({"data": [], "offset": "again"}).encode()
ODD: list[tuple[str, dict[str, tuple[int, str, bytes]], str, str]] = [
    ("an HTML page", {"/": (200, "text/html", b"<html>zq7-canary</html>")}, "AIG7112", "an HTML page"),
    ("no JSON", {"/": (200, "application/json", b"{zq7-canary")}, "AIG7112", "no JSON"),
    ("no UTF-8", {"/": (200, "application/json", b"\xff\xfe")}, "AIG7112", "no JSON"),
    ("JSON without end", {"/": (200, "application/json", b"[" * 200_000)}, "AIG7112", "no JSON"),
    ("JSON of another", {"/": (200, "application/json", b'{"version": "8.15.0", "cluster": "zq7-canary"}')}, "AIG7112", "no Admin API"),
    ("a list", {"/": (200, "application/json", b"[]")}, "AIG7112", "no Admin API"),
    ("a redirect", {"/": (302, "text/html", b"http://127.0.0.1:1/zq7-canary")}, "AIG7112", "it redirects"),
    ("nothing there", {"/": (404, "text/html", b""), "/kong": (404, "text/html", b"")}, "AIG7112", "answered with 404"),
    ("a server that fails", {"/services": (500, "application/json", b'{"message": "zq7-canary"}')}, "AIG7112", "/services is answered with 500"),
    ("refused", {"/": (403, "application/json", b"{}")}, "AIG7111", "/ is refused (403)"),
    ("a kind refused", {"/certificates": (403, "application/json", b"{}")}, "AIG7111", "/certificates is refused (403)"),
    ("no services", {"/services": (404, "application/json", b"{}")}, "AIG7112", "/services is answered with 404"),
    ("no page", {"/routes": (200, "application/json", b'{"routes": []}')}, "AIG7112", "/routes gives no list"),
    ("entities of no shape", {"/routes": (200, "application/json", b'{"data": ["zq7-canary"]}')}, "AIG7112", "/routes gives no list"),
    ("a page that comes again", {"/plugins": (200, "application/json", PAGE)}, "AIG7113", "/plugins gives the same page again"),
    ("an offset that is none", {"/plugins": (200, "application/json", b'{"data": [], "offset": {"a": 1}}')}, "AIG7113", "same page"),
]  # fmt: skip


@pytest.mark.parametrize(("odd", "code", "words"), [pytest.param(*row[1:], id=row[0]) for row in ODD])
def test_odd_answers(
    rows: Rows, odd: dict[str, tuple[int, str, bytes]], code: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = Admin(rows)
    admin.odd = odd
    with serving(admin) as url:
        ended, out, err = run(capsys, "diff", url)
    assert (ended, out) == (3, "")
    assert code in err
    assert words in err
    assert "canary" not in err


def test_an_empty_list_as_lua_writes_it(rows: Rows, capsys: pytest.CaptureFixture[str]) -> None:
    admin = Admin(rows)
    admin.odd = {"/acls": (200, "application/json", b'{"data": {}, "next": null}')}
    with serving(admin) as url:
        assert "0 differences" in run(capsys, "diff", url)[1]


def test_next_is_read_where_there_is_no_offset_and_leads_nowhere_else(rows: Rows) -> None:
    admin = Admin(rows, 1)
    first = json.dumps({"data": rows["routes"][:1], "next": "http://elsewhere.invalid/routes?offset=o1"}).encode()
    answer = admin.answer
    admin.answer = lambda method, target, token: (  # type: ignore[method-assign]
        (200, "application/json", first) if target == "/routes?size=1000" else answer(method, target, token)
    )
    with serving(admin) as url:
        kong = kong_.running(url, {})
    assert sum(1 for e in kong.entities if e.kind == "routes") == len(rows["routes"])


@pytest.mark.parametrize(
    ("bound", "value", "words"),
    [
        ("PAGE_BYTES", 500, "is too large"),
        ("MOST_BYTES", 900, "is too large"),
        ("MOST_PAGES", 3, "more than 3 pages"),
        ("SECONDS", -1.0, "takes more than"),
    ],
)
def test_bounds(
    rows: Rows,
    bound: str,
    value: float,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(asking.Client, bound, value)
    with serving(Admin(rows, 2)) as url:
        ended, _, err = run(capsys, "diff", url)
    assert ended == 3
    assert "AIG7113" in err
    assert words in err


def test_who_does_not_answer(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    monkeypatch.setattr(asking.Client, "WAIT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"kong:http://127.0.0.1:{silent.getsockname()[1]}"
        ended, _, err = run(capsys, "diff", url)
        assert ended == 3
        assert "AIG7110" in err
        assert "no answer" in err
        broken = threading.Thread(target=_breaks_off, args=(silent,), daemon=True)
        broken.start()
        ended, _, err = run(capsys, "diff", url)
        broken.join()
    assert ended == 3
    assert "AIG7110" in err
    ended, _, err = run(capsys, "diff", url)  # nobody listens any more
    assert ended == 3
    assert "connection refused" in err


def _breaks_off(server: Any) -> None:
    for _ in range(2):  # the first connection is the one that waited above
        connection, _ = server.accept()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        connection.close()


@pytest.mark.parametrize(
    "address",
    [
        "", "localhost:8001", "ftp://localhost", "http://", "http://a:zq7-canary@localhost:1", "http://localhost:99999",
        "http://[::1", "http://localhost:1/#a", "http://localhost:1/?size=1", "http://localhost:1/a b", "//localhost",
        "http://\u0000", "http://é.invalid:1/é",
    ],
)  # fmt: skip
def test_addresses_that_are_none(project: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended, _, err = run(capsys, "diff", f"kong:{address}")
    assert ended == 3
    assert "AIG7110" in err
    assert "canary" not in err


# --- secrets

CANARY = "zq7-canary-secret"


def test_no_secret_of_a_kong_is_shown(rows: Rows, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever a secret may stand in what is ours: nothing that is printed, and nothing that is held, has it."""
    ours, bot = one(rows, "routes", name="desk-chat")["tags"], {"id": one(rows, "consumers", username="bot")["id"]}
    for row in rows["keyauth_credentials"]:
        row["key"] = f"{CANARY}-{row['id']}"
    for kind, field in (
        ("basicauth_credentials", "password"),
        ("hmacauth_credentials", "secret"),
        ("jwt_secrets", "secret"),
    ):
        rows[kind] = [{"id": kind, "username": "u", "key": "k", field: CANARY, "consumer": bot, "tags": ours}]
    one(rows, "certificates").update(key=CANARY, key_alt=CANARY)
    one(rows, "vaults").update(name="hcv", config={"token": CANARY, "approle_secret_id": CANARY, "host": "vault"})
    one(rows, "plugins", name="ai-proxy")["config"]["auth"] = {
        "header_name": "a",
        "header_value": CANARY,
        "aws_secret_access_key": CANARY,
    }
    one(rows, "plugins", name="request-transformer")["config"]["add"] = {
        "headers": [f"authorization:Bearer {CANARY}", f"X-Api-Key : {CANARY}"]
    }
    one(rows, "plugins", name="rate-limiting")["config"]["redis"] = {"password": CANARY, "username": "u"}
    scope = {"route": {"id": one(rows, "routes", name="desk-chat")["id"]}, "tags": ours}
    rows["plugins"] += [
        {"id": "h", "name": "http-log", "config": {"http_endpoint": f"https://u:{CANARY}@logs", "headers": {"Authorization": CANARY}}, **scope},
        {"id": "x", "name": "of-our-own", "config": {"deep": [{"anything": CANARY}]}, **scope},
        {"id": "o", "name": "openid-connect", "config": {"issuer": "i", "client_secret": [CANARY]}, **scope},
    ]  # fmt: skip
    (project / "dump.yaml").write_text(yaml.safe_dump(kong_admin.dumped(rows)))
    said = ""
    with serving(Admin(rows)) as url:
        kong = kong_.running(url, {})
        for sides in ((url,), ("gateway.yaml", url), ("dump.yaml",), ("dump.yaml", url), (url, "build")):
            for format_ in ("text", "json", "markdown"):
                _, out, err = run(capsys, "diff", *sides, "--format", format_)
                said += out + err
    dump = kong_.file(project / "dump.yaml")
    assert CANARY not in said
    assert CANARY not in repr(kong.entities) + repr(dump.entities if dump else "")
    assert "auth.header_value: (secret) -> {vault://aigw-env/openai-key_header}" in said
    assert "AIG7104 desk: the plugin of-our-own is not in the tables" in said


# --- files

HEAD = {"_format_version": "3.0"}
OURS = ["managed-by-aigw-compile", "aigw-gateway:g"]


def read(tmp_path: Path, body: Any) -> dict[str, Any]:
    """Label -> what a file holds."""
    (tmp_path / "kong.yaml").write_text(json.dumps(body))
    found = kong_.file(tmp_path / "kong.yaml")
    assert found is not None
    return {e.label: e.value for e in found.entities}


def test_shapes_of_files(tmp_path: Path) -> None:
    """Nested and flat, by name, by id and by decK's objects: one form."""
    nested = HEAD | {
        "services": [{"name": "s", "url": "https://h/p", "routes": [{"name": "r", "plugins": [{"name": "cors"}]}]}]
    }
    flat = HEAD | {
        "services": [{"name": "s", "url": "https://h/p", "id": "1"}],
        "routes": [{"name": "r", "service": "s"}],
        "plugins": [{"name": "cors", "route": {"name": "r"}}],
    }
    by_id = HEAD | {
        "services": [{"name": "s", "id": "1"}],
        "routes": [{"name": "r", "id": "2", "service": {"id": "1"}}],
        "plugins": [{"name": "cors", "route": "2"}],
    }
    expected = ["services[s]", "services[s].routes[r]", "services[s].routes[r].plugins[cors]"]
    for body in (nested, flat, by_id):
        assert sorted(read(tmp_path, body)) == expected
    dangling = HEAD | {
        "plugins": [{"name": "cors", "route": "nowhere", "consumer": {"username": "x"}}, {"name": "cors"}, {}]
    }
    assert "routes[?nowhere].plugins[cors, consumer ?x]" in read(tmp_path, dangling)


def test_what_deck_leaves_out_is_filled_in(tmp_path: Path) -> None:
    body = HEAD | {
        "_info": {"select_tags": OURS, "defaults": {"service": {"retries": 7, "port": 1}}},
        "_plugin_configs": {"shared": {"minute": 5, "policy": "redis"}},
        "services": [
            {
                "name": "s",
                "host": "h",
                "port": 2,
                "plugins": [{"name": "rate-limiting", "_config": "shared", "config": {"policy": "local"}}],
            }
        ],
        "consumers": [{"username": "a", "groups": [{"name": "x"}]}, {"username": "b"}],
        "consumer_groups": [{"name": "y", "consumers": [{"username": "a"}, {"username": "b"}]}],
    }
    found = read(tmp_path, body)
    assert found["services[s]"] == {"name": "s", "host": "h", "port": 2, "retries": 7, "tags": OURS}
    assert found["services[s].plugins[rate-limiting]"]["config"] == {"minute": 5, "policy": "local"}
    assert (found["consumers[a]"]["groups"], found["consumers[b]"]["groups"]) == (["x", "y"], ["y"])


def test_old_names_and_shorthands_say_the_same(tmp_path: Path) -> None:
    def side(service: dict[str, Any], config: dict[str, Any]) -> kong_.Kong:
        plugin = {"name": "rate-limiting", "config": {"minute": 5, **config}, "tags": OURS}
        (tmp_path / "k.yml").write_text(
            json.dumps(HEAD | {"services": [{"name": "s", "tags": OURS, **service, "plugins": [plugin]}]})
        )
        found = kong_.file(tmp_path / "k.yml")
        assert found is not None
        return found

    plain = {"protocol": "https", "host": "h", "port": 443, "path": "/p"}
    old = side({"url": "https://h/p"}, {"redis_host": "r", "redis_port": 6380, "minute": 5.0, "redis_timeout": None})
    new = side(plain, {"redis": {"host": "r", "port": 6380, "timeout": None}})
    both = side(plain, {"redis_host": "r", "redis_port": 6380, "redis": {"host": "r", "port": 6380}})
    for a, b in ((old, new), (new, both), (both, old)):
        assert kong_.compare(a, b, "g", facts("kong")).diff.changes == ()
    other = side(plain, {"redis_host": "other", "redis_port": 6380})
    assert [c.place.rpartition(".")[2] for c in kong_.compare(new, other, "g", facts("kong")).diff.changes] == ["host"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("_format_version: '3.0'\nservices: {}", "services is a mapping, where a list should stand"),
        ("_format_version: '3.0'\nservices: [a]", "services[0] is a text, where a mapping should stand"),
        ("_format_version: '3.0'\nservices: [{routes: [{plugins: 1}]}]", "services[0].routes[0].plugins is a number"),
        ("_format_version: '3.0'\n_info: [1]\nservices: [{}]", "_info"),
        ("_format_version: '3.0'\n  services: [", "kong.yml:2"),
        ("_format_version: '3.0'\nservices:\n- {name: a, config: {vault://env/a}}\n- {", "kong.yml"),
    ],
)
def test_files_of_the_wrong_shape(project: Path, text: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "kong.yml").write_text(text)
    ended, _, err = run(capsys, "diff", "kong.yml", "gateway.yaml")
    assert ended == 3
    assert "AIG7114" in err
    assert words in err


junk = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["", "a", "s", "é"]), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "id", "tags", "config", "routes", "plugins", "consumer", "groups", "key", "username", "service", "cert", "snis", "url"]) | st.sampled_from(["x", ""]), inner, max_size=4), max_leaves=12)  # fmt: skip


@settings(max_examples=150)
@given(
    st.dictionaries(
        st.sampled_from([*KINDS, "_info", "_plugin_configs"]),
        junk
        | st.lists(
            st.dictionaries(
                st.sampled_from(
                    ["name", "tags", "config", "service", "consumer", "username", "routes", "_config", "cert", "groups"]
                ),
                junk | st.just(OURS),
                max_size=4,
            ),
            max_size=3,
        ),
        max_size=4,
    )
)
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, body: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_text(json.dumps(HEAD | body))
    try:
        found = kong_.file(path)
    except live.LiveError:
        return
    assert found is not None
    assert kong_.compare(found, found, "g", facts("kong")).diff.changes == ()


def test_files_that_are_none(tmp_path: Path) -> None:
    for name, text in (
        ("a.yaml", "a: 1"),
        ("b.yaml", "# _format_version\na: 1"),
        ("c.txt", "_format_version"),
        ("d.yaml", SPEC),
    ):
        (tmp_path / name).write_text(text)
        assert kong_.file(tmp_path / name) is None
    assert kong_.file(tmp_path) is None
    assert kong_.file(tmp_path / "missing") is None


# --- pages


@pytest.mark.parametrize("code", live.CODES)
def test_each_code_has_its_page(code: str) -> None:
    page = explain.explain_code(code)
    assert page is not None
    assert len(page) > 150


def test_help_tells_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "diff", "--help")
    assert "kong:URL" in out
    assert "KONG_ADMIN_TOKEN" in out
