"""A private database server: one process on a port of the loopback, with a data folder of its own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests.databases.host import Host, Kind

STEP = 0.02  # seconds between two looks at a server that is starting or ending
PATIENCE = 60.0  # seconds for either
PORTS = range(
    20_000, 32_000
)  # below those that the system gives to outgoing connections, so a restart finds its own
WORKERS = 8  # of xdist that have ports of their own


class ServerFailed(RuntimeError):
    """A private server did not start; the end of what it wrote is in the message."""


class Server(Host):
    """A private server. Its data outlive `stop` and `kill`; its port and its URLs stay the same.

    Started from the main thread, it ends with the process of the tests however that ends.
    """

    graceful: signal.Signals

    def __init__(self, kind: Kind, folder: Path, *, account: str, options: Sequence[str]) -> None:
        self.port = free_port()
        super().__init__(kind, account.format(port=self.port))
        self.folder = folder
        self.options = list(options)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the running server's process."""
        assert self._process is not None, f"{self.kind} is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, and return when connections are taken; raises ServerFailed."""
        assert not self.running, f"{self.kind} is running already"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        if not wait_until(lambda: self._takes_connections() or not self.running) or not self.running:
            self.kill()
            tail = (self.folder / "log").read_text(errors="replace").splitlines()[-20:]
            raise ServerFailed("\n".join([f"{self.kind} did not start:", *tail]))

    def stop(self) -> None:
        """End the server as an administrator does; connections are closed. No effect when it is not running."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(self.graceful)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End the server with SIGKILL, every process of it; what it had not committed is lost."""
        if self._process is None:
            return
        family = [self.pid, *children(self.pid)] if self.running else []
        for member in family:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        self._process.wait()
        wait_until(lambda: all(ended(member) for member in family))
        self._process = None

    def restart(self) -> None:
        """Stop and start again."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the server: connections stay open and nothing is answered, until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)
        if not wait_until(lambda: stopped(self.pid)):
            raise ServerFailed("it goes on")

    def resume(self) -> None:
        """Let a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def remove(self) -> None:
        """Stop and delete the data."""
        self.stop()
        shutil.rmtree(self.folder)

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _takes_connections(self) -> bool: ...


def bound_to_us(signal_name: str) -> list[str]:
    """What a command begins with so that its process gets the signal when ours ends, even by kill -9.

    Linux sends it when the thread ends that started the process, so only the main thread asks for it.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return []
    return [setpriv, "--pdeathsig", signal_name]


def free_port() -> int:
    """A port of the loopback that nobody listens on now, and that no other worker of xdist is about to take."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    own = PORTS[int(worker.removeprefix("gw")) % WORKERS :: WORKERS] if worker else PORTS
    for port in random.SystemRandom().sample(own, len(own)):
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port
    raise ServerFailed("no free port")


def wait_until(holds: Callable[[], bool]) -> bool:
    """Whether it came to hold within PATIENCE."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / STEP)):
        if holds():
            return True
        pause.wait(STEP)
    return holds()


def children(pid: int) -> list[int]:
    """The ids of a process's children, those of every thread of it."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended meanwhile
            found += map(int, thread.read_text().split())
    return found


def stopped(pid: int) -> bool:
    """Whether every thread of the process stands still: the signal reaches one after the other."""
    states = set[str]()
    for status in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):  # the thread has ended meanwhile
            states.add(status.read_text().rpartition(")")[2].split()[0])
    return states == {"T"}


def ended(pid: int) -> bool:
    """Whether the process is gone, or dead and only waiting to be collected by whoever adopted it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
