"""The AIG01xx codes of reading a project: for each its severity, title and explanation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CODES: Final[Mapping[str, tuple[str, str, str]]] = {
    "AIG0101": (
        "error",
        "a second project file",
        "Only the farthest aigw-compile.yaml within a repository counts. One below it would let a folder bring its own "
        "rules, so it is an error: move its settings to the root, or delete it.",
    ),
    "AIG0102": (
        "error",
        "nearly a document of ours",
        "A document whose kind is AIGateway, or nearly so, but whose apiVersion is missing or misspelt would be "
        "skipped as somebody else's. Write `apiVersion: aigw.dev/v1alpha1`.",
    ),
    "AIG0103": (
        "error",
        "two gateways of one name",
        "Outputs go to OUTPUT/<gateway>/, so the names of the gateways of a project must differ.",
    ),
    "AIG0104": (
        "error",
        "no gateway found",
        "None of the files holds a document with `apiVersion: aigw.dev/v1alpha1` and `kind: AIGateway`.",
    ),
    "AIG0105": (
        "error",
        "the project file names what does not exist",
        "aigw-compile.yaml names a target, profile or option that this version does not know, or gives an option a value that "
        "it cannot have.",
    ),
    "AIG0106": (
        "error",
        "a link or a path that leads out of the project",
        "Only files below the project's root are read. A symbolic link to anything else is not followed, and a `file` of a "
        "configRef may not leave the root, by `..` or by a link on its way, so that a pull request cannot make the compiler "
        "read, and show, files of the machine that it runs on. The message is the same whether anything stands there or not.",
    ),
    "AIG0107": (
        "error",
        "a path that names no file of the project",
        "The `file` of a configRef is the way from the file that it stands in to another YAML file of the same project, with "
        "/ between the folders: `../platform/parts.yaml`. Absolute paths, drives, backslashes and addresses are refused, and "
        "so is what does not end in .yaml or .yml: nothing else in a repository is a spec. A link must lead to such a file too.",
    ),
    "AIG0108": (
        "error",
        "a project that is too large to be read",
        "What a project reads is bounded, so that nobody can make the compiler run out of memory or time: bytes, folders, "
        "documents, values, files that hold parts, and files that configRefs name. The message says which bound was met; "
        "what comes after it is not read. Narrow `sources` or use `exclude` in aigw-compile.yaml so that only specs are read.",
    ),
    "AIG0109": (
        "hint",
        "a linked folder is not read",
        "A symbolic link to a folder outside the project is not followed, so that a pull request cannot make the compiler "
        "read files of the machine that it runs on. If specs stand there, copy them; if not, name the link in `exclude`.",
    ),
    "AIG0110": (
        "warning",
        "an option that has no effect",
        "`delegateUrl` says where a target finds the one that it hands its calls to; without `delegate` it hands on none.",
    ),
    "AIG0111": (
        "warning",
        "calls are handed on in clear over a network",
        "Between a target that keeps the edge and the one behind it go prompts, answers, and the credential with which anybody "
        "could call as any consumer. Over plain HTTP whoever is on the way reads them. Run both on one machine, or give "
        "`delegateUrl` an https address, at which something ends TLS before the one behind.",
    ),
}
