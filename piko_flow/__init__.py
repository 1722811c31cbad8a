"""Piko Flow: typed pipelines for data jobs, with backpressure, CPU stages and honest reports; and flows, which are
pipelines and jobs under a name, with schedules and parameters in a database.

Each name is loaded when it is first used: a script pays only for the parts that it needs, and what runs a pipeline is
loaded when one runs.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from piko_flow.app import App, PortTaken
    from piko_flow.control.flows.discovery import DiscoveryFailed, discover
    from piko_flow.control.flows.flow import Flow
    from piko_flow.control.flows.registry import Registry
    from piko_flow.control.flows.run_context import BareRun, Cpu, Emitted, RunContext
    from piko_flow.dataflow.commit.accounts import UnitResult
    from piko_flow.dataflow.commit.commit import Journal, MemoryJournal
    from piko_flow.dataflow.plan.layout import Unit
    from piko_flow.dataflow.plan.plan import Plan
    from piko_flow.dataflow.plan.plan_options import Capacity
    from piko_flow.dataflow.reports.facts import DeadLetter, EdgeReport, Progress, StageReport
    from piko_flow.dataflow.reports.observer import Observer, SilentObserver
    from piko_flow.dataflow.reports.report import RunReport
    from piko_flow.dataflow.running.context import EngineContext
    from piko_flow.dataflow.running.engine import Engine, LocalEngine
    from piko_flow.dataflow.running.run import ActiveRun, run, run_sync, start
    from piko_flow.dataflow.stages.batch import Batch, Fold, Throttle
    from piko_flow.dataflow.stages.branching import Broadcast, Route
    from piko_flow.dataflow.stages.cpu import CpuMap
    from piko_flow.dataflow.stages.resource import Resource, RunInfo
    from piko_flow.dataflow.stages.resource_host import ResourcePool
    from piko_flow.dataflow.stages.routing import Merge, On
    from piko_flow.dataflow.stages.sink import Part, Receipt, Sink, SinkTarget, Transaction
    from piko_flow.dataflow.stages.source import ChunkReader, Reject, SliceReader, Source
    from piko_flow.dataflow.stages.stage import Pipeline, SinkLike, SourceLike, TransformLike
    from piko_flow.dataflow.stages.transform import Filter, FlatMap, Parse, Transform
    from piko_flow.dataflow.workers.errors import (
        CannotReturn,
        CannotSend,
        RemoteError,
        WorkerDied,
        WorkersCannotStart,
    )
    from piko_flow.dataflow.workers.pool import WorkerPool
    from piko_flow.dataflow.workers.shipping import CannotShip, ShippingWarning
    from piko_flow.errors import (
        AlreadyCommitted,
        CallCancelled,
        CallExited,
        ClaimLost,
        CommitFailed,
        CoroutineReturned,
        ErrorBudgetExceeded,
        FlowError,
        ItemRejected,
        LeadershipLost,
        NoBranch,
        PikoFlowError,
        PipelineError,
        RequestRefused,
        ResourceFailed,
        ResumeRefused,
        RunError,
        ScheduleError,
        StageFailed,
        StageTypeError,
        StoreUnavailable,
        TermOutdated,
        ThreadsStuck,
        TooManyKeys,
        Unbalanced,
    )
    from piko_flow.planning.cron import Cron
    from piko_flow.planning.date import Date
    from piko_flow.planning.interval import Interval
    from piko_flow.planning.trigger import Trigger, explain_fire, last_fire, next_fires
    from piko_flow.planning.trigger_row import row_from_trigger, trigger_from_row
    from piko_flow.planning.window import BackfillPolicy, Window, newest_window, windows
    from piko_flow.retry import Retry
    from piko_flow.settings import Settings, SettingsRefused, UnknownSetting, load_settings

_NAMES: Final = {
    "piko_flow.app": "App PortTaken",
    "piko_flow.control.flows.discovery": "DiscoveryFailed discover",
    "piko_flow.control.flows.flow": "Flow",
    "piko_flow.control.flows.registry": "Registry",
    "piko_flow.control.flows.run_context": "BareRun Cpu Emitted RunContext",
    "piko_flow.dataflow.commit.commit": "Journal MemoryJournal",
    "piko_flow.dataflow.commit.accounts": "UnitResult",
    "piko_flow.dataflow.plan.layout": "Unit",
    "piko_flow.dataflow.plan.plan_options": "Capacity",
    "piko_flow.dataflow.plan.plan": "Plan",
    "piko_flow.dataflow.reports.facts": "DeadLetter EdgeReport Progress StageReport",
    "piko_flow.dataflow.reports.observer": "Observer SilentObserver",
    "piko_flow.dataflow.reports.report": "RunReport",
    "piko_flow.dataflow.running.context": "EngineContext",
    "piko_flow.dataflow.running.engine": "Engine LocalEngine",
    "piko_flow.dataflow.running.run": "ActiveRun run run_sync start",
    "piko_flow.dataflow.stages.batch": "Batch Fold Throttle",
    "piko_flow.dataflow.stages.branching": "Broadcast Route",
    "piko_flow.dataflow.stages.cpu": "CpuMap",
    "piko_flow.dataflow.stages.resource": "Resource RunInfo",
    "piko_flow.dataflow.stages.resource_host": "ResourcePool",
    "piko_flow.dataflow.stages.routing": "Merge On",
    "piko_flow.dataflow.stages.sink": "Part Receipt Sink SinkTarget Transaction",
    "piko_flow.dataflow.stages.source": "ChunkReader Reject SliceReader Source",
    "piko_flow.dataflow.stages.stage": "Pipeline SinkLike SourceLike TransformLike",
    "piko_flow.dataflow.stages.transform": "Filter FlatMap Parse Transform",
    "piko_flow.dataflow.workers.errors": "CannotReturn CannotSend RemoteError WorkerDied WorkersCannotStart",
    "piko_flow.dataflow.workers.pool": "WorkerPool",
    "piko_flow.dataflow.workers.shipping": "CannotShip ShippingWarning",
    "piko_flow.errors": "AlreadyCommitted CallCancelled CallExited ClaimLost CommitFailed CoroutineReturned ErrorBudgetExceeded FlowError ItemRejected LeadershipLost NoBranch PikoFlowError PipelineError RequestRefused ResourceFailed ResumeRefused RunError ScheduleError StageFailed StageTypeError StoreUnavailable TermOutdated ThreadsStuck TooManyKeys Unbalanced",
    "piko_flow.planning.cron": "Cron",
    "piko_flow.planning.date": "Date",
    "piko_flow.planning.interval": "Interval",
    "piko_flow.planning.trigger": "Trigger explain_fire last_fire next_fires",
    "piko_flow.planning.trigger_row": "row_from_trigger trigger_from_row",
    "piko_flow.planning.window": "BackfillPolicy Window newest_window windows",
    "piko_flow.retry": "Retry",
    "piko_flow.settings": "Settings SettingsRefused UnknownSetting load_settings",
}
"""Each module, and the public names that are loaded from it. Checkers read the imports above, which say the same."""

_MODULES: Final = {name: module for module, names in _NAMES.items() for name in names.split()}

if not TYPE_CHECKING:  # to a checker this would mean that every name exists

    def __getattr__(name: str) -> object:
        if (module := _MODULES.get(name)) is None:
            raise AttributeError(
                f"module 'piko_flow' has no attribute {name!r}", name=name, obj=sys.modules[__name__]
            )
        value = globals()[name] = getattr(import_module(module), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "ActiveRun",
    "AlreadyCommitted",
    "App",
    "BackfillPolicy",
    "BareRun",
    "Batch",
    "Broadcast",
    "CallCancelled",
    "CallExited",
    "CannotReturn",
    "CannotSend",
    "CannotShip",
    "Capacity",
    "ChunkReader",
    "ClaimLost",
    "CommitFailed",
    "CoroutineReturned",
    "Cpu",
    "CpuMap",
    "Cron",
    "Date",
    "DeadLetter",
    "DiscoveryFailed",
    "EdgeReport",
    "Emitted",
    "Engine",
    "EngineContext",
    "ErrorBudgetExceeded",
    "Filter",
    "FlatMap",
    "Flow",
    "FlowError",
    "Fold",
    "Interval",
    "ItemRejected",
    "Journal",
    "LeadershipLost",
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
    "PortTaken",
    "Progress",
    "Receipt",
    "Registry",
    "Reject",
    "RemoteError",
    "RequestRefused",
    "Resource",
    "ResourceFailed",
    "ResourcePool",
    "ResumeRefused",
    "Retry",
    "Route",
    "RunContext",
    "RunError",
    "RunInfo",
    "RunReport",
    "ScheduleError",
    "Settings",
    "SettingsRefused",
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
    "StoreUnavailable",
    "TermOutdated",
    "ThreadsStuck",
    "Throttle",
    "TooManyKeys",
    "Transaction",
    "Transform",
    "TransformLike",
    "Trigger",
    "Unbalanced",
    "Unit",
    "UnitResult",
    "UnknownSetting",
    "Window",
    "WorkerDied",
    "WorkerPool",
    "WorkersCannotStart",
    "discover",
    "explain_fire",
    "last_fire",
    "load_settings",
    "newest_window",
    "next_fires",
    "row_from_trigger",
    "run",
    "run_sync",
    "start",
    "trigger_from_row",
    "windows",
]
