"""Where a database server is missing its tests are left out and said so; where one is demanded they fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.checkout import ROOT
from tests.databases.host import Host
from tests.databases.plugin import summary

CONFTEST = """
from tests.databases.ground import BRANDS
import tests.databases.redis
tests.databases.redis.shutil = type("NoPrograms", (), {"which": lambda name: None})
pytest_plugins = ["tests.databases.plugin", "tests.databases.redis"]
for kind, brand in BRANDS.items():
    BRANDS[kind] = brand._replace(program=lambda: None)
"""
SUITE = """
def test_one(mariadb_url): assert mariadb_url.startswith("mysql+asyncmy://")
def test_each(database_url): assert database_url
def test_private(private_servers): private_servers.start("mariadb")
def test_stream(redis): assert redis.names() == []
"""


def suite(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The outcome of a small suite on a machine that has no server."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_sample.py").write_text(SUITE)
    ours = ("CI", "PIKO_", "PYTEST_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments, str(folder)]
    return subprocess.run(
        command,
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["-q"], ["-q", "-n", "2"]], ids=["alone", "two workers"])
def test_tests_are_left_out_and_the_summary_says_how_to_have_them_run(
    tmp_path: Path, arguments: list[str]
) -> None:
    outcome = suite(tmp_path, *arguments)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "1 passed, 5 skipped" in outcome.stdout
    assert " LEFT OUT: nothing was tried with these" in outcome.stdout
    assert "MariaDB: tests left out: 3. To run them: apt-get install mariadb-server, or set" in outcome.stdout
    assert "PostgreSQL: tests left out: 1. To run them: apt-get install postgresql, or set" in outcome.stdout
    assert "Redis: tests left out: 1. To run them: apt-get install redis-server" in outcome.stdout


@pytest.mark.parametrize("variable", [{"CI": "true"}, {"PIKO_TEST_REQUIRE_ALL": "1"}], ids=str)
def test_tests_fail_where_databases_are_demanded(tmp_path: Path, variable: dict[str, str]) -> None:
    outcome = suite(tmp_path, "-q", **variable)
    assert outcome.returncode == 1
    assert "MariaDB is required here and not installed: apt-get install mariadb-server" in outcome.stdout
    assert "skipped" not in outcome.stdout


def test_a_server_named_by_a_variable_is_used_and_left_as_it_was(tmp_path: Path, mariadb: Host) -> None:
    before = mariadb.execute("SHOW DATABASES")
    outcome = suite(tmp_path, "-q", PIKO_TEST_MARIADB_DSN=mariadb.url().replace("+asyncmy", ""))
    assert "3 passed, 3 skipped" in outcome.stdout, outcome.stdout + outcome.stderr
    assert mariadb.execute("SHOW DATABASES") == before


def test_nothing_is_said_of_tests_that_were_left_out_for_other_reasons() -> None:
    assert summary(["('test_x.py', 3, 'Skipped: not on this machine')", ""]) == []
