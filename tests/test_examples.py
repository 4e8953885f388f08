"""The examples: lint is clean, the golden outputs are what a build writes, and accepted losses are real."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigw_compile import compiler, write
from aigw_compile.diagnostic import Severity
from aigw_compile.document import text_of
from tests import support


@pytest.mark.parametrize("folder", support.EXAMPLES, ids=lambda f: f.name)
def test_lint_finds_no_error_and_no_warning(folder: Path) -> None:
    _, checked = support.check_example(folder)
    assert [d for one in checked for d in one.diagnostics if d.severity >= Severity.WARNING] == []


@pytest.mark.parametrize("folder", support.EXAMPLES, ids=lambda f: f.name)
def test_golden(folder: Path) -> None:
    """`make golden` rewrites these; what changed is read in the diff."""
    opened, checked = support.gateways(folder)
    for one in checked:
        for choice in compiler.choices(opened.project):
            built = compiler.build(one, choice, opened.project.accepts)
            assert not [d for d in built.diagnostics if d.severity >= Severity.WARNING], built.diagnostics
            there = folder / opened.project.output / one.name / choice.name
            documents = (*built.documents, write.spec_document(one.source.data, one.source.veil.hidden))
            assert write.stale(there, documents) == []
            assert {d.filename for d in documents} == {p.name for p in there.iterdir() if p.is_file()}
            for document in documents:
                assert (there / document.filename).read_bytes() == text_of(document).encode()


@pytest.mark.parametrize("folder", support.EXAMPLES, ids=lambda f: f.name)
def test_accepted_losses_occur_and_have_a_reason(folder: Path) -> None:
    opened, checked = support.gateways(folder)
    builds = [
        compiler.build(one, choice, opened.project.accepts)
        for one in checked
        for choice in compiler.choices(opened.project)
    ]
    assert list(compiler.unused_accepts(opened.project, opened.project_source, builds)) == []
    assert all(len(accept.reason.split()) >= 4 for accept in opened.project.accepts)
