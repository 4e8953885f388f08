"""TLS: what a listener shows to its callers, and how the gateway calls others."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, model_validator

from aigw_compile.language.base import Strict, field, ordered
from aigw_compile.language.secrets import MOVED, SecretRef

TRUST = {"added": ["security-tightening"], "removed": ["security-relaxing"], "changed": ["security-relaxing"]}
OTHER_NAME = {"added": ["behaviour"], "removed": ["behaviour"], "changed": ["security-relaxing"]}


class ListenerTls(Strict):
    certificate: SecretRef = field(
        "Certificate with its chain (PEM).", MOVED, example={"file": "/run/secrets/tls/tls.crt"}
    )
    key: SecretRef = field("Key of the certificate (PEM).", MOVED, example={"file": "/run/secrets/tls/tls.key"})
    clientCA: SecretRef = field(
        "Authority (PEM) of which every client has to show a certificate.",
        {
            "added": ["security-tightening", "breaking"],
            "removed": ["security-relaxing"],
            "changed": ["security-relaxing", "breaking"],
        },
        unset=True,
        example={"file": "/run/secrets/tls/clients.crt"},
    )
    minVersion: Literal["1.2", "1.3"] = field(
        "Lowest version of TLS.",
        {"raised": ["security-tightening", "breaking"], "lowered": ["security-relaxing"]},
        "1.2",
        extra=ordered("1.2", "1.3"),
    )


class ClientTls(Strict):
    """How the gateway calls a server over TLS."""

    model_config = ConfigDict(
        json_schema_extra={
            "dependentRequired": {"clientCertificate": ["clientKey"], "clientKey": ["clientCertificate"]}
        }
    )

    ca: SecretRef = field(
        "Authority (PEM) that the server's certificate is checked against; those of the system if absent.",
        TRUST,
        unset=True,
        example={"file": "/run/secrets/ca.crt"},
    )
    serverName: str = field(
        "Name to ask for and to check, where it is not the host of the address.",
        OTHER_NAME,
        unset=True,
        pattern=r"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$",
        example="llm.internal",
        extra={"x-aigw-form": "server name"},
    )
    clientCertificate: SecretRef = field(
        "Certificate that the gateway shows (PEM).", MOVED, unset=True, example={"file": "/run/secrets/client.crt"}
    )
    clientKey: SecretRef = field(
        "Key of that certificate (PEM).", MOVED, unset=True, example={"file": "/run/secrets/client.key"}
    )

    @model_validator(mode="after")
    def _pair(self) -> ClientTls:
        if len({"clientCertificate", "clientKey"} & self.model_fields_set) == 1:
            raise ValueError("clientCertificate and clientKey together")
        return self
