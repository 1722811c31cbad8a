"""Running a page of the documentation: its blocks one after the other, in a folder of their own.

`python` runs in the page's namespace, with `await` as in a notebook. A first line `# name.py` makes it a file that
later blocks import or run; here it is run as a module of that name. `console` runs commands, each line that begins with `$ `, and compares what follows. Any other language but
`sh` is what the block before it printed. There is no block that is not run.
"""

import ast
import asyncio
import inspect
import io
import linecache
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from sybil import Document, Example, Region
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from piko_flow.control.flows.registry import Registry, collecting
from tests.architecture.checkout import ROOT
from tests.docs.shown import difference

FILE = re.compile(r"# (\w+\.py)\n")
ZONE = "Europe/Berlin"  # of the computer on which the pages are read
OUTPUTS = frozenset({"text", "mermaid", "json", "csv"})
LEXER = FencedCodeBlockLexer(language=r"[^\n]*", mapping={"language": "language", "source": "source"})
COMMANDS = {  # the first is what an installation makes of the entry point
    "piko-flow": f"#!{sys.executable}\nfrom piko_flow.cli.main import main\nif __name__ == '__main__':\n    main()\n",
    "python": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
}
INSTALLING = (
    "sh"  # commands that fetch packages: tests/architecture compares them, the checks of a commit run them
)


def pages() -> list[str]:
    """Every page, relative to the checkout."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path.relative_to(ROOT).as_posix() for path in found]


class Block(NamedTuple):
    """One block of a page; `line` is that of the fence before it, counted from 1."""

    language: str
    source: str
    line: int


def blocks(path: str) -> list[Block]:
    """The blocks of a page, in order."""
    document = Document.parse(str(ROOT / path), LEXER)
    lines = [document.text.count("\n", 0, region.start) + 1 for _, region in document.regions]
    return [
        Block(region.lexemes["language"], str(region.lexemes["source"]), line)
        for (_, region), line in zip(document.regions, lines, strict=True)
    ]


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Modules can be imported from the folder while the block is open; afterwards they are forgotten."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        inside = [name for name, module in sys.modules.items() if _is_below(module, folder)]
        for name in inside:
            del sys.modules[name]


def _is_below(module: object, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(folder)


class Page:
    """One page in work. `run` raises AssertionError, or what a block raises, with the line of the block."""

    def __init__(self, path: str, folder: Path) -> None:
        self.path, self.folder = path, folder
        self.got: str | None = None  # what the last block printed and the page has not shown yet

    def run(self) -> None:
        """Run every block in order."""
        document = Document.parse(str(ROOT / self.path), self._blocks_of)
        # Flows of one page are not those of another, nor of the tests.
        with collecting(Registry()), importable(self.folder), asyncio.Runner() as self.runner:
            for example in document.examples():
                try:
                    example.evaluate()
                except BaseException as error:
                    error.add_note(f"{self.path}:{example.line}")
                    raise
        self._expect_nothing()

    def _blocks_of(self, document: Document) -> Iterable[Region]:
        for region in LEXER(document):
            region.parsed = (region.lexemes["language"], str(region.lexemes["source"]))
            region.evaluator = self._evaluate
            yield region

    def _evaluate(self, example: Example) -> None:
        language, source = example.parsed
        if language == INSTALLING:
            return
        if language in OUTPUTS:
            self._compare(source)
            return
        self._expect_nothing()
        if language == "python":
            self._python(source, example.namespace)
        elif language == "console":
            self._console(source)
        else:
            raise AssertionError(f"a block in {language or 'no language'} would not run")

    def _compare(self, shown: str) -> None:
        assert self.got is not None, "a block shows output, and the block before it printed none"
        assert not (told := difference(shown, self.got)), told
        self.got = None

    def _expect_nothing(self) -> None:
        assert not self.got, f"a block printed what the page does not show:\n{self.got}"
        self.got = None

    def _python(self, source: str, namespace: dict[str, Any]) -> None:
        named = FILE.match(source)
        path = self.folder / (named[1] if named else "example.py")
        if named:
            path.write_text(source, encoding="utf-8")
        namespace["__name__"] = named[1].removesuffix(".py") if named else "__main__"
        # So that what reads the source finds it: dill, tracebacks.
        linecache.cache[str(path)] = (len(source), None, source.splitlines(keepends=True), str(path))
        code = compile(source, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        with redirect_stdout(io.StringIO()) as printed:
            if code.co_flags & inspect.CO_COROUTINE:
                self.runner.run(eval(code, namespace))
            else:
                exec(code, namespace)
        self.got = printed.getvalue() or None

    def _console(self, source: str) -> None:
        """Run each command and compare what it prints. It must end well unless the page shows an error."""
        first, *commands = re.split(r"^\$ ", source, flags=re.MULTILINE)
        assert not first, "a console block begins with a command"
        for text in commands:
            command, _, shown = text.partition("\n")
            ended = subprocess.run(
                ["bash", "-c", command],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                check=False,
            )
            assert not (told := difference(shown, ended.stdout)), f"$ {command}\n{told}"
            failed = shown.startswith("error: ")
            assert failed == bool(ended.returncode), f"$ {command}\nended with {ended.returncode}"

    def _environment(self) -> dict[str, str]:
        commands = self.folder / ".commands"
        commands.mkdir(exist_ok=True)
        for name, text in COMMANDS.items():
            script = commands / name
            script.write_text(text, encoding="utf-8")
            script.chmod(0o755)
        path = os.pathsep.join((str(commands), os.environ["PATH"]))
        ours = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "TZ": ZONE}
        return {**os.environ, "PATH": path, **ours}
