"""The link that `serve` prints: for a person at the terminal, and never into a log."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.system.doors import PAGE
from tests.system.serving_process import ROOT, started

SERVE = ["-m", "piko_flow.cli.main", "serve", "--port", "0"]
LINK = r"http://127\.0\.0\.1:(\d+)/login\?token=pf_[\w-]{43}"


def test_serve_with_link_prints_one_that_logs_in_once(tmp_path: Path) -> None:
    with started([*SERVE, "--link"], tmp_path, PIKO_LOG_JSON="true") as process:
        found = process.until_said(LINK)
        link = found.group(0)
        answer = httpx.get(link, headers=PAGE, timeout=60)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert httpx.get(link, headers=PAGE, timeout=60).status_code == 401
        told = [line for line in process.lines if "/login?token=" in line]
        assert told == [f"    {link}"]  # a line of its own and no line of the log
        assert "piko-flow token link" in process.said
        another = commanded(tmp_path, "token", "link")
        assert another.stdout.startswith(link.partition("/login")[0])
        assert another.stderr == ""
        assert httpx.get(another.stdout.strip(), headers=PAGE, timeout=60).status_code == 303
        process.stop()
    assert process.said.count(link) == 1
    assert "pf_" not in process.said.replace(link, "")  # which may hold these letters once more


def test_where_nobody_serves_a_link_is_at_the_address_of_the_settings_and_says_so(tmp_path: Path) -> None:
    commanded(tmp_path, "db", "init")
    told = commanded(tmp_path, "token", "link")
    assert told.stdout.startswith("http://127.0.0.1:8080/login?token=pf_")
    assert "no living replica says where it answers" in told.stderr
    named = commanded(tmp_path, "token", "link", "--url", "https://flows.example.com/")
    assert named.stdout.startswith("https://flows.example.com/login?token=pf_")
    assert named.stderr == ""


def commanded(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the command says, in this folder."""
    return subprocess.run(
        [sys.executable, "-m", "piko_flow.cli.main", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_without_a_terminal_nothing_of_a_link_is_said(tmp_path: Path) -> None:
    with started(SERVE, tmp_path) as process:
        process.until_answered("/readyz", 200)
        process.stop()
    assert "token" not in process.said


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def test_a_person_at_a_terminal_gets_a_link_without_asking(tmp_path: Path, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    process = subprocess.Popen(
        [sys.executable, *SERVE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    said = bytearray()

    def read() -> None:
        while re.search(LINK, said.decode("utf-8", "replace")) is None:
            said.extend(os.read(ours, 4096))
        process.terminate()
        try:
            while piece := os.read(ours, 4096):
                said.extend(piece)
        except OSError:  # how a terminal says that the other side has closed it
            return

    reader = Thread(target=read, name="terminal")
    reader.start()
    try:
        assert process.wait(60) == 0, said
    finally:
        process.kill()
        process.wait()
        reader.join(60)
    assert re.search(LINK, said.decode()) is not None


def test_a_store_that_is_not_there_yet_is_said_instead_of_a_link(tmp_path: Path) -> None:
    away = {
        "PIKO_DATABASE": "mysql+asyncmy://piko:hunter2@127.0.0.1:1/piko",
        "PIKO_STARTUP_MODE": "fail_open",
    }
    with started([*SERVE, "--link"], tmp_path, **away) as process:
        process.until_said("There is no link to log in yet")
        process.stop()
    assert "hunter2" not in process.said
    assert "pf_" not in process.said
