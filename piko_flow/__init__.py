"""Piko Flow: typed pipelines for data jobs, with backpressure, CPU stages and honest reports."""

from piko_flow.dataflow.pipeline import Pipeline
from piko_flow.dataflow.running.run import run, run_sync, start
from piko_flow.dataflow.stages.batch import Batch, Fold, Throttle
from piko_flow.dataflow.stages.broadcast import Broadcast
from piko_flow.dataflow.stages.cpu import CpuMap
from piko_flow.dataflow.stages.resource import Resource, ResourcePool, RunInfo
from piko_flow.dataflow.stages.route import Route
from piko_flow.dataflow.stages.routing import Merge, On
from piko_flow.dataflow.stages.sink import Part, Receipt, Sink, SinkTarget
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.transform import Filter, FlatMap, Parse, Transform
from piko_flow.retry import Retry

__all__ = [
    "Pipeline",
    "Batch",
    "Fold",
    "Throttle",
    "CpuMap",
    "Resource",
    "ResourcePool",
    "RunInfo",
    "Route",
    "Broadcast",
    "Merge",
    "On",
    "Part",
    "Receipt",
    "Sink",
    "SinkTarget",
    "Source",
    "Filter",
    "FlatMap",
    "Parse",
    "Transform",
    "Retry",
    "run",
    "run_sync",
    "start",
]
