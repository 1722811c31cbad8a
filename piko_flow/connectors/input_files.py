"""Which files a source reads: paths, patterns, lists of them, or a function that gives them."""

from __future__ import annotations

import glob
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeAlias, cast

from typing_extensions import TypedDict

from piko_flow.connectors.extras import require_extra
from piko_flow.connectors.file_errors import InputNotFound
from piko_flow.connectors.object_store import ObjectStore, StoreGiver, is_url, split_url, url_fault
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage_options import OnError, Where
from piko_flow.known_names import did_you_mean
from piko_flow.retry import Retry

OnePath: TypeAlias = str | os.PathLike[str]
Paths: TypeAlias = OnePath | Sequence[OnePath] | Callable[[], OnePath | Sequence[OnePath]]
RULE = "a file source reads a path, a pattern, a list of them, or a function that gives them"


class ReadOptions(TypedDict, total=False):
    """The options of Source that every file source hands on."""

    on_error: OnError
    retry: Retry | None
    on: Where


@dataclass(frozen=True)
class InputFiles:
    """The files of one source. Calling it looks at the disk or the store and gives their paths, one split each.

    A pattern may hold `*`, `?`, `[...]` and `**` for any depth, and gives its files sorted; `~` is the home
    folder. Patterns and paths keep the order in which they are listed; a file that two of them name is read
    once. Raises InputNotFound for a pattern that matches nothing, a missing file, and a folder.
    """

    paths: Paths
    what: str
    where: str
    store: StoreGiver = None

    @property
    def remote(self) -> bool:
        """Whether paths are known to be URLs of objects, so that reading them waits for a network."""
        listed = self.paths if isinstance(self.paths, list | tuple) else [self.paths]
        return self.store is not None or any(map(is_url, listed))

    def __call__(self) -> list[str]:
        found: dict[str, None] = {}
        for pattern in self._patterns():
            matched = (
                self._match_objects(pattern)
                if is_url(pattern)
                else self._match(str(Path(pattern).expanduser()))
            )
            found.update(dict.fromkeys(matched))
        return list(found)

    def _match_objects(self, url: str) -> list[str]:
        require_extra("objects", "obstore", what=self.what, where=self.where)
        from piko_flow.connectors.object_matching import matching

        rule, got = url_fault(url, self.store)
        if rule:
            self._refuse(rule, got)
        bucket, key = split_url(url)
        store = ObjectStore(bucket, self.store)
        if glob.has_magic(key):
            keys = matching(store, key)
            if not keys:
                self._refuse("a pattern must match at least one object", f"nothing matches {url}")
            return [store.address(key) for key in keys]
        if store.head(key) is None:
            self._refuse("the object must exist when the run is planned", f"there is no object {url}")
        return [url]

    def _patterns(self) -> Iterator[str]:
        given = self.paths() if callable(self.paths) else self.paths
        if isinstance(given, str | os.PathLike):
            given = [given]
        if not isinstance(given, Sequence) or isinstance(given, bytes) or not given:
            self._refuse(RULE, f"the function gave {given!r:.80}")
        for path in given:
            if not isinstance(path, str | os.PathLike) or not os.fspath(path):
                self._refuse(RULE, f"the function gave {path!r:.80} for a path")
            yield os.fspath(path)

    def _match(self, pattern: str) -> list[str]:
        path = Path(pattern)
        if path.is_dir():
            name_files = f"Name its files, such as {path / '*'}"
            self._refuse("a file source reads files", f"{pattern} is a folder", name_files)
        if os.path.lexists(pattern):
            return [pattern]
        here = "" if path.is_absolute() else f"The current folder is {Path.cwd()}"
        if not glob.has_magic(pattern):
            self._refuse("the file must exist when the run is planned", f"there is no file {pattern}", here)
        # Path.glob would match hidden files, such as the parts that a sink is writing.
        matched = glob.glob(pattern, recursive=True)  # noqa: PTH207
        files = sorted(found for found in matched if Path(found).is_file())
        if not files:
            self._refuse("a pattern must match at least one file", f"nothing matches {pattern}", here)
        return files

    def _refuse(self, rule: str, got: str, advice: str = "") -> NoReturn:
        raise InputNotFound(what=self.what, where=self.where, rule=rule, got=got, advice=advice)


def input_name(paths: Paths, fallback: str) -> str:
    """What a stage that reads these paths is called: the last piece of the first path."""
    first = paths[0] if isinstance(paths, Sequence) and not isinstance(paths, str) and paths else paths
    if isinstance(first, str | os.PathLike):
        return Path(first).name or fallback
    return fallback


def known(options: ReadOptions, files: InputFiles) -> ReadOptions:
    """Those of the options that a file source hands on to Source; `check_given` refuses the others.

    Objects are read on a thread unless the options say otherwise.
    """
    kept = {name: value for name, value in options.items() if name in ReadOptions.__annotations__}
    if files.remote:
        kept.setdefault("on", "thread")
    return cast("ReadOptions", kept)


def check_given(source: Source[object], paths: Paths, options: ReadOptions) -> None:
    """Refuse in the source's name what cannot be paths, and options that it does not have; looks at no disk."""
    own = inspect.signature(type(source)).parameters.values()
    names = [one.name for one in own if one.kind is one.KEYWORD_ONLY] + [*ReadOptions.__annotations__]
    for unknown in set(options) - set(ReadOptions.__annotations__):
        advice = did_you_mean(unknown, names)
        source.refuse(f"the options are {', '.join(names)}", f"got {unknown}=", advice)
    if callable(paths):
        return
    listed = [paths] if isinstance(paths, str | os.PathLike) else paths
    if not isinstance(listed, Sequence) or isinstance(listed, bytes) or not listed:
        source.refuse(RULE, f"got {paths!r:.80}")
    for path in listed:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            source.refuse(RULE, f"got {path!r:.80} for a path")
