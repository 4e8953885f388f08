"""SecretRef and vaults: where a secret is, never the secret itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, model_validator

from aigw_compile.language.base import (
    BEHAVIOUR,
    ConfigRefs,
    Duration,
    Name,
    Strict,
    Url,
    blocks,
    check_blocks,
    exactly,
    field,
    goes_to,
    part,
    parts,
)

MOVED = {"added": ["behaviour"], "removed": ["breaking"], "changed": ["behaviour"]}
FORMS = ("env", "file", "vault", "kubernetes")


class KubernetesSecret(Strict):
    name: Name = field("Name of the Secret.", MOVED, example="openai")
    key: str = field("Key inside the Secret.", MOVED, min_length=1, example="api_key")


class SecretRef(Strict):
    """Names the place of a secret: exactly one of env, file, vault or kubernetes. The secret itself cannot be written."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-aigw-secret": True,
            "x-kubernetes-map-type": "atomic",
            "x-aigw-one-of": list(FORMS),
            "oneOf": [{"required": [form]} for form in FORMS],
            "dependentRequired": {"vault": ["key"], "key": ["vault"], "property": ["vault"], "version": ["vault"]},
        }
    )

    env: str = field(
        "Environment variable that holds the secret.",
        MOVED,
        unset=True,
        example="OPENAI_API_KEY",
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
    )
    file: str = field(
        "Absolute path of a file that holds the secret.",
        MOVED,
        unset=True,
        example="/run/secrets/key",
        pattern="^/[^\\x00]+$",
    )
    vault: Name = field("Name of a vault of this gateway.", MOVED, unset=True, example="aws-prod")
    key: str = field("Path of the entry in the vault.", MOVED, unset=True, min_length=1, example="llm/openai")
    property: str = field("Property inside the entry.", MOVED, unset=True, min_length=1, example="api_key")
    version: str = field("Version of the entry; the newest if absent.", MOVED, unset=True, min_length=1, example="2")
    kubernetes: KubernetesSecret = field("A Kubernetes Secret and a key in it.", MOVED, unset=True)

    @model_validator(mode="after")
    def _one_form(self) -> SecretRef:
        given = self.model_fields_set
        if len(given & set(FORMS)) != 1 or ("vault" in given) != ("key" in given):
            raise ValueError("exactly one of env, file, vault or kubernetes; a vault needs a key")
        if given & {"property", "version"} and "vault" not in given:
            raise ValueError("property and version need a vault")
        return self


class EnvVault(Strict):
    prefix: str = field(
        "Put before the key to make the variable's name.",
        MOVED,
        unset=True,
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        example="AIGW_",
    )


class AwsVault(Strict):
    region: str = field(
        "AWS region.",
        {"changed": ["behaviour", "data-residency"], "added": ["behaviour"], "removed": ["breaking"]},
        min_length=1,
        example="eu-west-1",
    )
    endpointUrl: Url = field(
        "Address of Secrets Manager, where it is not AWS's own.",
        BEHAVIOUR,
        unset=True,
        example="https://secretsmanager.eu-west-1.amazonaws.com",
    )
    roleArn: str = field(
        "Role to assume.",
        BEHAVIOUR,
        unset=True,
        pattern="^arn:[^\\s]+$",
        example="arn:aws:iam::123456789012:role/ai-gateway",
    )


class GcpVault(Strict):
    projectId: str = field(
        "Google Cloud project.",
        {"changed": ["behaviour", "data-residency"], "added": ["behaviour"], "removed": ["breaking"]},
        pattern="^[a-z][a-z0-9-]{4,28}[a-z0-9]$",
        example="my-project",
    )


class AzureVault(Strict):
    vaultUrl: Url = field(
        "Address of the key vault.",
        {"changed": ["behaviour", "data-residency"], "added": ["behaviour"], "removed": ["breaking"]},
        example="https://my-vault.vault.azure.net",
    )
    tenantId: str = field("Entra tenant.", BEHAVIOUR, unset=True, min_length=1, example="TENANT-ID")
    clientId: str = field(
        "Entra application, or user-assigned identity.", BEHAVIOUR, unset=True, min_length=1, example="CLIENT-ID"
    )


class HashicorpAuth(Strict):
    method: Literal["token", "kubernetes", "approle"] = field("How the gateway logs in.", BEHAVIOUR)
    role: str = field("Role to log in as.", BEHAVIOUR, unset=True, min_length=1, example="ai-gateway")
    token: SecretRef = field(
        "The token, for method token; an env or a file.", MOVED, unset=True, example={"env": "VAULT_TOKEN"}
    )
    roleId: SecretRef = field(
        "The role id, for method approle; an env or a file.", MOVED, unset=True, example={"env": "VAULT_ROLE_ID"}
    )
    secretId: SecretRef = field(
        "The secret id, for method approle; an env or a file.", MOVED, unset=True, example={"env": "VAULT_SECRET_ID"}
    )


class HashicorpVault(Strict):
    address: Url = field("Address of the server.", BEHAVIOUR, example="https://vault.internal:8200")
    mount: str = field("Mount of the secrets engine.", BEHAVIOUR, "secret", min_length=1)
    kvVersion: Annotated[Literal[1, 2], exactly(int)] = field("Version of the key-value engine.", BEHAVIOUR, 2)
    namespace: str = field("Namespace (Enterprise).", BEHAVIOUR, unset=True, min_length=1, example="team-a")
    auth: HashicorpAuth = field("How the gateway logs in.", BEHAVIOUR, unset=True)


BLOCKS = {kind: [kind] for kind in ("env", "aws", "gcp", "azure", "hashicorp")}
NEEDED = ("aws", "gcp", "azure", "hashicorp")


class Vault(Strict):
    """A place where secrets are kept. Only the block named like its type may stand."""

    model_config = part("Vault", goes_to("*"), blocks(BLOCKS, NEEDED))

    name: Name = field(
        "Name that SecretRefs use.",
        {"added": ["cosmetic"], "removed": ["breaking"], "changed": ["behaviour"]},
        example="aws-prod",
    )
    type: Literal["env", "aws", "gcp", "azure", "hashicorp"] = field("Kind of vault.", BEHAVIOUR)
    env: EnvVault = field("Settings of type env.", BEHAVIOUR, unset=True)
    aws: AwsVault = field(
        "Settings of type aws (Secrets Manager).", BEHAVIOUR, unset=True, example={"region": "eu-west-1"}
    )
    hashicorp: HashicorpVault = field(
        "Settings of type hashicorp.", BEHAVIOUR, unset=True, example={"address": "https://vault.internal:8200"}
    )
    gcp: GcpVault = field(
        "Settings of type gcp (Secret Manager).", BEHAVIOUR, unset=True, example={"projectId": "my-project"}
    )
    azure: AzureVault = field(
        "Settings of type azure (Key Vault).",
        BEHAVIOUR,
        unset=True,
        example={"vaultUrl": "https://my-vault.vault.azure.net"},
    )
    refresh: Duration = field(
        "How often secrets are read again.",
        {
            "raised": ["availability"],
            "lowered": ["behaviour"],
            "added": ["availability"],
            "removed": ["availability"],
        },
        unset=True,
        example="5m",
    )
    configRef: ConfigRefs = parts()

    @model_validator(mode="after")
    def _one_block(self) -> Vault:
        check_blocks(self, BLOCKS, NEEDED)
        return self
