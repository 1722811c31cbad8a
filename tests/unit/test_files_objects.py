"""Files in an object store: the same sources and sinks, over a real server that speaks S3."""

from __future__ import annotations

from pydantic import BaseModel

from piko_flow import Parse, Sink, run
from piko_flow.connectors.files import CsvSink, CsvSource
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
    assert report.written == (f"{bucket.url}/out/orders.csv.gz: 6 rows, 125 B",)
    assert bucket.keys() == ["in/0.csv", "in/1.csv", "in/2.csv", "out/orders.csv.gz"]
    again = await CsvSource(f"{bucket.url}/out/*.csv.gz", store=bucket.store).collect()
    assert [int(row["id"]) for row in again] == [0, 3, 1, 4, 2, 5]
