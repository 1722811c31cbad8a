"""What an installation holds: the whole package with its data and licence, and nothing else of the checkout."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.architecture.checkout import ROOT, tracked_files


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in a wheel built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (built,) = Path(folder).glob("*.whl")
    with ZipFile(built) as archive:
        return set(archive.namelist())


def test_the_wheel_has_every_file_of_the_package(wheel: set[str]) -> None:
    package = {path for path in tracked_files() if path.startswith("piko_flow/") and (ROOT / path).exists()}
    assert package - wheel == set()
    assert "piko_flow/py.typed" in wheel


def test_the_wheel_has_nothing_beside_the_package(wheel: set[str]) -> None:
    metadata = {name for name in wheel if name.startswith("piko_flow-0.1.0.dist-info/")}
    assert {name.partition("/")[0] for name in wheel - metadata} == {"piko_flow"}
    assert "piko_flow-0.1.0.dist-info/licenses/LICENSE" in metadata
