"""TLS and the files of secrets (SDS) to Envoy: what a listener shows, and how a server is called and checked."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.emitters.envoy import wire

_SOCKETS = "envoy.extensions.transport_sockets.tls.v3."
SECRET = _SOCKETS + "Secret"
_VERSIONS = {"1.2": "TLSv1_2", "1.3": "TLSv1_3"}
FOLDER = "secrets"
CLIENT_KEYS = f"{FOLDER}/client-keys.yaml"


def secret_file(owner: str, part: str = "") -> str:
    """Return where a secret stands, seen from the folder of envoy.yaml: the key of a provider, or another part of it."""
    path = f"{FOLDER}/{owner}.{part}.yaml" if part else f"{FOLDER}/{owner}.yaml"
    return path if path != CLIENT_KEYS else f"{FOLDER}/{owner}.provider.yaml"


def watched(path: str, folder: str = FOLDER) -> dict[str, Any]:
    """Return the source of a configuration that is read again when a file is renamed into a folder."""
    return {
        "path_config_source": {"path": path, "watched_directory": {"path": folder}},
        "resource_api_version": "V3",
    }


def sds(owner: str, part: str = "") -> dict[str, Any]:
    """Return a reference to a secret; the name in the file is that of its owner and part."""
    return {"name": f"{owner}.{part}" if part else owner, "sds_config": watched(secret_file(owner, part))}


def downstream(listener: str, tls: ir.Tls) -> Block:
    """Return the transport socket of a listener that speaks TLS."""
    common = Block(
        tls.origin,
        {
            "tls_params": at({"tls_minimum_protocol_version": _VERSIONS[tls.min_version]}, (*tls.origin, "minVersion")),
            "tls_certificate_sds_secret_configs": [sds(listener, "listener")],
            "alpn_protocols": ["h2", "http/1.1"],
        },
    )
    fields: dict[str, Any] = {"common_tls_context": common}
    if tls.client_ca:
        common["validation_context_sds_secret_config"] = at(sds(listener, "listener-ca"), tls.client_ca.origin)
        fields["require_client_certificate"] = at(True, tls.client_ca.origin)
    return wire.extension(tls.origin, "tls", _SOCKETS + "DownstreamTlsContext", fields)


def upstream(origin: Pointer, host: str, ca_file: str, owner: str = "", tls: ir.ClientTls | None = None) -> Block:
    """Return the transport socket for a server: its certificate has to be of a known CA, and of the name that is called.

    `owner` is whose secrets `tls` names.
    """
    name = (tls and tls.server_name) or host
    address = is_address(name)
    validation: dict[str, Any] = {
        "match_typed_subject_alt_names": [
            {"san_type": "IP_ADDRESS" if address else "DNS", "matcher": {"exact": name}},
        ]
    }
    common: dict[str, Any] = Block(origin)
    if tls and tls.ca:
        combined = {
            "default_validation_context": validation,
            "validation_context_sds_secret_config": sds(owner, "ca"),
        }
        common["combined_validation_context"] = at(combined, tls.ca.origin)
    else:
        common["validation_context"] = {"trusted_ca": {"filename": ca_file}, **validation}
    if tls and tls.certificate:
        common["tls_certificate_sds_secret_configs"] = at([sds(owner, "certificate")], tls.certificate.origin)
    fields: dict[str, Any] = {} if address else {"sni": name}
    fields["common_tls_context"] = at(common, (*tls.origin, "serverName")) if tls and tls.server_name else common
    return wire.extension(origin, "tls", _SOCKETS + "UpstreamTlsContext", fields)


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
