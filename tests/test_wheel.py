"""The wheel works on its own: built, installed into a fresh environment, run from another folder."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_what_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "aigw_compile/compiler.py",
        "aigw_compile/py.typed",
        "aigw_compile/_data/schemas/aigateway.schema.json",
        "aigw_compile/_data/targets/features.yaml",
        "aigw_compile/_data/targets/kong/target.yaml",
    ):
        assert name in names
    assert not [n for n in names if n.startswith(("tests/", "examples/"))]


def test_it_runs_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    """Its dependencies are those of this environment; the package itself is the wheel's."""
    home = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", str(home)], check=True)
    python = home / "bin/python"
    # The environment of the tests has the dependencies; a .pth file lends them without the checkout itself.
    own = [p for p in sys.path if p.endswith("site-packages")]
    site = next(home.glob("lib/python*/site-packages"))
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", wheel], check=True)
    (site / "lent.pth").write_text("\n".join(own))
    (tmp_path / "work").mkdir()
    (tmp_path / "work/gateway.yaml").write_text((ROOT / "examples/minimal/gateway.yaml").read_text())
    (tmp_path / "work/aigw-compile.yaml").write_text("targets: {proxy: {}}\n")
    for arguments in (["--version"], ["lint"], ["build"], ["targets"], ["schema"], ["explain", "AIG3001"]):
        command = [home / "bin/aigw-compile", *arguments]
        done = subprocess.run(command, cwd=tmp_path / "work", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    where = [python, "-c", "import aigw_compile; print(aigw_compile.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert str(home) in found
    assert (tmp_path / "work/build/minimal/proxy/proxy.json").is_file()
