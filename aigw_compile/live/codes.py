"""What there is to say about a side of a diff that is what runs: codes with their pages, and the error that ends the reading."""

from __future__ import annotations

from collections.abc import Mapping


class LiveError(Exception):
    """What runs cannot be read; the message says why, and what would be right. It quotes no token and no secret."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{code} {message}" + (f" ({hint})" if hint else ""))
        self.code = code


CODES: Mapping[str, tuple[str, str, str]] = {
    "AIG7101": (
        "warning",
        "what runs is of another version than the profile",
        "Defaults are those of the Kong's own version, where its tables are known, since that is what it makes of a "
        "kong.yml. But the kong.yml was compiled for another version, or edition: choose its profile, with "
        "`--target kong=PROFILE` or in aigw-compile.yaml. An Envoy of another version may take the same bootstrap in another "
        "way: run the version that the profile names.",
    ),
    "AIG7102": (
        "warning",
        "something without our tags acts on what is ours",
        "A plugin, a credential or a group without the tags of this gateway hangs on an entity that has them: somebody "
        "added it by hand, or another tool did. It is no part of the diff, because no spec asks for it, and a sync by "
        "tags leaves it where it is. Look at each: a credential lets somebody in, and a plugin may change every call.",
    ),
    "AIG7103": (
        "warning",
        "the token of the Admin API goes over the network as plain text",
        "KONG_ADMIN_TOKEN is sent with each request, and the address is http: and not of this machine. Use the https: "
        "address of the Admin API (8444 by default); KONG_ADMIN_CA names a file with the authority that signed its "
        "certificate.",
    ),
    "AIG7104": (
        "warning",
        "a plugin, or a field of it, is not in the tables",
        "The tables of targets/kong/plugins know nothing of this plugin, or not of all its fields (openid-connect has "
        "hundreds). Which of them are secret is not known, so they are masked. Nor are their defaults: a field that a "
        "Kong shows and the spec does not ask for is not compared, and counted here. `deck gateway diff` knows them.",
    ),
    "AIG7105": (
        "warning",
        "an Envoy does not run what it was last given",
        "A newer listener or cluster was refused, or waits for something, such as a secret that is not there yet. What "
        "it had before stays in force, and the diff is with that. Envoy's log says why, and so does "
        "`error_state` in /config_dump; neither is quoted here, since it may hold what somebody wrote there.",
    ),
    "AIG7110": (
        "error",
        "what runs cannot be reached",
        "The address of `kong:URL` is the Admin API's, such as kong:https://localhost:8444 (8001 for http), with a "
        "workspace as its path, if any: kong:https://kong.internal:8444/team-a. `envoy:URL` is the admin interface, such as "
        "envoy:http://127.0.0.1:9091; `proxy:URL` the operations port of the reference proxy. Certificates are checked: "
        "KONG_ADMIN_CA (for the others SSL_CERT_FILE) names a file with the authority that signed it, where this machine "
        "does not know that. For `kubernetes:CONTEXT` kubectl itself says why it could not read.",
    ),
    "AIG7111": (
        "error",
        "what runs refuses to be read",
        "A Kong wants a token, or another one: KONG_ADMIN_TOKEN in the environment is sent as Kong-Admin-Token. Reading is "
        "enough, of services, routes, plugins, consumers and their credentials, consumer groups, upstreams, vaults, "
        "certificates and server names. A cluster wants a login that may `get` and `list` the kinds that are written; of "
        "Secrets only those with the label konghq.com/credential=acl, which hold the name of a group. Envoy and the proxy ask "
        "for nothing, so it is something before them that refuses.",
    ),
    "AIG7112": (
        "error",
        "what answers is something else",
        "The answer is not what Kong's Admin API, Envoy's admin interface or the proxy's operations port gives: an HTML page, "
        "a redirect, no JSON, or JSON of another shape. Kong's own ports (8000, 8443), Kong Manager (8002, 8445), a listener "
        "of Envoy and a sign-in page in front of it answer so. The proxy tells its proxy.json only to callers of its own "
        "machine. A cluster that does not know a kind has not the CRDs of the profile's controller.",
    ),
    "AIG7113": (
        "error",
        "what runs gives too much, or never ends",
        "Reading stops at 10,000 pages, 64 MiB for one of them, 512 MiB or two minutes for all, and where a page comes "
        "twice. `kong:URL?tags=managed-by-aigw-compile` reads only what has that tag, where a Kong holds much beside. kubectl "
        "may give 256 MiB.",
    ),
    "AIG7114": (
        "error",
        "a file of what runs cannot be read",
        "A side of a diff may be a kong.yml, or what `deck gateway dump` writes: YAML or JSON, a mapping with "
        "_format_version and lists of entities, each a mapping. An output folder is what `aigw-compile build` wrote.",
    ),
    "AIG7115": (
        "error",
        "there is no such context",
        "`kubernetes:CONTEXT` names a context of kubectl: `kubectl config get-contexts -o name` lists them. It is given to "
        "kubectl as it is, so letters, digits and . _ - @ : / + = are all that it may have. The objects of a gateway are known by its "
        "spec, so the other side is a spec, or outputs.",
    ),
    "AIG7116": (
        "error",
        "kubectl is not there",
        "`kubernetes:CONTEXT` is read by kubectl, with the login that kubectl has: `kubectl get`, and nothing else. Install it, "
        "or put it on PATH.",
    ),
}
