"""Files in an object store: the same sources and sinks, over a real server that speaks S3."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from piko_flow import Parse, Sink, run
from piko_flow.connectors import extras
from piko_flow.connectors.files import CsvSink, CsvSource, MissingExtra
from piko_flow.dataflow.stages.sink import Part
from tests.databases.buckets import Bucket


class Order(BaseModel):
    id: int
    total: float


async def test_rows_go_from_one_object_to_another(bucket: Bucket) -> None:
    import obstore

    for number in range(3):
        obstore.put(bucket.store(), f"in/{number}.csv", f"id,total\n{number},1.5\n{number + 3},2\n".encode())
    source = CsvSource(f"{bucket.url}/in/*.csv", store=bucket.store)
    sink = CsvSink(f"{bucket.url}/out/orders.csv.gz", store=bucket.store)
    report = await run(source >> Parse(Order) >> Sink(sink, batch=500))
    size = len(obstore.get(bucket.store(), "out/orders.csv.gz").bytes())
    assert report.written == (f"{bucket.url}/out/orders.csv.gz: 6 rows, {size} B",)
    assert bucket.keys() == ["in/0.csv", "in/1.csv", "in/2.csv", "out/orders.csv.gz"]
    again = await CsvSource(f"{bucket.url}/out/*.csv.gz", store=bucket.store).collect()
    assert [int(row["id"]) for row in again] == [0, 3, 1, 4, 2, 5]


async def test_without_obstore_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str) -> None:
        return None

    monkeypatch.setattr(extras, "find_spec", find_nothing)
    advice = r"test_files_objects.py:\d+\): it needs obstore; it is not installed. .*pip install 'piko-flow\[objects\]'"
    with pytest.raises(MissingExtra, match=advice):
        CsvSource("s3://bucket/rows.csv").resolve_splits()
    with pytest.raises(MissingExtra, match=advice):
        await CsvSink("s3://bucket/rows.csv").open(Part("run", "unit"))
