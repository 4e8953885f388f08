"""A gateway and its parts as one document: plain data, and for each place the layers that set it."""

from __future__ import annotations

from typing import NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity, Span
from aigw_compile.resolve.layers import Entry, Layer, Stack, cut, expanded, items, keys, union, without
from aigw_compile.resolve.merge import ABSENT, merge
from aigw_compile.resolve.parts import CONFIG, MOST_TOLD, Library, Part, Ref, nested, refs_of
from aigw_compile.resolve.paths import Item, Path
from aigw_compile.resolve.shapes import KEYED, MAP, SET, Shape, of_type
from aigw_compile.resolve.survey import survey
from aigw_compile.source import Source
from aigw_compile.units import key_of

MOST_VALUES = 400_000
"""Values of one gateway with its parts, at most."""
MOST_IN_ALL = {"gateways": 600_000, "parts": 10_000_000}
"""Values of all gateways, and of all parts, of a run, at most."""
OBJECT = 20
"""What a use of a part counts besides its values."""


class Mount(NamedTuple):
    """A layer, and the object of the whole that it was brought in at."""

    path: Path
    layer: Layer
    value: Json
    at: Pointer
    """Of the value, in the layer's own document."""


class Layering:
    """The layers of one object (a gateway, or a part), and what they make together."""

    def __init__(self, library: Library, source: Source, entry: tuple[Json, Pointer], part: Part | None) -> None:
        """`entry`: the object, and its place in the document; a part's references stand beside it."""
        value, at = entry
        self.library = library
        self.shape = of_type(part.type if part else "AIGateway")
        self.findings: list[Diagnostic] = []
        """About the configRefs of the document itself and of those that it reaches; with their places."""
        self._expansions: dict[tuple[int, Pointer], Stack] = {}
        self.taken: set[tuple[Layer, Pointer]] = set()
        """What is not merged, since its layer may not set it."""
        self.robbed: set[tuple[Layer, Pointer]] = set()
        """What something was taken out of."""
        self.unseen: list[tuple[Layer, Pointer]] = []
        """What of it is hidden from its layer."""
        self._mounts: list[Mount] = []
        self._size = 0
        self._free: dict[tuple[Part, Layer], bool] = {}
        self._at = at
        self.own = Layer(source, part, None, (), (part.survey if part else survey(value)).plain)
        own = Entry(self.own, value, at)
        if part:
            self.root = [*self._parts(own, part.refs), own]
        else:
            refers = isinstance(value, dict) and "configRef" in value
            self.root = [*self.expand(own, self.shape)] if refers else [own]

    def value(self) -> Json:
        """Return what the layers make together."""
        found: Json = merge(self.root, self.shape, self.expand)
        return {} if found is ABSENT else found

    def expand(self, entry: Entry, shape: Shape) -> Stack:
        """Return the entries that an object with a configRef stands for, weakest first."""
        known = self._expansions.get((id(entry.layer), entry.at))
        if known is None:
            assert isinstance(entry.value, dict)
            refs = refs_of(entry.value["configRef"], (*entry.at, "configRef"))
            own = {k: v for k, v in entry.value.items() if k != "configRef"}
            known = self._parts(entry, refs, shape)
            if known and own.get("$patch") == "replace":
                del own["$patch"]
                known[0] = known[0]._replace(fresh=True)
            known.append(entry._replace(value=own))
            self._expansions[id(entry.layer), entry.at] = known
        return known

    def _parts(self, entry: Entry, refs: list[Ref], shape: Shape | None = None) -> Stack:
        source = entry.layer.source
        type_ = (shape or self.shape).part
        steps, found = self.library.steps(refs, source, type_)
        if len(self.findings) <= MOST_TOLD:
            self.findings += [source.locate(d)._replace(span=entry.layer.span(d.at)) for d in found]
        before = self._size
        top = entry.layer is self.own and entry.at == self._at
        host = None if top else entry.layer
        beside = frozenset([step.part for step in steps] + ([entry.layer.part] if top and entry.layer.part else []))
        layers: dict[Part | None, Layer] = {None: entry.layer}
        stack: Stack = []
        for step in reversed(steps):
            by = layers.get(step.by if step.by is not entry.layer.part else None, entry.layer)
            plain = step.part.survey.plain
            layers[step.part] = Layer(step.part.source, step.part, by, step.ref.at, plain, host, beside)
            self._size += step.part.survey.size + OBJECT
            stack.append(Entry(layers[step.part], step.part.config, CONFIG))
        kind = "parts" if self.own.part else "gateways"
        self.library.values[kind] += self._size - before
        if max(self._size / MOST_VALUES, self.library.values[kind] / MOST_IN_ALL[kind]) > 1 and stack:
            message = f"with its parts this has more than {MOST_VALUES:,} values"
            if self._size <= MOST_VALUES:
                message = f"the {kind} of this run have, with their parts, more than {MOST_IN_ALL[kind]:,} values"
            at = (*entry.at, "configRef") if entry.at[-1:] != ("config",) else ("spec", "configRef")
            if not any(d.code == "AIG2008" for d in self.findings):
                one = Diagnostic("AIG2008", Severity.ERROR, message, at, "refer to a large part once, higher up")
                self.findings.append(source.locate(one)._replace(span=entry.layer.span(at)))
            return []
        return list(reversed(stack))

    def free(self, part: Part, layer: Layer) -> bool:
        """Say whether a part's contract does not bind a layer: its own, one that it brings in itself, a friend's.

        A part of its own that somebody else brings in, at another object, is bound as they are.
        """
        known = self._free.get((part, layer))
        if known is None:
            here: Layer | None = layer
            own, friends = self.library.closure(part), self.library.friends(part)
            known = False
            while here is not None and not known:
                known = here.part is part or here.part in friends or (part in here.beside and here.part in own)
                here = here.host
            self._free[part, layer] = known
        return known

    def drop(self, places: list[tuple[Layer, Pointer]]) -> None:
        """Take places out of what their layers have, as if nobody had written them."""
        places = [place for place in places if place not in self.taken]
        self.taken.update(places)
        self.robbed.update((layer, at[:-1]) for layer, at in places)
        if not places:
            return
        self._mounts = []
        of: dict[int, list[Pointer]] = {}
        for layer, at in places:
            layer.plain = False
            of.setdefault(id(layer), []).append(at)
        for stack in (self.root, *self._expansions.values()):
            kept = [entry for entry in stack if entry.at not in of.get(id(entry.layer), ())]
            for number, entry in enumerate(kept):
                deep = len(entry.at)
                inside = [at[deep:] for at in of.get(id(entry.layer), ()) if at[:deep] == entry.at]
                if inside:
                    kept[number] = entry._replace(value=without(entry.value, inside))
            stack[:] = kept

    def mounts(self) -> list[Mount]:
        """Return every layer of the object and of the objects inside it, with the place that it was brought in at."""
        if self._mounts:
            return self._mounts
        rest = [Mount((), e.layer, e.value, e.at) for e in self.root]
        found: list[Mount] = []
        while rest:
            mount = rest.pop()
            found.append(mount)
            if mount.layer.plain:
                continue
            for place, _ in nested(mount.value, mount.at):
                if place == mount.at:
                    continue
                path, entry, shape = self._inside(mount, place)
                inner = [e for e in self.expand(entry, shape) if e.layer is not mount.layer] if shape.part else []
                rest += [Mount((*mount.path, *path), e.layer, e.value, e.at) for e in inner]
        self._mounts = found
        return found

    def _inside(self, mount: Mount, place: Pointer) -> tuple[Path, Entry, Shape]:
        """Return the path of a place inside of a layer, what stands there, and its shape."""
        path: list[str | Item] = []
        value: Json = mount.value
        shape = self.shape
        for step in mount.path:
            shape = shape.step(step if isinstance(step, str) else 0)
        for inner in place[len(mount.at) :]:
            value = value[inner]  # type: ignore[index]
            shape = shape.step(inner)
            if isinstance(inner, str):
                path.append(inner)
                continue
            said: dict[str, Json] = dict(value) if isinstance(value, dict) else {}
            if "configRef" in said and not said.get("name"):
                whole = merge([Entry(mount.layer, value, place)], shape, self.expand)
                said = whole if isinstance(whole, dict) else said
            path.append(Item(key_of(said)))
        return tuple(path), Entry(mount.layer, value, place), shape


class Merged(Source):
    """A document whose configRefs are resolved: its data is the whole, its places those of the layers."""

    __slots__ = ("_base", "_children", "_known", "_own", "layering")

    def __init__(self, own: Source, layering: Layering, base: Pointer, data: Json) -> None:
        super().__init__(own.file, own.index, data, own._file)
        self._own = own
        self._base = base
        self.layering = layering
        self._known: dict[Pointer, tuple[Stack, Shape]] = {base: (layering.root, layering.shape)}
        self._children: dict[Pointer, dict[str, Stack] | list[Stack]] = {}

    def span(self, pointer: Pointer, *, on_key: bool = False) -> Span:
        """Return where the strongest layer that has the place wrote it, with the chain of configRefs.

        Where no layer has it, it is the place of what should hold it, as the strongest layer has that.
        """
        if pointer[: len(self._base)] != self._base:
            return self._own.span(pointer, on_key=on_key)
        for length in range(len(pointer), len(self._base) - 1, -1):
            found = self._effective(pointer[:length])
            if found:
                last = found[-1]
                return last.layer.span((*last.at, *pointer[length:]), on_key=on_key)
        return self._own.span(pointer, on_key=on_key)

    def hidden_spans(self) -> tuple[Span, ...]:
        """Return where parts wrote what is hidden, in whatever layer, whether it has an effect or not."""
        stacks = [found[0] for at in sorted(self.veil.hidden, key=str) if (found := self.stack(at))]
        return tuple(e.layer.source.span(e.at) for stack in stacks for e in stack if e.layer.part is not None)

    def layers(self, pointer: Pointer) -> list[tuple[Entry, bool]]:
        """Return what each layer has at a place, weakest first, and whether it has an effect there."""
        found = self.stack(pointer)
        if found is None:
            return []
        stack, shape = found
        start = cut(stack, shape)
        if shape.join not in (MAP, KEYED, SET) or not isinstance(stack[-1].value, (dict, list)):
            start = len(stack) - 1
        return [(entry, number >= start) for number, entry in enumerate(stack)]

    def stack(self, pointer: Pointer) -> tuple[Stack, Shape] | None:
        """Return what the layers have at a place of the whole, and its shape; None where none has anything."""
        if pointer in self._known:
            return self._known[pointer]
        if len(pointer) <= len(self._base) or pointer[: len(self._base)] != self._base:
            return None
        above = self.stack(pointer[:-1])
        if above is None:
            return None
        stack, shape = above
        step = pointer[-1]
        if pointer[:-1] not in self._children:
            self._children[pointer[:-1]] = self._inner(stack[cut(stack, shape) :], shape)
        children = self._children[pointer[:-1]]
        child: Stack | None
        if isinstance(children, dict):
            child = children.get(step) if isinstance(step, str) else None
        else:
            child = children[step] if isinstance(step, int) and step < len(children) else None
        if not child:
            return None
        inner = shape.step(step)
        self._known[pointer] = expanded(child, inner, self.layering.expand), inner
        return self._known[pointer]

    def _effective(self, pointer: Pointer) -> Stack:
        found = self.stack(pointer)
        return found[0][cut(*found) :] if found else []

    def _inner(self, stack: Stack, shape: Shape) -> dict[str, Stack] | list[Stack]:
        """Return what the layers have one step further: by key, or by position in the whole."""
        if not stack:
            return {}
        expand = self.layering.expand
        last = stack[-1].value
        if isinstance(last, dict):
            return keys(stack if shape.join == MAP else stack[-1:])
        if not isinstance(last, list):
            return {}
        if shape.join == KEYED:
            inner = shape.step(0)
            groups = [expanded(group, inner, expand) for group in items(stack, shape, expand).values()]
            return [group for group in groups if group[cut(group, inner) :]]
        if shape.join == SET:
            return self._each(stack[0]) if len(stack) == 1 else union(stack)
        return self._each(stack[-1])

    @staticmethod
    def _each(entry: Entry) -> list[Stack]:
        layer, value, at, _, _ = entry
        return [[Entry(layer, item, (*at, i))] for i, item in enumerate(value if isinstance(value, list) else ())]
