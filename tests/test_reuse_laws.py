"""Laws of reuse, on whole gateways that are cut into layers: merging, provenance, contracts, the order of parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile.compiler import check_document
from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity, Span, value_at
from aigw_compile.resolve import Library, Merged, Resolved, resolve, taken_from
from aigw_compile.resolve.merged import Layering
from aigw_compile.resolve.paths import ANY, Item, Path, parse, places, written, wrong
from aigw_compile.resolve.shapes import node_of
from aigw_compile.reuse import Reuse
from aigw_compile.source import Source
from aigw_compile.source import parse as parsed
from aigw_compile.units import key_of
from tests.layered import ABSENT, SPEC, Layers, another, cut, gateway, kind, layers, node, part, spec_of

SEEDS = st.integers(0, 40)
DICE = st.integers(0, 2**32).map(Random)
COUNT = st.integers(2, 4)
law = settings(max_examples=40, deadline=None)


def canonical(value: Any, at: Pointer = SPEC) -> Any:
    """A value without the order of keys, and of items of lists that have none."""
    if isinstance(value, dict):
        return {key: canonical(value[key], (*at, key)) for key in sorted(value)}
    if isinstance(value, list):
        items = [canonical(item, (*at, 0)) for item in value]
        return (
            sorted(items, key=lambda item: json.dumps(item, sort_keys=True)) if kind(at) in ("keyed", "set") else items
        )
    return value


def spec(found: Resolved) -> Any:
    return value_at(SPEC, found.source.data)


# --- merging


def together(weak: Any, strong: Any, at: Pointer) -> Any:
    """Two layers as reuse.md says it: the slow reference."""
    if isinstance(strong, dict):
        patch = strong.get("$patch")
        if patch == "delete":
            return ABSENT
        strong = {key: value for key, value in strong.items() if key != "$patch"}
        if kind(at) != "map":
            return strong
        found = dict(weak) if isinstance(weak, dict) and patch != "replace" and not _other(weak, strong, at) else {}
        for key, value in strong.items():
            one = together(found.get(key, ABSENT), value, (*at, key))
            found.pop(key, None)
            if one is not ABSENT:
                found[key] = one
        return found
    if isinstance(strong, list) and kind(at):
        if strong[:1] == [{"$patch": "replace"}]:
            weak, strong = [], strong[1:]
        result = list(weak) if isinstance(weak, list) else []
        for item in strong:
            if kind(at) == "set":
                result += [] if item in result else [item]
                continue
            old = next((one for one in result if key_of(one) == key_of(item)), ABSENT)
            result = [one for one in result if one is not old]
            one = together(old, item, (*at, 0))
            result += [] if one is ABSENT else [one]
        return result
    return strong


def _other(weak: dict[str, Any], strong: dict[str, Any], at: Pointer) -> bool:
    """Say whether a stronger layer makes another thing of an object."""
    here = node(at)
    typed = "type" in here.get("properties", {}) and {"type"} <= weak.keys() & strong.keys()
    alone = str(here.get("x-aigw-alone", ""))
    choices = set() if alone else set(here.get("x-aigw-one-of", ()))
    one, two = choices & weak.keys(), choices & strong.keys()
    lonely = bool(alone) and bool(weak) and bool(strong) and (alone in weak) != (alone in strong)
    return (typed and weak["type"] != strong["type"]) or lonely or bool(one and two and one != two)


def patched(value: Any, at: Pointer, dice: Random) -> Any:
    """A layer with directives here and there."""
    if isinstance(value, dict) and kind(at) == "map":
        value = {key: patched(inner, (*at, key), dice) for key, inner in value.items()}
        for key in [key for key in value if key not in ("type", "name", "provider", "model")]:
            if dice.random() < 0.04:
                value[key] = {"$patch": "delete"}
        if isinstance(at[-1], int) and dice.random() < 0.06:
            return {**{k: v for k, v in value.items() if k in ("name", "provider", "model")}, "$patch": "delete"}
        return {**value, "$patch": "replace"} if dice.random() < 0.06 else value
    if isinstance(value, list) and kind(at):
        value = [patched(item, (*at, 0), dice) for item in value]
        return [{"$patch": "replace"}, *value] if dice.random() < 0.1 else value
    return another(value) if dice.random() < 0.1 and at[-1] not in ("type", "name", "provider", "model") else value


@law
@given(SEEDS, DICE, COUNT)
def test_a_gateway_cut_into_layers_is_that_gateway_again(seed: int, dice: Random, count: int) -> None:
    one = layers(cut(spec_of(seed), SPEC, dice, count), dice)
    found = one.resolved()
    assert not found.diagnostics
    assert canonical(spec(found)) == canonical(spec_of(seed))
    assert json.dumps(spec(one.resolved())) == json.dumps(spec(found))


@law
@given(SEEDS, DICE)
def test_a_layer_merged_with_itself_changes_nothing(seed: int, dice: Random) -> None:
    own = spec_of(seed)
    found = layers([own, own], dice).resolved()
    assert canonical(spec(found)) == canonical(own)


@settings(max_examples=80, deadline=None)
@given(SEEDS, SEEDS, DICE, COUNT)
def test_merging_is_that_of_the_reference(seed: int, other: int, dice: Random, count: int) -> None:
    pieces = [*cut(spec_of(seed), SPEC, dice, count), *cut(spec_of(other), SPEC, dice, count)]
    dice.shuffle(pieces)
    pieces = [patched({} if piece is ABSENT else piece, SPEC, dice) for piece in pieces]
    for piece in pieces:
        piece.pop("$patch", None)
    expected: Any = {}
    for piece in pieces:
        expected = together(expected, piece, SPEC)
    parts, document = layers(pieces, dice).sources()
    merged = Layering(Library(parts), document, (value_at(SPEC, document.data), SPEC), None).value()
    assert canonical(merged) == canonical(expected)


# --- provenance


def leaves(value: Json, at: Pointer = ()) -> Iterator[tuple[Pointer, Json]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield from (leaf for key, one in inner for leaf in leaves(one, (*at, key)))
    if not isinstance(value, (dict, list)) or not value:
        yield at, value


def every(value: Json, at: Pointer = ()) -> Iterator[Pointer]:
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield from (place for key, one in inner for place in every(one, (*at, key)))


def text(span: Span, lines: dict[str, list[str]]) -> str:
    found = lines[span.file][span.line - 1 : span.end_line]
    found[-1] = found[-1][: span.end_column - 1]
    found[0] = found[0][span.column - 1 :]
    return "\n".join(found)


@law
@given(SEEDS, DICE, COUNT)
def test_every_leaf_has_its_layers(seed: int, dice: Random, count: int) -> None:
    """What stands in the whole stands in the text of the layer that set it; what a layer wrote is in the whole or lost."""
    one = layers(cut(spec_of(seed), SPEC, dice, count), dice)
    lines = {
        f"{name}.yaml": json.dumps(data, indent=1, ensure_ascii=False).split("\n")
        for name, data in (*one.parts.items(), ("gw", one.gateway))
    }
    found = one.resolved()
    source = found.source
    assert isinstance(source, Merged)
    for at, value in leaves(spec(found), SPEC):
        if isinstance(value, (dict, list)):
            continue  # an empty one may have stood beside a configRef
        assert json.loads(text(source.span(at), lines)) == value
        entry, counts = source.layers(at)[-1]
        assert counts
        assert json.loads(text(entry.layer.span(entry.at), lines)) == value
    told: dict[tuple[Any, Pointer], bool] = {}
    for at in every(spec(found), SPEC):
        told |= {(entry.layer, entry.at): counts for entry, counts in source.layers(at)}
    for mount in found.mounts:
        for at, _ in leaves(mount.value, mount.at):
            if "configRef" in at:
                continue
            assert (mount.layer, at) in told or any(told.get((mount.layer, at[:n])) is False for n in range(len(at))), (
                at
            )


# --- contracts


def paths(value: Json, at: Pointer = SPEC) -> Iterator[Path]:
    """Every path that a contract can name in a value."""
    if isinstance(value, dict) and kind(at) == "map":
        for key, inner in value.items():
            if parse(str(key)):
                yield (key,)
                yield from ((key, *rest) for rest in paths(inner, (*at, key)))
    elif isinstance(value, list) and kind(at) == "keyed":
        for item in value:
            for step in (ANY, Item(key_of(item))):
                yield from ((step, *rest) for rest in paths(item, (*at, 0)))


def usable(path: Path) -> bool:
    """Leave out names, which address items and can always be written."""
    named = path[-1] in ("name", "provider", "model")
    return parse(written(path)) == path and not named and not wrong(path, node_of("AIGateway"))


def contracted(seed: int, dice: Random, key: str) -> tuple[Layers, list[Path]]:
    """A part with a contract on some of what it or others set, and others that set what they like."""
    own, mine, theirs = cut(spec_of(seed), SPEC, dice, 3)
    own, mine, theirs = ({} if piece is ABSENT else piece for piece in (own, mine, theirs))
    known = sorted({path for path in (*paths(own), *paths(theirs)) if usable(path)}, key=written)
    chosen = dice.sample(known, min(len(known), dice.randint(1, 4)))
    return (
        Layers(
            {
                "p": part("p", own, fields={key: [written(path) for path in chosen]}),
                "mine": part("mine", mine),
            },
            gateway({"configRef": dice.choice([["p", "mine"], ["mine", "p"], ["p"]]), **theirs}),
        ),
        chosen,
    )


def named_refs(one: Layers) -> Layers:
    one.gateway["spec"]["configRef"] = [{"name": name} for name in one.gateway["spec"]["configRef"]]
    return one


def values(path: Path, data: Json) -> list[Any]:
    return [canonical(value_at(at, data)) for at in places(path, data)]


def errors(found: Resolved) -> list[Diagnostic]:
    return [d for d in found.diagnostics if d.severity is Severity.ERROR]


@settings(max_examples=120, deadline=None)
@given(SEEDS, DICE, st.sampled_from(["lock", "hide"]))
def test_nobody_else_sets_what_is_locked_or_hidden(seed: int, dice: Random, key: str) -> None:
    """Whatever the others write: at these places the whole has what the part has, or there is an error; mostly both."""
    one, chosen = contracted(seed, dice, key)
    found = named_refs(one).resolved()
    alone = Layers(one.parts, gateway({"configRef": {"name": "p"}})).resolved()
    for path in chosen:
        mine, whole = values(path, spec(alone)), values(path, spec(found))
        assert whole == mine or errors(found), written(path)
        if key == "hide":
            set_ = [m for m in found.mounts if m.layer.part is None and any(True for _ in places(path, _raw(one)))]
            assert not set_ or errors(found)


def _raw(one: Layers) -> Json:
    return {k: v for k, v in one.gateway["spec"].items() if k != "configRef"}


@settings(max_examples=80, deadline=None)
@given(SEEDS, DICE)
def test_what_is_said_of_a_hidden_place_is_the_same_whatever_was_written(seed: int, dice: Random) -> None:
    own = spec_of(seed)
    scalars = [p for p in paths(own) if usable(p) and ANY not in p and not isinstance(_one(p, own), (dict, list))]
    path = dice.choice(scalars)
    right = _one(path, own)
    said = []
    for value in (right, another(right), another(another(right))):
        fields = {"hide": [written(path)], "lock": [written(path[:1])]}
        team: Any = value
        for step in reversed(path):
            team = [{"name": step.name, **team}] if isinstance(step, Item) else {step: team}
        one = Layers({"p": part("p", own, fields=fields)}, gateway({"configRef": {"name": "p"}, **team}))
        parts, document = one.sources()
        checked = check_document(document, None, Reuse(Library(parts)))
        said.append(
            (
                [(d.code, d.message, d.hint, d.span and (d.span.file, d.span.line)) for d in checked.diagnostics],
                checked.source.data,
            )
        )
    assert any(code == "AIG1001" for code, *_ in said[0][0])
    assert said[0] == said[1] == said[2]


def _one(path: Path, data: Json) -> Any:
    return next((value_at(at, data) for at in places(path, data)), None)


@settings(max_examples=40, deadline=None)
@given(SEEDS, DICE, st.sampled_from(["lock", "hide", "expose"]))
def test_without_the_contract_a_file_is_no_worse(seed: int, dice: Random, key: str) -> None:
    """Who is refused without it is refused with it; what is wrong by itself is said, but for where the contract refused it."""
    one = named_refs(contracted(seed, dice, key)[0])
    bare = Layers({**one.parts, "p": part("p", one.parts["p"]["spec"]["config"])}, one.gateway)
    (with_, source), (without, _) = _checked(one), _checked(bare)
    assert with_ or not without
    known = {(d.code, key) for d in with_ for key in (d.message, d.span and d.span[:5])}
    taken = source.layering.taken if isinstance(source, Merged) else set()
    regions = [layer.source.span(at[:-1]) for layer, at in taken]
    for d in without:
        assert d.span
        if not d.code.startswith("AIG1") or d.code == "AIG1002":
            continue  # of the whole: what is missing, and what follows from it, depends on what is left
        beside = taken_from(d.at, one.resolved()) or any(_inside(d.span, region) for region in regions)
        assert {(d.code, d.message), (d.code, d.span[:5])} & known or beside, d


def _checked(one: Layers) -> tuple[list[Diagnostic], Source]:
    parts, document = one.sources()
    checked = check_document(document, None, Reuse(Library(parts)))
    return [d for d in checked.diagnostics if d.severity is Severity.ERROR], checked.source


def _inside(span: Span, region: Span) -> bool:
    start, end = (region.line, region.column), (region.end_line, region.end_column)
    return span.file == region.file and start <= (span.line, span.column) < end


# --- the order of parts


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), max_size=3, unique=True), min_size=1, max_size=9))
def test_the_order_of_parts_is_that_of_pythons_classes(graph: list[list[int]]) -> None:
    """A part builds on some of those before it, the weakest first; Python's bases have the strongest first."""
    lists = [list(dict.fromkeys(n % number for n in below)) if number else [] for number, below in enumerate(graph)]
    documents: list[Source] = []
    for number, below in enumerate(lists):
        refs = [{"name": f"p{n}"} for n in below]
        documents += parsed(json.dumps(part(f"p{number}", {}, **({"configRef": refs} if refs else {}))), "f.yaml")[0]
    library = Library(documents)
    classes: list[type | None] = []
    for number, below in enumerate(lists):
        bases = [classes[n] for n in reversed(below)]
        one = library.parts[f"p{number}"]
        if None in bases:
            classes.append(None)
            continue
        try:
            made: type | None = type(f"p{number}", tuple(b for b in bases if b), {})
        except TypeError:
            made = None
        classes.append(made)
        line = [p.name for p in library.line(one)]
        assert (made is None) == any(d.code == "AIG2004" for d in library.found(one))
        assert made is None or line == [c.__name__ for c in made.__mro__[:-1]]
        for base in below:
            if made:
                strongest = [p.name for p in library.line(library.parts[f"p{base}"])]
                assert [name for name in line if name in strongest] == strongest


def test_resolving_changes_no_document() -> None:
    one = layers(cut(spec_of(1), SPEC, Random(1), 3), Random(1))
    parts, document = one.sources()
    before = json.dumps([source.data for source in (*parts, document)])
    resolve(document, Library(parts))
    assert json.dumps([source.data for source in (*parts, document)]) == before
