"""The AIG2xxx codes: references to parts, merging, and what a part's contract forbids; the page of each."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, tuple[str, str, str]] = {
    "AIG2001": (
        "error",
        "a configRef to a part that does not exist",
        "`configRef` names a part (kind AIGatewayConfig) of this project. Parts are found in every file that the project "
        "reads; one in another file below the root is reached by `{file: ./path.yaml, name: ...}`.",
    ),
    "AIG2002": (
        "error",
        "a configRef to a part of another type",
        "A part is `for` one type, and stands only in objects of that type: a part for Provider in an item of "
        "`providers`, a part for AIGateway at the top of `spec`.",
    ),
    "AIG2003": (
        "error",
        "parts that refer to each other in a circle",
        "A part cannot build on itself, directly or through others. The message shows the whole ring.",
    ),
    "AIG2004": (
        "error",
        "parts whose order contradicts itself",
        "Parts are applied in the order of the lists that name them, each after its own parts (C3, as Python orders "
        "classes). Where one list has a before b and another b before a there is no such order.",
    ),
    "AIG2005": (
        "error",
        "a part that this file may not refer to",
        "`fields.referrers` of the part lists the paths of the files that may refer to it. Refer to the part that is "
        "meant for you instead, which may itself build on this one.",
    ),
    "AIG2006": (
        "error",
        "a part that is not the one that was pinned",
        "The digest of the part, over the canonical JSON of what it is with all its own parts, is another one than the "
        "configRef names. Read what changed, then run `aigw-compile pin`.",
    ),
    "AIG2007": (
        "error",
        "a configRef without a digest",
        "With `--frozen` every configRef must name the digest of its part. `aigw-compile pin` writes them.",
    ),
    "AIG2008": (
        "error",
        "too many parts, or parts that grow too large",
        "A closure of parts has at most 256 parts and 32 levels. Written out, a gateway has at most 400,000 values, and "
        "all gateways of a run 600,000, all parts of it ten millions; each use of a part counts 20 besides "
        "its values. This stops files that are small on "
        "disk and huge in memory.",
    ),
    "AIG2009": (
        "error",
        "two parts of one name",
        "Names of parts are unique in a project, files that are reached by `file` included: otherwise a file could put "
        "a part of its own in the place of another.",
    ),
    "AIG2010": (
        "error",
        "a configRef inside the config of a part",
        "What a part builds on stands at `spec.configRef`, beside `config`. Inside of `config` a configRef stands only "
        "in objects further down.",
    ),
    "AIG2011": (
        "error",
        "a gateway without the part that the project requires",
        "`require` in aigw-compile.yaml says which gateways must refer to which part, directly or through other parts.",
    ),
    "AIG2012": (
        "error",
        "a part that has errors",
        "A gateway is not compiled from a part whose own file, contract or parts have errors; they are reported there.",
    ),
    "AIG2013": (
        "error",
        "a digest that `pin` cannot write",
        "`aigw-compile pin` changes a file only where the text stays what it was but for the digests. A configRef behind an "
        "alias, or in an unusual form of YAML, is left alone: write the digest by hand, or the reference in a plain form.",
    ),
    "AIG2020": (
        "error",
        "a locked field is changed",
        "A part locks the field: whoever refers to the part, and every other part beside it, leaves it as it is. A field "
        "that is locked and unset stays unset. With `allow: add`, items may be added, and nothing else changed.",
    ),
    "AIG2021": (
        "hint",
        "a locked field is repeated",
        "A part locks the field and has this value already. Repeating it has no effect: delete the line.",
    ),
    "AIG2022": (
        "error",
        "something is deleted or replaced that a part holds on to",
        "Deleting an object or list item, replacing it (`$patch`), or changing its `type` would take away what a part "
        "locks or hides inside of it.",
    ),
    "AIG2023": (
        "error",
        "the destination of somebody else's credential is changed",
        "Where a credential comes from a part, nobody else sets the fields that say where it is sent (`type`, `baseUrl`, "
        "`headers`, `tls`, the block of the type), or any field of a part's vault, store or token issuer: the credential "
        "would go to another host. The part can list exceptions in `fields.open`.",
    ),
    "AIG2024": (
        "error",
        "a secret that may not be named here",
        "`fields.secrets` of a part lists the only references to secrets that others may write: otherwise a gateway "
        "could read any variable or file of the machine that it runs on.",
    ),
    "AIG2025": (
        "error",
        "a constraint of a part is not met",
        "`fields.constrain` of a part gives a JSON Schema for a field; durations are compared in seconds, sizes in "
        "bytes. With `required: true` the field must be set in every item that matches.",
    ),
    "AIG2026": (
        "error",
        "a part hides a required field that nobody sets",
        "The field is required and hidden, so that whoever refers to the part cannot set it. The part, or one that it "
        "builds on, has to set it.",
    ),
    "AIG2027": (
        "error",
        "an item that cannot be added here",
        "The part leaves only some fields of the items open. Items that exist can be changed in those; one that is "
        "added would lack the others.",
    ),
    "AIG2030": (
        "error",
        "a path in a contract that can match nothing",
        "Paths are relative to the type that the part is for: `models[*].policies.limits[daily].tokens`. `[*]` is every "
        "item, `[name]` one of them.",
    ),
    "AIG2031": (
        "error",
        "a contract that cannot be kept",
        "`lock` with `allow: add` stands only where adding can do nothing but tighten: deny lists, limits, "
        "ipRestriction.deny. `constrain` takes a JSON Schema without references, its patterns RE2. `expose` and `hide` "
        "exclude each other, and `expose` is not empty.",
    ),
    "AIG2032": (
        "error",
        "a friend that does not exist",
        "A part that is listed in `friends` is bound by neither hide nor lock. It has to exist: otherwise whoever creates "
        "a part of that name first would be the friend. `{name, path}` also says where it stands.",
    ),
    "AIG2033": (
        "warning",
        "a lock that leaves a door open",
        "`auth.jwt`, `auth.apiKey` or `auth.basic` is locked but not `auth`: a sibling `anonymous: true` would open the "
        "door. Lock `auth`, or hide it.",
    ),
    "AIG2034": (
        "warning",
        "a cost limit whose prices are not locked",
        "The part limits cost, and whoever refers to it can set `pricing` of a target to nearly nothing. Lock "
        "`models[*].targets[*].pricing`.",
    ),
    "AIG2036": (
        "warning",
        "a part with credentials that lets others name any secret",
        "The part has credentials and no `fields.secrets`: whoever refers to it can name any variable or file of the "
        "gateway's machine as a credential of their own, the part's included. List the references that are theirs, such as "
        '{env: "TEAM_*"}; an empty list allows none.',
    ),
    "AIG2035": (
        "warning",
        "a locked policy that others can walk around",
        "The patterns of a guard are locked, and what it looks at (`scope`, `roles`) or does (`action`) is not. Of caches and "
        "transformers the most specific wins whole: a locked one at the gateway is replaced by one at a model, a group or "
        "a consumer. What a response guard has passed, a response transformer rewrites. Lock these too.",
    ),
}
