"""Piko Flow: typed pipelines for data jobs, with backpressure, CPU stages and honest reports."""

from piko_flow.dataflow.pipeline import Pipeline
from piko_flow.dataflow.running.engine import Engine, EngineContext, LocalEngine
from piko_flow.dataflow.running.facts import DeadLetter, EdgeReport, Progress, StageReport
from piko_flow.dataflow.running.journal import Journal, MemoryJournal
from piko_flow.dataflow.running.layout import Unit
from piko_flow.dataflow.running.observer import Observer, SilentObserver
from piko_flow.dataflow.running.options import Capacity
from piko_flow.dataflow.running.plan import Plan
from piko_flow.dataflow.running.report import RunReport
from piko_flow.dataflow.running.run import ActiveRun, run, run_sync, start
from piko_flow.dataflow.running.shipping import CannotShip, ShippingWarning
from piko_flow.dataflow.running.unit import UnitResult
from piko_flow.dataflow.running.worker_errors import (
    CannotReturn,
    CannotSend,
    RemoteError,
    WorkerDied,
    WorkersCannotStart,
)
from piko_flow.dataflow.running.worker_pool import WorkerPool
from piko_flow.dataflow.stages.batch import Batch, Fold, Throttle
from piko_flow.dataflow.stages.broadcast import Broadcast
from piko_flow.dataflow.stages.cpu import CpuMap
from piko_flow.dataflow.stages.resource import Resource, ResourcePool, RunInfo
from piko_flow.dataflow.stages.route import Route
from piko_flow.dataflow.stages.routing import Merge, On
from piko_flow.dataflow.stages.sink import Part, Receipt, Sink, SinkTarget
from piko_flow.dataflow.stages.source import ChunkReader, Reject, SliceReader, Source
from piko_flow.dataflow.stages.stage import SinkLike, SourceLike, TransformLike
from piko_flow.dataflow.stages.transform import Filter, FlatMap, Parse, Transform
from piko_flow.errors import (
    AlreadyCommitted,
    CallCancelled,
    CallExited,
    CommitFailed,
    CoroutineReturned,
    ErrorBudgetExceeded,
    ItemRejected,
    NoBranch,
    PikoFlowError,
    PipelineError,
    ResourceFailed,
    ResumeRefused,
    RunError,
    StageFailed,
    StageTypeError,
    TooManyKeys,
    Unbalanced,
)
from piko_flow.retry import Retry

__all__ = [
    "ActiveRun",
    "AlreadyCommitted",
    "Batch",
    "Broadcast",
    "CallCancelled",
    "CallExited",
    "CannotReturn",
    "CannotSend",
    "CannotShip",
    "Capacity",
    "ChunkReader",
    "CommitFailed",
    "CoroutineReturned",
    "CpuMap",
    "DeadLetter",
    "EdgeReport",
    "Engine",
    "EngineContext",
    "ErrorBudgetExceeded",
    "Filter",
    "FlatMap",
    "Fold",
    "ItemRejected",
    "Journal",
    "LocalEngine",
    "MemoryJournal",
    "Merge",
    "NoBranch",
    "Observer",
    "On",
    "Parse",
    "Part",
    "PikoFlowError",
    "Pipeline",
    "PipelineError",
    "Plan",
    "Progress",
    "Receipt",
    "Reject",
    "RemoteError",
    "Resource",
    "ResourceFailed",
    "ResourcePool",
    "ResumeRefused",
    "Retry",
    "Route",
    "RunError",
    "RunInfo",
    "RunReport",
    "ShippingWarning",
    "SilentObserver",
    "Sink",
    "SinkLike",
    "SinkTarget",
    "SliceReader",
    "Source",
    "SourceLike",
    "StageFailed",
    "StageReport",
    "StageTypeError",
    "Throttle",
    "TooManyKeys",
    "Transform",
    "TransformLike",
    "Unbalanced",
    "Unit",
    "UnitResult",
    "WorkerDied",
    "WorkerPool",
    "WorkersCannotStart",
    "run",
    "run_sync",
    "start",
]
