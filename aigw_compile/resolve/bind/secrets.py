"""The SecretRefs and names of every layer to what a part does not leave to others."""

from __future__ import annotations

from aigw_compile.diagnostic import Json, Pointer, Related, did_you_mean
from aigw_compile.mask import shown
from aigw_compile.resolve.bind.told import Told
from aigw_compile.resolve.contract import FIELDS, allows
from aigw_compile.resolve.layers import Entry, Layer
from aigw_compile.resolve.merged import Layering, Mount
from aigw_compile.resolve.parts import Part
from aigw_compile.resolve.paths import Item, Path, Step, written
from aigw_compile.resolve.shapes import KEYED, Shape, secrets_in
from aigw_compile.resolve.survey import PATCH
from aigw_compile.units import key_of


class Named:
    """One look at what every layer names: secrets, vaults, items of its own lists."""

    def __init__(self, layering: Layering, mounts: list[Mount], tell: Told) -> None:
        self._layering = layering
        self._mounts = mounts
        self._tell = tell
        self._secrets()
        for mount in mounts:
            if not mount.layer.plain:
                self._twice(mount)

    def _twice(self, mount: Mount) -> None:
        """An item that is deleted and added anew in one layer would be nobody's: rules for names see the whole alone."""
        rest: list[tuple[Json, Shape, Pointer]] = [(mount.value, self._shape(mount.path), mount.at)]
        while rest:
            value, shape, at = rest.pop()
            if isinstance(value, dict):
                rest += [(inner, shape.step(key), (*at, key)) for key, inner in value.items()]
            elif isinstance(value, list):
                rest += [(inner, shape.step(i), (*at, i)) for i, inner in enumerate(value)]
                seen: dict[str, Pointer] = {}
                for index, item in enumerate(value if shape.join == KEYED else ()):
                    name = key_of(item)
                    if name in seen and (_patched(item) or _patched(value[int(seen[name][-1])])):
                        entry = Entry(mount.layer, None, (*at, index, "name"))
                        first = Related("the first one", (), mount.layer.span(seen[name]))
                        self._tell(
                            "AIG3002", f'the name "{name}" stands here twice', entry, name, "write one item", first
                        )
                    elif name:
                        seen[name] = (*at, index)

    def _shape(self, path: Path) -> Shape:
        shape = self._layering.shape
        for step in path:
            shape = shape.step(step if isinstance(step, str) else 0)
        return shape

    def _secrets(self) -> None:
        judges = [m for m in self._mounts if m.layer.part is not None]
        hiding = [p for m in judges if (p := m.layer.part) and not m.path and any(_vault_paths(p))]
        for mount in self._mounts:
            listed = [*secrets_in(mount.value, self._shape(mount.path), mount.at)]
            if not listed:
                continue
            for judge in judges:
                part = judge.layer.part
                if part is None or part.contract.secrets is None or self._theirs(part, mount.layer):
                    continue
                if mount.path[: len(judge.path)] == judge.path:
                    for at, ref in listed:
                        if ref != {PATCH: "delete"} and not allows(part.contract.secrets, ref):
                            self._secret(part, mount, at)
            for part in hiding:
                if not self._theirs(part, mount.layer):
                    for at, ref in listed:
                        self._vault(part, mount, at, ref)

    def _theirs(self, part: Part, layer: Layer) -> bool:
        """Say whether a layer is a part's own: a reference that its own parts write is theirs, whoever brings them in."""
        return layer.part in self._layering.library.closure(part) or self._layering.free(part, layer)

    def _secret(self, part: Part, mount: Mount, at: Pointer) -> None:
        patterns = ", ".join(shown(dict(p)) for p in part.contract.secrets or ()) or "none"
        message = f'this reference to a secret is not one that "{part.name}" leaves to you'
        related = Related("they are listed here", (), part.source.span((*FIELDS, "secrets")))
        entry = Entry(mount.layer, None, at)
        self._tell("AIG2024", message, entry, written(mount.path), f"allowed here: {patterns}", related)

    def _vault(self, part: Part, mount: Mount, at: Pointer, ref: object) -> None:
        """A vault that is hidden does not exist for others, unless the contract lists it."""
        name = ref.get("vault") if isinstance(ref, dict) else None
        if not isinstance(name, str):
            return
        if part.contract.secrets is not None and allows(part.contract.secrets, ref):  # type: ignore[arg-type]
            return
        free = self._layering.free
        held = [m for m in self._mounts if not m.path]
        own = {v.get("name") for m in held if not free(part, m.layer) for v in _vaults(m.value)}
        theirs = {v.get("name") for m in held if free(part, m.layer) for v in _vaults(m.value)}
        if name in theirs and name not in own and any(len(p) == 1 or _takes(p[1], name) for p in _vault_paths(part)):
            entry = Entry(mount.layer, None, (*at, "vault"))
            hint = did_you_mean(name, {str(n) for n in own})
            message = f'no vault "{name}" is defined'
            self._tell("AIG3001", message, entry, written(mount.path), hint)


def _vaults(value: Json) -> list[dict[str, Json]]:
    listed = value.get("vaults") if isinstance(value, dict) else None
    return [v for v in listed if isinstance(v, dict)] if isinstance(listed, list) else []


def _vault_paths(part: Part) -> list[Path]:
    """The paths that hide all vaults, or some of them whole."""
    return [t.path for t in part.contract.hide if t.path[0] == "vaults" and len(t.path) < 3]


def _takes(step: Step, name: str) -> bool:
    return isinstance(step, Item) and step.takes(name)


def _patched(item: Json) -> bool:
    return isinstance(item, dict) and PATCH in item
