"""Parquet files as a source of rows; needs the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import Unpack

from piko_flow.connectors.extras import require_extra
from piko_flow.connectors.file_errors import BrokenFile
from piko_flow.connectors.input_files import InputFiles, Paths, ReadOptions, check_given, input_name, known
from piko_flow.connectors.input_store import LOCAL, InputStore
from piko_flow.connectors.object_store import StoreGiver
from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.stages.source import Reject, Source

ROWS: Final = 500  # rows given at once, so that other stages get their turn


class ParquetSource(Source[dict[str, Any]]):
    """The rows of Parquet files, each a dict from column to Python value; needs the extra `parquet`.

    `paths` is a path, a pattern, a list of them, or a function that gives them; it is looked up when the run is
    planned, and each file is a split, so a unit of its own. Only `columns` are read where they are given.
    Rows are read by batches, so memory holds some pages of each column and not the file. A file that is not
    Parquet, lacks a column or is damaged is a BrokenFile under `on_error`. Raises MissingExtra when the run
    is planned and pyarrow is not installed.
    The URL of an object, such as "s3://bucket/in/*.csv", is read from `store`: a store of obstore, or a function that
    gives one; without it obstore finds the store's settings in the environment.
    Order: files as listed, sorted within a pattern; rows as they stand in the file.
    """

    def __init__(
        self,
        paths: Paths,
        /,
        *,
        columns: Sequence[str] | None = None,
        store: StoreGiver = None,
        name: str | None = None,
        **options: Unpack[ReadOptions],
    ) -> None:
        name = input_name(paths, "parquet") if name is None else name
        names = None if columns is None else tuple(columns)
        files = ParquetFiles(paths, f"ParquetSource {name!r}", str(caller()), store)
        reader = ParquetReader(names, InputStore(store))
        super().__init__(reader, splits=files, name=name, **known(options, files))
        check_given(self, paths, options)
        if isinstance(columns, str) or (names is not None and (len(set(names)) < len(names) or not names)):
            self.refuse("columns must be a list of different names", f"got {columns!r}")


@dataclass(frozen=True)
class ParquetFiles(InputFiles):
    """Input files that only pyarrow can read."""

    def __call__(self) -> list[str]:
        require_extra("parquet", "pyarrow", what=self.what, where=self.where)
        return super().__call__()


@dataclass(frozen=True)
class ParquetReader:
    """Reads one Parquet file at a time."""

    columns: tuple[str, ...] | None = None
    files: InputStore = LOCAL

    def read_chunks(self, split: Any, *, reject: Reject) -> Iterator[list[dict[str, Any]]]:
        """Give lists of up to 500 rows. Raises OSError when the file cannot be opened."""
        from pyarrow import ArrowException, parquet

        with closing(self.files.open(split)) as file:
            try:
                content = parquet.ParquetFile(file)
                self._check(content.schema_arrow.names)
                for batch in content.iter_batches(batch_size=ROWS, columns=self.columns and [*self.columns]):
                    yield batch.to_pylist()
            except (ArrowException, OSError, ValueError) as error:
                reject(split, BrokenFile(split, f"{error}"))

    def _check(self, names: list[str]) -> None:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"a file may name a column once, {', '.join(map(repr, twice))} came more often")
        if self.columns is not None and (missing := [name for name in self.columns if name not in names]):
            raise ValueError(f"columns {', '.join(map(repr, missing))} must exist; the file has {names}")
