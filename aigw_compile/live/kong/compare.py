"""Two sides that Kong would run to a diff: entity by entity, field by field, of what carries the tags of one gateway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aigw_compile import plugins
from aigw_compile.diagnostic import Diagnostic, Severity
from aigw_compile.diff import Change, Diff, differences
from aigw_compile.kongblocks.names import GATEWAY_TAG, TAG, gateway_tag
from aigw_compile.live.kong.normal import normal
from aigw_compile.live.kong.raw import KINDS, Entity, Ident, Kong
from aigw_compile.live.kong.secrets import FIELDS
from aigw_compile.live.secrets import Secret
from aigw_compile.live.told import Drift, Found, change, printable
from aigw_compile.mask import scrub
from aigw_compile.target import Release, TargetFacts, manifest
from aigw_compile.target import release as _release

FILE = "kong.yml"
IDENTITY: Mapping[str, Any] = {"targets": "description"}
"""For lists inside a plugin's configuration: the field that tells their items apart, where that is not `name`."""


class Pair(NamedTuple):
    """An entity on both sides, or on one."""

    old: Entity | None
    new: Entity | None


def gateways(kong: Kong) -> dict[str, int]:
    """Return the names of the gateways whose tags a side holds, each with how many entities have it."""
    found = Counter(t.removeprefix(GATEWAY_TAG) for e in kong.entities for t in e.tags if t.startswith(GATEWAY_TAG))
    return dict(sorted(found.items()))


def compare(old: Kong, new: Kong, gateway: str, target: TargetFacts) -> Drift:
    """Return what differs of a gateway, with the defaults of the Kong that runs filled in, else of the profile."""
    wanted = _release(target.profile)
    known = {_release(profile) for profile in manifest(target.name).profiles}
    runs = next((side.release for side in (old, new) if side.release), wanted)
    release = runs if runs in known else wanted
    tags = {TAG, gateway_tag(gateway)}
    before, after = (_chosen(a, b, tags) for a, b in ((old, new), (new, old)))
    pairs = _pairs(before, after)
    aligned = {p.old.ident: p.new.ident for p in pairs if p.old and p.new}
    beyond: Counter[str] = Counter()
    changes = [*_changes(pairs, aligned, old, new, release, beyond)]
    changes.sort(key=lambda c: (c.place, c.op))
    sides = ((old, before, new), (new, after, old))
    notes = tuple(note for side, chosen, other in sides for note in _notes(side, chosen, gateway, other))
    keys = sum(1 for p in pairs if p.old and p.new and _by_number(p.old, p.new))
    if keys:
        notes += (
            f"{keys} keys and passwords of consumers, which a {FILE} does not hold, were compared by number alone",
        )
    diff = Diff(gateway, False, tuple(changes), {}, (), len(pairs), tuple(dict.fromkeys(map(printable, notes))))
    found = [*_versions(old, new, wanted, target.title)]
    found += _left_out(gateway, beyond)
    found += [d for side, chosen, _ in sides for d in _findings(side, chosen, gateway)]
    return Drift(diff, tuple(dict.fromkeys(found)))


def _versions(old: Kong, new: Kong, wanted: Release, title: str) -> Iterator[Diagnostic]:
    for side in (old, new):
        if side.version and side.release != wanted:
            edition = f" {side.release.family}" if side.release else ""
            message = f"{side.title} is Kong {printable(side.version)[:40]}{edition}, and the profile is {title}"
            yield Diagnostic("AIG7101", Severity.WARNING, message, hint="choose its profile: --target kong=PROFILE")


# --- which, and which belong together


def _chosen(side: Kong, other: Kong, tags: set[str]) -> list[Entity]:
    """What has the tags, and what has lost them but is what the other side has."""
    there = {e.ident for e in other.entities if tags <= e.tags and KINDS[e.kind].keys}
    return [e for e in side.entities if tags <= e.tags or e.ident in there]


def _pairs(old: Sequence[Entity], new: Sequence[Entity]) -> list[Pair]:
    left = {e.ident: e for e in old if KINDS[e.kind].keys}
    pairs: list[Pair] = []
    alone: list[Entity] = []
    for entity in new:
        if KINDS[entity.kind].keys:
            match = left.pop(entity.ident, None)
            pairs += [Pair(match, entity)] if match else []
            alone += [] if match else [entity]
    pairs += _alike(
        [*left.values(), *(e for e in old if not KINDS[e.kind].keys)],
        alone + [e for e in new if not KINDS[e.kind].keys],
    )
    return pairs


def _alike(old: Sequence[Entity], new: Sequence[Entity]) -> Iterator[Pair]:
    """Pair what has no name of its own: certificates by what they are, keys of a consumer by what they hold, or by number."""
    known: dict[Any, list[Entity]] = {}
    for entity in old:
        for content in _contents(entity):
            known.setdefault(content, []).append(entity)
    taken: set[int] = set()
    single: list[Entity] = []
    for entity in new:
        match = next((e for content in _contents(entity) for e in known.get(content, ()) if id(e) not in taken), None)
        if match:
            taken.add(id(match))
            yield Pair(match, entity)
        else:
            single.append(entity)
    left: dict[Any, list[Entity]] = {}
    for entity in reversed(old):
        if id(entity) not in taken:
            left.setdefault((entity.kind, entity.home), []).append(entity)
    for entity in single:
        held = left.get((entity.kind, entity.home))
        yield Pair(held.pop() if held and not KINDS[entity.kind].keys else None, entity)
    yield from (Pair(e, None) for held in left.values() for e in held)


def _contents(entity: Entity) -> Iterator[tuple[Any, ...]]:
    """What an entity is the same by, where its name does not tell."""
    fields = ("id", "cert") if entity.kind == "certificates" else () if KINDS[entity.kind].keys else FIELDS[entity.kind]
    for field in fields:
        value = entity.value.get(field)
        if isinstance(value, str) or (isinstance(value, Secret) and value.known):
            yield entity.kind, entity.home, field, value.digest if isinstance(value, Secret) else value


def _by_number(old: Entity, new: Entity) -> bool:
    return any(
        isinstance(e.value.get(f), Secret) and not e.value[f].known for e in (old, new) for f in FIELDS.get(e.kind, ())
    )


# --- what differs


def _changes(
    pairs: Sequence[Pair], aligned: Mapping[Ident, Ident], old: Kong, new: Kong, release: Release, beyond: Counter[str]
) -> Iterator[Change]:
    alone = {e.ident: e for p in pairs for e in p if e and not (p.old and p.new)}
    inside: Counter[Ident] = Counter()
    for entity in alone.values():
        home = entity.home
        while home in alone:
            inside[home] += 1
            home = alone[home].home
    for old_one, new_one in pairs:
        if old_one and new_one:
            a, b = (normal(e.kind, e.value, release) for e in (old_one, new_one))
            found = [*differences(a, b, IDENTITY, new_one.label, (), ()), *_references(old_one, new_one, aligned)]
            spec = b if new.compiled else a if old.compiled else None
            for each in (each for whole in found for each in _inner(whole)):
                if spec is not None and _beyond(new_one, each):
                    beyond[str(new_one.value.get("name"))] += 1
                else:
                    yield change(each, FILE, spec, old, new)
        elif (one := new_one or old_one) and one.home not in alone:  # else it comes, or goes, with what it belongs to
            op, side = ("added", new) if new_one else ("removed", old)
            more = f"with {inside[one.ident]} more inside" if inside[one.ident] else None
            spec = one.value if side.compiled else None
            found_one = (op, one.label, more, more, () if old_one else None, () if new_one else None)
            yield change(found_one, FILE, spec, old, new)


def _beyond(entity: Entity, found: Found) -> bool:
    """Whether a field is one that the table of a plugin leaves out: a Kong shows its default, which nobody here knows."""
    at, name = found[4] if found[4] is not None else found[5], str(entity.value.get("name"))
    inside = entity.kind == "plugins" and at is not None and at[:1] == ("config",) and plugins.known(name)
    return inside and found[0] in ("added", "removed") and at is not None and not plugins.has(name, at[1:])


def _inner(found: Found) -> Iterator[Found]:
    """A record that one side has is what is in it: an empty one is the same as none."""
    op, place, before, after, at_old, at_new = found
    record = before if before is not None else after
    if op not in ("added", "removed") or not isinstance(record, dict) or place.endswith("]"):
        yield found
        return
    for key, value in record.items():
        sides = (value, None) if op == "removed" else (None, value)
        places = tuple((*at, key) if at is not None else None for at in (at_old, at_new))
        yield from _inner((op, f"{place}.{key}", *sides, *places))


def _references(old: Entity, new: Entity, aligned: Mapping[Ident, Ident]) -> Iterator[Found]:
    """References that are no part of what tells an entity from others."""
    row = KINDS[old.kind]
    for field in () if row.within or old.kind == "plugins" else row.refs:
        was, now = old.refs.get(field), new.refs.get(field)
        if (aligned.get(was, was) if was else None) != now:
            op = "changed" if was and now else "removed" if was else "added"
            yield op, f"{new.label}.{field}", was[1] if was else None, now[1] if now else None, (field,), (field,)


# --- what is beside


def _notes(side: Kong, chosen: Sequence[Entity], gateway: str, other: Kong) -> Iterator[str]:
    if side.compiled:
        return
    yield from (f"{side.title}: {note}" for note in side.notes)
    mine = {id(e) for e in chosen}
    others = {name: n for name, n in gateways(side).items() if name != gateway and other.compiled}
    alone = sum(1 for e in side.entities if id(e) not in mine and not any(t.startswith(GATEWAY_TAG) for t in e.tags))
    if alone:
        yield f"{side.title}: {alone} {_plural(alone)} without our tags {'was' if alone == 1 else 'were'} left alone"
    if others:
        named = ", ".join(f"{name} ({n})" for name, n in [*others.items()][:8]) + (", ..." if len(others) > 8 else "")
        yield f"{side.title}: of other gateways, and left alone: {named}"


def _left_out(gateway: str, beyond: Mapping[str, int]) -> Iterator[Diagnostic]:
    for name, number in sorted(beyond.items()):
        fields = "field" if number == 1 else "fields"
        message = f"{gateway}: {number} {fields} of {name} that its table does not know were not compared"
        yield Diagnostic("AIG7104", Severity.WARNING, message)


def _plural(number: int) -> str:
    return "entity" if number == 1 else "entities"


def _findings(side: Kong, chosen: Sequence[Entity], gateway: str) -> Iterator[Diagnostic]:
    mine = {e.ident for e in chosen}
    own = {id(e) for e in chosen}
    beside = () if side.compiled else (e for e in side.entities if id(e) not in own)
    hung = [e.label for e in beside if any(ref in mine for ref in e.refs.values())]
    if hung:
        listed = ", ".join(sorted(hung)[:5]) + (f" and {len(hung) - 5} more" if len(hung) > 5 else "")
        verb = "acts" if len(hung) == 1 else "act"
        message = f"{gateway}: {len(hung)} {_plural(len(hung))} without our tags {verb} on what is ours: {listed}"
        hint = "no part of the diff: look at each, and tag or delete it"
        yield Diagnostic("AIG7102", Severity.WARNING, scrub(printable(message)), hint=hint)
    names = {str(e.value.get("name")) for e in chosen if e.kind == "plugins"}
    for name in sorted(n for n in names if not plugins.known(n)):
        message = f"{gateway}: the plugin {name} is not in the tables: its texts are not shown, nor its defaults known"
        yield Diagnostic("AIG7104", Severity.WARNING, scrub(printable(message)))
