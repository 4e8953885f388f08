"""A change, with the classes that the language declares, to the change as it is: by what really gets weaker, looser or dearer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.diff import costs, words
from aigw_compile.diff.effective import UNLISTED, World, destinations, named_by, somebody, world
from aigw_compile.diff.effects import RELAXED, Effect, effects
from aigw_compile.diff.types import CLASSES, Change, Estimate
from aigw_compile.mask import HIDDEN, Veil
from aigw_compile.rules.references import uses


class Found(NamedTuple):
    """A change, and its place on each side; None where nothing there belongs to it."""

    change: Change
    at_old: Pointer | None
    at_new: Pointer | None


ASPECTS: Mapping[str, tuple[str, ...]] = {
    "promptGuard": ("checks",),
    "responseGuard": ("checks",),
    "ipRestriction": ("networks",),
    "limits": ("bounds",),
    "access": ("entry",),
    "cache": ("cache",),
    "promptDecorator": ("promptDecorator",),
    "requestTransformer": ("requestTransformer",),
    "responseTransformer": ("responseTransformer",),
}
"""A step of a place -> what of a call it can change."""
WHOLE = tuple({a for some in ASPECTS.values() for a in some})
WHOLES = {"promptDecorator", "requestTransformer", "responseTransformer"}
"""What is only compared as a whole: the language says what a change of it means, if it means anything."""
SPOKEN = ("security-relaxing", "security-tightening", "breaking", "cost", "behaviour")
"""The classes of a policy that only what really applies decides."""


class Judge:
    """Both sides, and every effect that the changes between them have on calls."""

    def __init__(
        self,
        documents: tuple[Json, Json],
        veils: tuple[Veil, Veil],
        meant: tuple[ir.Gateway | None, ir.Gateway | None] = (None, None),
    ) -> None:
        self.old, self.new = (world(d, g) for d, g in zip(documents, meant, strict=True))
        self.veils, self.documents = veils, documents
        self.crowds = [Counter(c.groups for c in w.gateway.consumers) for w in (self.old, self.new)]
        self.effects = [*effects(self.old, self.new)]
        self.everywhere = [{d for m in w.models.values() for d in destinations(m)} for w in (self.old, self.new)]

    def judged(self, found: Found) -> Change:
        """Keep a class only where it is so; add how far the change reaches, what it costs, and the words."""
        change = found.change
        aspects = _aspects(change.place, found)
        if aspects:
            return self._by_effects(found, aspects)
        kept, tail = self._by_kind(found)
        kept = kept or ("cosmetic",)
        estimate = self._estimate(found) if "cost" in kept and self._open(found) else None
        change = change._replace(classes=_by_weight(kept), reach=self._reach(found), estimate=estimate)
        return self._said(change, tail)

    def _estimate(self, found: Found) -> Estimate | None:
        """What the calls of a model cost that is on both sides."""
        kind, name = self._scope(found)
        if kind != "models" or name not in self.old.models or name not in self.new.models:
            return None
        return costs.of_model(self.old.models[name], self.new.models[name], (found.at_old, found.at_new))

    # --- policies and access

    def _by_effects(self, found: Found, aspects: tuple[str, ...]) -> Change:
        mine = [e for e in self.effects if e.aspect in aspects and self._touches(found, e)]
        seen = {c for e in mine for c in e.classes}
        spoken = SPOKEN if {*aspects} - WHOLES or not mine else ()
        declared = [c for c in found.change.classes if c not in spoken]
        kept = _by_weight([*declared, *seen]) or ("cosmetic",)
        kept = tuple(c for c in kept if c != "behaviour" or len(kept) == 1 or "cache" in aspects)
        reach = _reached(mine)
        reached = [self.new.models[name] for name in dict.fromkeys(e.model for e in mine)]
        estimate = None
        if "cost" in kept and self._open(found):
            sides = (self.old, self.new)
            estimate = costs.of_policy(found.change, sides, (found.at_old, found.at_new), aspects, reached)
        tail = "" if mine else "; what applies to every call stays the same"
        return self._said(found.change._replace(classes=kept, reach=reach, estimate=estimate), tail)

    def _touches(self, found: Found, effect: Effect) -> bool:
        """Whether an effect comes from this change: by the place that it was made at, within the change's own reach."""
        scope, name = self._scope(found)
        at = found.at_new or found.at_old or ()
        if scope == "consumers" and "groups" in at:
            return name in effect.callers  # whatever comes with a group
        if scope == "models" and effect.model != name:
            return False
        if scope == "consumers" and name not in effect.callers:
            return False
        for origin, place in ((effect.origin_old, found.at_old), (effect.origin_new, found.at_new)):
            if origin is not None:
                return place is not None and _related(origin, place, found)
        return True

    def _scope(self, found: Found) -> tuple[str, str]:
        """The list of the spec that a change is in, and the name of the item; by its place, since the words may hide it."""
        new = found.at_new is not None and not found.change.old
        at = (found.at_new if new else found.at_old) or ()
        kind, number = str(at[1]) if len(at) > 1 else "", at[2] if len(at) > 2 else None
        gateway = self.new.gateway if new else self.old.gateway
        items: Sequence[Any] = {
            "models": gateway.models,
            "providers": gateway.providers,
            "consumers": gateway.consumers,
            "consumerGroups": gateway.consumer_groups,
            "vaults": gateway.vaults,
            "stores": gateway.stores,
        }.get(kind, ())
        return kind, items[number].name if isinstance(number, int) and number < len(items) else ""

    # --- everything else

    def _by_kind(self, found: Found) -> tuple[tuple[str, ...], str]:
        change, place = found.change, found.change.place
        kept, at = change.classes, found.at_new or found.at_old or ()
        if at[:2] == ("spec", "models") and (len(at) in (2, 3) or at[3:4] in (("name",), ("aliases",))):
            return self._names(found)
        if at[:2] == ("spec", "models") and at[3:4] == ("targets",):
            return self._targets(found, [self._scope(found)[1]])
        if at[:2] == ("spec", "providers") and change.op != "renamed":
            return self._providers(found)
        if at[:2] == ("spec", "auth"):
            return self._doors(found)
        if (
            at[-1:] == ("address",)
            and at[1:2] in (("listeners",), ("observability",))
            and HIDDEN not in (change.before, change.after)
        ):
            return _address(change), ""
        if change.op == "renamed" and at[1:2] in (("vaults",), ("stores",), ("providers",), ("consumerGroups",)):
            return ("cosmetic",), "; whatever refers to it follows"
        if place == "deployment" or place.startswith("deployment."):
            return self._replicas(found)
        return kept, ""

    def _names(self, found: Found) -> tuple[tuple[str, ...], str]:
        """A name that clients call: it breaks them where nothing answers to it any more."""
        change = found.change
        if change.op == "added":
            kept = set(change.classes)
            model = self.new.models.get(self._scope(found)[1])
            if model is not None and len(found.at_new or ()) == 3 and destinations(model) - self.everywhere[0]:
                kept.add("data-residency")
            return tuple(kept), ""
        answers = {n for m in self.new.models.values() for n in (m.name, *m.aliases)}
        gone = self._lost_names(found) - answers
        hidden = HIDDEN in (change.before, change.after)
        if change.op == "renamed" and not gone:
            return ("behaviour",), "" if hidden else "; the old name still answers"
        if not gone and "breaking" in change.classes:
            return ("behaviour",), "" if hidden else "; what was called by it still answers"
        return change.classes, ""

    def _lost_names(self, found: Found) -> set[str]:
        change = found.change
        if change.op == "renamed":
            return {str(change.before)}
        if found.at_old and found.at_old[3:4] == ("aliases",):
            return {*change.before} if isinstance(change.before, list) else {str(change.before)}
        model = self.old.models.get(self._scope(found)[1])
        return {model.name, *model.aliases} if model else set()

    def _targets(self, found: Found, models: list[str]) -> tuple[tuple[str, ...], str]:
        """What answers: where data goes, what a call costs, and how many can answer."""
        kept = set(found.change.classes)
        pairs = [
            (self.old.models[m], self.new.models[m]) for m in models if m in self.old.models and m in self.new.models
        ]
        if not pairs:
            return tuple(kept), ""
        if "data-residency" in kept and not any(destinations(b) - destinations(a) for a, b in pairs):
            kept.discard("data-residency")
        fewer = any(_able(b) < _able(a) for a, b in pairs)
        kept = kept | {"availability"} if fewer else kept - {"availability"}
        if "parameters" not in (found.at_new or found.at_old or ()) and all(costs.same(a, b) for a, b in pairs):
            kept.discard("cost")
        unused = found.change.op == "removed" and len(found.at_old or ()) == 5 and not kept
        return tuple(kept), "; it was never chosen" if unused else ""

    def _providers(self, found: Found) -> tuple[tuple[str, ...], str]:
        name = self._scope(found)[1]
        users = [m for m, model in self.new.models.items() if any(t.provider.name == name for t in model.targets)]
        users += [m for m, model in self.old.models.items() if any(t.provider.name == name for t in model.targets)]
        if not users:
            tail = "; no model uses it" if found.change.op != "added" else ""
            return ("cosmetic",) if found.change.op != "changed" else ("behaviour",), tail
        kept = set(found.change.classes)
        if "data-residency" in kept:
            moved = any(
                destinations(self.new.models[m]) - destinations(self.old.models[m])
                for m in users
                if m in self.old.models and m in self.new.models
            )
            kept = kept if moved else kept - {"data-residency"}
        return tuple(kept) or ("behaviour",), ""

    def _doors(self, found: Found) -> tuple[tuple[str, ...], str]:
        """From everybody to a door, each door shuts out; beside another one it lets in."""
        old, new = self.old.gateway.auth, self.new.gateway.auth
        if old and new and old.anonymous and not new.anonymous:
            return ("breaking", "security-tightening"), ""
        opened = [e for e in self.effects if e.aspect == "entry" and e.classes == RELAXED]
        if "security-tightening" in found.change.classes and opened and found.change.op == "added":
            return (*found.change.classes, "security-relaxing"), ""
        return found.change.classes, ""

    def _replicas(self, found: Found) -> tuple[tuple[str, ...], str]:
        """How many run at least and at most, whichever field says so."""
        if found.change.place.split(".")[1:2] not in ([], ["replicas"], ["autoscaling"]):
            return found.change.classes, ""
        least, most = zip(*(_running(w) for w in (self.old, self.new)), strict=True)
        kept = {c for c in found.change.classes if c not in ("cost", "availability")}
        if found.change.place.endswith("Utilization"):
            return found.change.classes, ""
        kept |= {"cost"} if most[1] > most[0] or least[1] > least[0] else set()
        kept |= {"availability"} if least[1] < least[0] or most[1] < most[0] else set()
        return tuple(kept - {"behaviour"}) or ("behaviour",), ""

    # --- reach and words

    def _reach(self, found: Found) -> tuple[int, int]:
        """How many models and consumers there are behind the thing that changed."""
        scope, name = self._scope(found)
        side = self.old if found.change.old else self.new
        if scope == "models":
            model = side.models.get(name)
            return (1, self._count(side, model)) if model else (0, 0)
        if scope == "providers":
            models = [m for m in side.models.values() if any(t.provider.name == name for t in m.targets)]
            return len(models), max((self._count(side, m) for m in models), default=0)
        if scope == "consumers":
            one = side.consumers.get(name)
            return (sum(ir.may_call(m, one) for m in side.models.values()), 1) if one else (0, 0)
        if scope == "consumerGroups":
            members = [c for c in side.consumers.values() if name in c.groups and not c.name.startswith(UNLISTED)]
            return (len(side.models) if members else 0, len(members))
        if scope in ("listeners", "auth"):
            return len(side.models), sum(not c.startswith(UNLISTED) for c in side.consumers)
        if scope in ("vaults", "stores"):
            return len(_users(self.documents[not found.change.old], scope, name)), 0
        return 0, 0

    def _count(self, side: World, model: ir.Model) -> int:
        """How many consumers may call a model: those in the same groups are asked once, those that it names one by one."""
        crowds = self.crowds[side is self.new]
        found = sum(n for groups, n in crowds.items() if ir.may_call(model, somebody("", groups)))
        for name in {*named_by(model)}:
            one = side.consumers.get(name)
            if one is not None:
                found += ir.may_call(model, one) - ir.may_call(model, somebody("", one.groups))
        return found

    def _open(self, found: Found) -> bool:
        """Whether nothing that an estimate is made from is hidden."""
        if HIDDEN in (found.change.before, found.change.after):
            return False
        return not any(_tells(at) for v in self.veils for at in v.hidden)

    def _said(self, change: Change, tail: str) -> Change:
        return change._replace(sentence=words.sentence(change, tail))


def _address(change: Change) -> tuple[str, ...]:
    """Whether a port is open to more than its own machine."""
    inside = [ip_address(str(x)).is_loopback for x in (change.before, change.after)]
    kept = {c for c in change.classes if c != "security-relaxing"}
    if inside[1] > inside[0]:
        kept |= {"security-tightening", "breaking"}
    return tuple(kept | ({"security-relaxing"} if inside[0] > inside[1] else set()))


def _aspects(place: str, found: Found) -> tuple[str, ...]:
    """What of a call a change can touch; () if no call is needed to judge it."""
    at = found.at_new if found.at_new is not None and not found.change.old else found.at_old
    steps = at or ()
    if place.endswith((".reserveOutput", ".limitStore")) or place == "limitStore" or "configRef" in steps:
        return ()
    for step in steps:
        if isinstance(step, str) and step in ASPECTS and ("policies" in steps or step == "access"):
            return ASPECTS[step]
    if steps[-1:] == ("policies",):
        return tuple(a for a in WHOLE if a != "entry")
    if steps[1:2] == ("consumers",) and "groups" in steps:
        return WHOLE
    if steps[1:2] == ("consumerGroups",) and len(steps) == 3 and found.change.op != "renamed":
        return tuple(a for a in WHOLE if a != "entry")
    if steps[1:2] == ("auth",) and "groupMap" in steps:
        return ()
    return ()


def _related(origin: Pointer, at: Pointer, found: Found) -> bool:
    at = _unit(at)
    if found.change.op in ("added", "removed") and _missing(found) == at:
        return origin == at
    shared = min(len(origin), len(at))
    return origin[:shared] == at[:shared]


def _missing(found: Found) -> Pointer | None:
    """Where a change is only the container on the other side, as a unit."""
    at = found.at_old if found.change.op == "added" else found.at_new
    return None if at is None or "allow" not in at else _unit(at)


def _unit(at: Pointer) -> Pointer:
    """The part of a policy that a check or a bound is made from: one denied pattern, all allowed ones, a number of a limit."""
    for number, step in enumerate(at):
        if step in ("promptGuard", "responseGuard"):
            inner = at[number + 1 : number + 2]
            return at if inner == ("deny",) else at[: number + 2] if inner == ("allow",) else at[: number + 1]
        if step == "limits":
            return at if at[number + 2 : number + 3] in (("requests",), ("tokens",), ("cost",)) else at[: number + 2]
    return at


def _users(document: Json, kind: str, name: str) -> set[int | str]:
    """The models that a vault or a store serves by name."""
    return {at[2] for listed, at, used in uses(document) if (listed, used) == (kind, name) and at[1:2] == ("models",)}


def _tells(at: Pointer) -> bool:
    """Whether an estimate would tell what is hidden at a place."""
    kind, field = at[1:2], at[3:4]
    if {"limits", "cache", "retries"} & {*at} or at[-1:] == ("policies",) or len(at) < 2:
        return True
    return (kind == ("models",) and field in ((), ("targets",), ("loadBalancing",))) or (
        kind == ("providers",) and field in ((), ("type",))
    )


def _reached(effects: list[Effect]) -> tuple[int, int]:
    named = {c for e in effects for c in e.callers if not c.startswith(UNLISTED)}
    return len({e.model for e in effects}), len(named)


def _able(model: ir.Model) -> int:
    return sum(map(len, model.priorities()))


def _running(side: World) -> tuple[int, int]:
    deployment = side.gateway.deployment
    if deployment.autoscaling:
        return deployment.autoscaling.min_replicas, deployment.autoscaling.max_replicas
    return deployment.replicas or 1, deployment.replicas or 1


def _by_weight(found: Any) -> tuple[str, ...]:
    return tuple(sorted(set(found), key=CLASSES.index))
