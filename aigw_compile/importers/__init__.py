"""A configuration of another gateway to a spec, and to a finding for each thing in it that the spec does not carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aigw_compile.importers import kong
from aigw_compile.importers.codes import CODES
from aigw_compile.importers.record import Imported
from aigw_compile.source import Source

IMPORTERS: Mapping[str, Callable[[Source, str], Imported]] = {"kong": kong.read}
"""What a file is of -> the importer, which takes it and the name that the gateway is to have ("": from the file)."""

__all__ = ["CODES", "IMPORTERS", "Imported"]
