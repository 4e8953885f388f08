"""Secret references to what Kong's configuration holds in their place: `{vault://...}`, always the whole value."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from aigw_compile import ir
from aigw_compile.document import Block, at, everywhere
from aigw_compile.kongblocks.edition import Edition
from aigw_compile.kongblocks.names import TAG

KINDS = ("env", "aws", "gcp", "azure", "hcv", "conjur", "konnect", "fs")
"""Names that a vault's prefix must not have."""


class Reference(NamedTuple):
    """Where Kong finds a secret."""

    text: str
    """`{vault://...}`."""
    variable: str
    """The environment variable that has to hold it; "" where Kong reads a vault of its own."""
    prefix: str
    """What has to stand before the secret there, such as `Bearer `."""


def reference(credential: ir.SecretRef, prefix: str, edition: Edition) -> Reference:
    """Return the reference to a provider's credential.

    Kong sends a secret exactly as it stands, and a reference must be the whole value. So a header with a prefix needs
    a secret of its own: the property with `_header` after its name, or the variable with `_HEADER`.
    """
    vault = credential.vault
    if vault and vault.type in edition.vaults and vault.type != "env":
        return Reference(_vault_reference(credential, bool(prefix)), "", prefix)
    name = _variable(credential) + ("_HEADER" if prefix else "")
    if vault and vault.type == "env":
        resource, _, key = _entry(credential, bool(prefix)).partition("\0")
        tail = f"/{quote(key, safe='')}" if key else ""
        own = str(vault.settings.get("prefix", "")) + resource
        variable = own.replace("-", "_").upper()
        return Reference(f"{{vault://{vault_prefix(vault)}/{quote(resource, safe='')}{tail}}}", variable, prefix)
    return Reference(f"{{vault://env/{name.lower().replace('_', '-')}}}", name, prefix)


def _entry(credential: ir.SecretRef, prefixed: bool) -> str:
    """Key and property, parted by a NUL, with `_header` after the last of them where a prefix has to stand before it."""
    tail = "_header" if prefixed else ""
    if credential.property:
        return f"{credential.name}\0{credential.property}{tail}"
    # A name in an Azure Key Vault has no "_" (Azure Key Vault REST API, "Object identifiers").
    dashed = credential.vault is not None and credential.vault.type == "azure"
    return credential.name + (tail.replace("_", "-") if dashed else tail)


def _vault_reference(credential: ir.SecretRef, prefixed: bool) -> str:
    assert credential.vault
    resource, _, key = _entry(credential, prefixed).partition("\0")
    path = "/".join(quote(part, safe="") for part in resource.strip("/").split("/"))
    # Without a property, a path of several parts ends with "/", or its last part would be taken for the property.
    path += f"/{quote(key, safe='')}" if key else "/" if "/" in path else ""
    version = f"#{int(credential.version)}" if re.fullmatch(r"[0-9]{1,6}", credential.version) else ""
    return f"{{vault://{vault_prefix(credential.vault)}/{path}{version}}}"


def _variable(credential: ir.SecretRef) -> str:
    """The environment variable for a secret that Kong cannot fetch: its own, or one named after its place."""
    if credential.source == "env":
        return credential.name.upper()
    parts = [credential.vault.name if credential.vault else "", credential.name, credential.property]
    return re.sub(r"[^A-Z0-9]+", "_", "_".join(p for p in parts if p).upper()).strip("_")


def vault_prefix(vault: ir.Vault) -> str:
    """Return the name by which references call a vault: its own, where Kong allows it as a prefix."""
    fits = re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", vault.name) and vault.name not in KINDS
    return vault.name if fits else f"aigw-{vault.name}"


NEEDED = (("spec", "models"), everywhere("promptGuard"))
"""What decides that a secret is needed: which models there are, and whether a guard could look at what they are sent."""


def vaults(gateway: ir.Gateway, used: frozenset[str], edition: Edition) -> list[Block]:
    """Return the vault entities for the vaults that are used and that this edition reads."""
    return [_vault(v) for v in gateway.vaults if v.name in used and v.type in edition.vaults]


_KINDS = {"env": "env", "aws": "aws", "gcp": "gcp", "azure": "azure", "hashicorp": "hcv"}


def _vault(vault: ir.Vault) -> Block:
    config = _hashicorp(vault) if vault.type == "hashicorp" else _fields(vault)
    if vault.type != "env":
        config["ttl"] = at(max(1, round(vault.refresh)) if vault.refresh else 0, (*vault.origin, "refresh"))
    block = Block(
        vault.origin,
        {
            "name": _KINDS[vault.type],
            "prefix": at(vault_prefix(vault), vault.origin, *NEEDED),
            "config": config,
            "tags": [TAG],
        },
    )
    if not config:
        del block["config"]
    return block


_FIELDS = {
    "env": {"prefix": "prefix"},
    "aws": {"region": "region", "endpointUrl": "endpoint_url", "roleArn": "assume_role_arn"},
    "gcp": {"projectId": "project_id"},
    "azure": {"vaultUrl": "vault_uri", "tenantId": "tenant_id", "clientId": "client_id"},
}
"""Kind of vault -> its fields in the language -> Kong's."""


def _fields(vault: ir.Vault) -> Block:
    fields = {name: vault.settings[field] for field, name in _FIELDS[vault.type].items() if vault.settings.get(field)}
    return Block((*vault.origin, vault.type), fields)


def _hashicorp(vault: ir.Vault) -> Block:
    settings: dict[str, Any] = dict(vault.settings)
    address = urlsplit(str(settings["address"]))
    block = Block(
        (*vault.origin, "hashicorp"),
        {
            "protocol": address.scheme,
            "host": address.hostname or "",
            "port": address.port or (443 if address.scheme == "https" else 80),
            "mount": settings.get("mount", "secret"),
            "kv": f"v{settings.get('kvVersion', 2)}",
        },
    )
    if settings.get("namespace"):
        block["namespace"] = settings["namespace"]
    auth: dict[str, Any] = settings.get("auth") or {}
    if auth:
        block["auth_method"] = auth["method"]
        if auth["method"] == "kubernetes" and auth.get("role"):
            block["kube_role"] = auth["role"]
        for field, name in (("token", "token"), ("roleId", "approle_role_id"), ("secretId", "approle_secret_id")):
            source = auth.get(field) or {}
            if "env" in source:
                block[name] = f"{{vault://env/{source['env'].lower().replace('_', '-')}}}"
            elif "file" in source and field == "secretId":
                block["approle_secret_id_file"] = source["file"]
    return block
