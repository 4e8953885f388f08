"""References and literal secrets of a Kong file to SecretRefs; vault entities to vaults."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.importers.record import Node, Record
from aigw_compile.units import derived_name

# Kong 3.9.3, pdk/vault.lua: `{vault://prefix/resource/key?options#version}` is a whole value; a query option overrules the
# vault's configuration. vaults/env/init.lua: `-` becomes `_`, all in capitals. decK documentation, "Environment variables".

_REFERENCE = re.compile(r"\{vault://([^/?#}]+)/([^?#}]*)(?:\?([^#}]*))?(?:#([0-9]+))?\}")
_TEMPLATE = re.compile(r'\s*\$\{\{\s*env\s+"([A-Za-z_][A-Za-z0-9_]*)"\s*\}\}\s*')
_BEARER = re.compile(r"(?i)bearer\s+")


class Vault(NamedTuple):
    """A vault entity of the file: what references call it, its kind, and its node."""

    prefix: str
    kind: str
    node: Node


class Found(NamedTuple):
    """What stands for a secret in the spec."""

    ref: dict[str, Json]
    bare: bool
    """Whether it is the secret alone; False: with what stands before it, such as `Bearer `."""


class Keeper:
    """Makes references, and knows which vaults they need."""

    def __init__(self, record: Record, vaults: list[Vault]) -> None:
        self.record = record
        self.vaults = {v.prefix: v for v in vaults}
        self.used: dict[str, None] = {}
        self.env_vault = False
        """Whether a reference asks for a part of a variable, which needs a vault of type env."""
        self._names: dict[str, Pointer | str] = {}

    def variable(self, wish: str, at: Pointer | str) -> str:
        """Return a name for a variable that nothing else has; `at`: what it is for, a place or the secret itself."""
        base = re.sub(r"[^A-Z0-9]+", "_", wish.upper()).strip("_") or "SECRET"
        base = base if not base[0].isdigit() else f"_{base}"
        name, number = base, 2
        while self._names.get(name, at) != at:
            name, number = f"{base}_{number}", number + 1
        self._names[name] = at
        return name

    def reference(self, node: Node, key: str, wish: str, what: str, prefix: str = "") -> Found | None:
        """Return what stands for a secret; None where there is none. `prefix`: what a header has before it.

        Our own build appends `_header` to the name of a secret that holds the prefix too; that is taken away again.
        """
        value = node.secret(key)
        if not value:
            return None
        at = node.place(key)
        bare = _BEARER.sub("", value, count=1) if prefix else value
        template = _TEMPLATE.fullmatch(bare)
        if template:
            self.record.note("AIG8111", f"{what} was filled in by decK; now whoever runs it reads the variable", at)
            return Found({"env": template[1]}, bare != value or not prefix)
        found = _REFERENCE.fullmatch(value)
        if found:
            return self._kong(node, key, found, prefix, wish)
        if "{vault://" in value:
            self.record.tell(
                "AIG8102",
                f"Kong takes a reference only where it is the whole value, and would send this one as it stands: {what}",
                at,
                "the secret has to hold all of it; the spec names a variable",
            )
        elif value.startswith("{vault:") or not value.strip():
            self.record.tell("AIG8102", f"this is no reference that Kong can read: {what}", at)
        else:
            message = f"{what} is written in the file; the spec names a variable in its place"
            self.record.tell("AIG8105", message, at, "put the key there, without what stands before it in a header")
            return Found({"env": self.variable(wish, bare)}, True)
        return Found({"env": self.variable(wish, at)}, True)

    def _kong(self, node: Node, key: str, found: re.Match[str], prefix: str, wish: str) -> Found:
        name, path, query, version = found[1], found[2], found[3], found[4]
        at = node.place(key)
        if query:
            options = ", ".join(k for k, _ in parse_qsl(query, keep_blank_values=True))
            self.record.note("AIG8103", f"options of a reference have no place in the spec: {options}", at)
        parts = [unquote(p) for p in path.split("/")]
        closed = len(parts) > 1 and parts[-1] == ""
        parts = [p for p in parts if p]
        if not parts:
            self.record.tell("AIG8102", "this reference names no secret", at)
            return Found({"env": self.variable(wish, at)}, True)
        vault = self.vaults.get(name)
        resource, prop = ("/".join(parts), "") if closed or len(parts) == 1 else ("/".join(parts[:-1]), parts[-1])
        bare = not prefix
        last = prop or resource
        if prefix and (tail := re.search(r"[-_]header$", last, re.IGNORECASE)):
            last, bare = last[: tail.start()], True
        resource, prop = (resource, last) if prop else (last, "")
        if vault is None and name == "env" and not prop:
            return Found({"env": re.sub(r"-", "_", resource).upper()}, bare)
        ref: dict[str, Json] = {"vault": name, "key": resource}
        if vault is None and name == "env":
            self.env_vault = True
        elif vault is None:
            message = f'no vault of this file has the prefix "{name}", so that the spec names a variable'
            self.record.tell("AIG8108", message, at, "add the vault to `vaults`, and refer to it")
            return Found({"env": self.variable(wish, at)}, True)
        self.used[name] = None
        if prop:
            ref["property"] = prop
        if version:
            ref["version"] = version
        return Found(ref, bare)


KINDS = {"env": "env", "aws": "aws", "gcp": "gcp", "azure": "azure", "hcv": "hashicorp"}
_FIELDS = {
    "env": {"prefix": "prefix"},
    "aws": {"region": "region", "endpoint_url": "endpointUrl", "assume_role_arn": "roleArn"},
    "gcp": {"project_id": "projectId"},
    "azure": {"vault_uri": "vaultUrl", "tenant_id": "tenantId", "client_id": "clientId"},
}
_NEEDED = {"aws": "region", "gcp": "projectId", "azure": "vaultUrl", "hashicorp": "address"}


def vaults(root: Node) -> list[Vault]:
    """Return the vault entities of a file."""
    return [Vault(n.text("prefix"), n.text("name"), n) for n in root.items("vaults") if n.raw("prefix")]


def written(keeper: Keeper) -> tuple[list[Json], list[Pointer]]:
    """Return the vaults of the spec, in the order of the file, and where each of them stood."""
    made: list[Json] = []
    places: list[Pointer] = []
    for vault in keeper.vaults.values():
        kind, node = KINDS.get(vault.kind, ""), vault.node
        if not kind:
            keeper.record.tell(
                "AIG8103", "the language has no vault of this kind", node.at, f"known: {', '.join(KINDS)}"
            )
        if vault.prefix not in keeper.used:
            keeper.record.tell(
                "AIG8104", "nothing that the spec holds is kept in this vault, so it is left out", node.at
            )
            continue
        config = node.child("config")
        block = _hashicorp(keeper, config) if kind == "hashicorp" else _fields(config, kind)
        one: dict[str, Json] = {"name": vault.prefix, "type": kind or "env"}
        needed = _NEEDED.get(kind)
        if needed and needed not in block:
            keeper.record.note("AIG8111", f"the file does not say `{kind}.{needed}`: fill it in", node.at)
            block[needed] = "https://fill-in.invalid" if needed in ("address", "vaultUrl") else "fill-in"
        if block:
            one[kind] = block
        if kind != "env":
            ttl = config.number("ttl")
            if ttl:
                one["refresh"] = f"{int(ttl)}s"
        made.append(one)
        places.append(node.at)
    if keeper.env_vault and "env" not in keeper.vaults:
        made.append({"name": "env", "type": "env"})
        places.append(())
    return made, places


def _fields(config: Node, kind: str) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for field, name in _FIELDS.get(kind, {}).items():
        if value := config.text(field):
            found[name] = value
    return found


def _hashicorp(keeper: Keeper, config: Node) -> dict[str, Json]:
    protocol, host = config.text("protocol") or "http", config.text("host") or "127.0.0.1"
    port = config.whole("port") or 8200
    found: dict[str, Json] = {"address": f"{protocol}://{host}:{port}"}
    if mount := config.text("mount"):
        found["mount"] = mount
    version = config.text("kv")
    found["kvVersion"] = 2 if version == "v2" else 1
    if namespace := config.text("namespace"):
        found["namespace"] = namespace
    method = config.text("auth_method") or ("token" if config.raw("token") else "")
    if method in ("token", "kubernetes", "approle"):
        auth: dict[str, Json] = {"method": method}
        if role := config.text("kube_role"):
            auth["role"] = role
        for key, field in (("token", "token"), ("approle_role_id", "roleId"), ("approle_secret_id", "secretId")):
            ref = keeper.reference(config, key, f"VAULT_{derived_name(key)}", f"the vault's {key}")
            if ref:
                auth[field] = ref.ref
        if path := config.text("approle_secret_id_file"):
            auth["secretId"] = {"file": path}
        found["auth"] = auth
    return found
