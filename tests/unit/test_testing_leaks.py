"""The leak check: what it finds, what it lets pass, and that it fails where something is left."""

import asyncio
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from piko_flow.testing import Leaked, no_leaks


def test_nothing_left_passes() -> None:
    with no_leaks(), Path(__file__).open():
        pass


def test_an_open_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "open file"
    path.touch()
    with pytest.raises(Leaked, match="open file"), no_leaks(grace=0):
        left = path.open()
    left.close()


def test_a_socket_is_found() -> None:
    with pytest.raises(Leaked, match="socket"), no_leaks(grace=0):
        left = socket.socket()
    left.close()


def test_a_thread_is_named() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="lingering")
    with pytest.raises(Leaked, match="thread 'lingering'"), no_leaks(grace=0):
        thread.start()
    stop.set()
    thread.join()


def test_what_is_just_ending_gets_its_grace() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    with no_leaks(grace=10):
        thread.start()
        threading.Timer(0.1, stop.set).start()
    thread.join()


def test_a_child_process_is_found_until_it_is_waited_for() -> None:
    with pytest.raises(Leaked, match=r"process \d+"), no_leaks(grace=0):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    child.communicate(b"\n")
    with no_leaks():
        subprocess.run([sys.executable, "-c", ""], check=True)


def test_a_file_below_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "before.txt").touch()
    with pytest.raises(Leaked) as caught, no_leaks(tmp_path, grace=0):
        (tmp_path / "later.txt").touch()
    assert caught.value.lines == [f"file {tmp_path / 'later.txt'}"]


async def test_a_task_is_named() -> None:
    stop = asyncio.Event()
    with pytest.raises(Leaked, match="task 'lingering'"), no_leaks(grace=0):
        task = asyncio.create_task(stop.wait(), name="lingering")
    stop.set()
    await task


def test_an_error_of_the_block_is_not_hidden_by_what_it_left() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)

    def start_and_fail() -> None:
        thread.start()
        raise KeyError

    with pytest.raises(KeyError), no_leaks(grace=0):
        start_and_fail()
    stop.set()
    thread.join()
