"""Sources and sinks for files: CSV, JSON lines and Parquet."""

from piko_flow.connectors.csv_sink import CsvSink
from piko_flow.connectors.csv_source import CsvSource
from piko_flow.connectors.extras import MissingExtra
from piko_flow.connectors.file_errors import (
    BrokenFile,
    BrokenLine,
    InputNotFound,
    ObjectStoreFailed,
    OutputRefused,
    PartLost,
)
from piko_flow.connectors.file_target import FileTarget
from piko_flow.connectors.json_lines_sink import JsonLinesSink
from piko_flow.connectors.json_lines_source import JsonLinesSource
from piko_flow.connectors.parquet_sink import ParquetSink
from piko_flow.connectors.parquet_source import ParquetSource

__all__ = [
    "CsvSource",
    "JsonLinesSource",
    "ParquetSource",
    "CsvSink",
    "JsonLinesSink",
    "ParquetSink",
    "FileTarget",
    "BrokenFile",
    "BrokenLine",
    "InputNotFound",
    "MissingExtra",
    "ObjectStoreFailed",
    "OutputRefused",
    "PartLost",
]
