"""What the reference covers, in its order: a title, a text, a module and the names from it."""

from typing import Final, NamedTuple

from tests.docs.settings_table import settings_table

INTRODUCTION: Final = """\
# Reference

Every public name, its promise and its options, written from the docstrings of the code. The words are those of the
[concepts](concepts.md). A bare number of seconds may always be a `timedelta`. Every stage has an option `name`,
which reports and graphs show; left out, it is the name of its function."""


# What the library makes and hands out, so that nobody calls its constructor.
MADE_FOR_YOU: Final = frozenset(
    {
        *("ActiveRun", "Plan", "RunReport", "Progress", "StageReport", "EdgeReport", "DeadLetter", "Part"),
        *("Flow", "RunContext", "BareRun", "Emitted", "Trigger", "FlowWorld", "Simulated"),
    }
)
RAISED_BY_YOU: Final = frozenset({"ItemRejected"})
NOT_FOR_YOU: Final = frozenset(
    {
        *("background", "ActiveRun.run", "travelling", "happen", "prove", "call", "note", "at_or_before"),
        *("settings_customise_sources", "model_post_init"),
    }
)

OPTIONS_OF_A_RUN: Final = """\
The options of all three:

| option | default | meaning |
|---|---|---|
| `max_errors` | `None` | how many items (`int`), or which share of those read (`float`), may be skipped or dead; `None` is any number |
| `capacity` | `1024` | items that each channel holds; a `Capacity` bounds their weight too |
| `validate` | `False` | check the values at every joint with Pydantic |
| `engine` | `LocalEngine()` | where units run |
| `pool` | a pool of the run's own | worker processes shared with other runs |
| `resources` | `None` | where resources of scope "app" are kept open |
| `observer` | nobody | who is told what happens |
| `journal` | `MemoryJournal()` | where receipts and the decision are kept |
| `run_id` | a new one | the name of the run, under which it can be resumed |
| `since` | `None` | the position from which an unbounded source goes on |
| `teardown` | `30` | seconds that each step of cleaning up may take (a part's abort, a resource's closing, a sweep; a commit, once the run is cancelled); what has not ended then is named in `leftovers` and left alone |"""

OPTIONS_OF_A_FLOW: Final = """\
The options of `Flow.register`, besides its name and what it registers:

| option | default | meaning |
|---|---|---|
| `params` | `None` | the Pydantic model of the parameters; without one they are a dictionary |
| `schedule` | `None` | a trigger; writes the flow's row when the flow is first seen, from then on the row rules |
| `misfire_grace`, `coalesce`, `max_instances`, `concurrency_group`, `max_lookback_window` | the settings', the columns' | what that row gets: [rows](semantics/rows.md#the-schedule-scheduled_job) |
| `stateful` | `False` | runs cover [windows](semantics/windows.md) |
| `backfill` | `BackfillPolicy.SKIP` | what becomes of windows that were missed |
| `begin` | `None` | where the first window starts; without it at the newest complete one |
| `strict_order` | `False` | a window is planned only when everything before it is settled |
| `after` | `None` | the stateful flow whose ledger must cover a window before it is due |
| `retry` | `1` | a `Retry`, or how many attempts a run has |
| `timeout` | `None` | for one attempt |
| `resources` | `None` | of a plain job: what is opened for it and handed in by name |
| `execute` | the setting | `"leader"`: only the leader runs it |
| `schema_version` | `None` | the only one that parameter rows may have |
| `redact` | `()` | fields of items whose values are kept nowhere when an item fails, besides those of the setting |
| `tags` | `()` | texts for people |
| `registry` | that of the process | where the flow goes |
| `max_errors`, `capacity`, `validate`, `engine`, `teardown` | as for a run | options of its runs: [running](#running) |"""


class Subject(NamedTuple):
    """A part of the reference; without a title it goes on with the part before."""

    title: str
    text: str
    module: str
    names: str


SUBJECTS: Final = (
    Subject(
        "Stages",
        "`>>` joins them; all are frozen. What the options mean together: [errors](semantics/errors.md#while-running).",
        "piko_flow",
        "Source Transform Filter FlatMap Parse CpuMap Batch Fold Throttle Route On Broadcast Merge Sink Retry",
    ),
    Subject(
        "Chains",
        "What `>>` makes. These are the names for annotations of functions that take or give a part of a pipeline.",
        "piko_flow",
        "Pipeline SourceLike TransformLike SinkLike",
    ),
    Subject("Running", "", "piko_flow", "run start run_sync"),
    Subject("", OPTIONS_OF_A_RUN, "piko_flow", "Capacity ActiveRun"),
    Subject("", "", "piko_flow", "Plan"),
    Subject("Reports", "", "piko_flow", "RunReport Progress StageReport EdgeReport DeadLetter"),
    Subject("Resources", "", "piko_flow", "Resource ResourcePool RunInfo"),
    Subject("Sinks that write through an object", "", "piko_flow", "SinkTarget Part Receipt Transaction"),
    Subject("Sources that are objects", "", "piko_flow", "ChunkReader SliceReader Reject"),
    Subject(
        "Files",
        "Parquet needs the extra `parquet`. See [read and write files](how-to/read-and-write-files.md).",
        "piko_flow.connectors.files",
        "CsvSource JsonLinesSource ParquetSource CsvSink JsonLinesSink ParquetSink FileTarget "
        "BrokenLine BrokenFile InputNotFound ObjectStoreFailed OutputRefused MissingExtra PartLost",
    ),
    Subject(
        "Databases",
        "PostgreSQL needs the extra `postgres`. See [read and write databases](how-to/read-and-write-databases.md).",
        "piko_flow.connectors.sql",
        "SqlSource SqlChanges SqlSink DatabaseFailed NoUniqueKey RowsRefused SqlRefused TooManyRows",
    ),
    Subject(
        "Services over HTTP",
        "They need the extra `http`. See [call an API](how-to/call-an-api.md).",
        "piko_flow.connectors.http",
        "HttpSource HttpLookup HttpClient NextLink LinkHeader PageToken PageNumber Offset Page RateLimit "
        "HttpFailed NoAnswer BadStatus BadAnswer BadPaging TurnTooLate",
    ),
    Subject(
        "Redis streams",
        "They need the extra `redis`. See [read and write streams](how-to/read-and-write-streams.md).",
        "piko_flow.connectors.redis_streams",
        "RedisStreamSource RedisStreamSink StreamEntry RedisFailed EntriesLost EntriesGone BrokenEntry",
    ),
    Subject(
        "Spools",
        "See [spool and emit](how-to/spool-and-emit.md).",
        "piko_flow.connectors.spool",
        "Spool LiveSpool SpoolState Spooled SpooledLetter DeadLetters BrokenSpool NotKept SpoolClosed SpoolRefused "
        "SpoolUnavailable",
    ),
    Subject("Engines, journal, workers", "", "piko_flow", "Engine LocalEngine EngineContext Unit UnitResult"),
    Subject("", "", "piko_flow.engines.subprocess", "SubprocessEngine"),
    Subject("", "", "piko_flow.engines.unit_errors", "CannotTravel UnitDied InterpretersCannotStart"),
    Subject("", "", "piko_flow", "Journal MemoryJournal WorkerPool"),
    Subject("Observing a run", "", "piko_flow", "Observer SilentObserver"),
    Subject(
        "Flows",
        "Pipelines and jobs under a name: [serve flows](how-to/serve.md).",
        "piko_flow",
        "Flow RunContext Cpu BareRun Emitted",
    ),
    Subject("", OPTIONS_OF_A_FLOW, "piko_flow", "Registry discover"),
    Subject(
        "Schedules", "See [schedules](semantics/schedules.md).", "piko_flow", "Cron Interval Date Trigger"
    ),
    Subject("", "", "piko_flow", "next_fires last_fire explain_fire trigger_from_row row_from_trigger"),
    Subject("", "", "piko_flow", "Window BackfillPolicy windows newest_window"),
    Subject("Applications", "", "piko_flow", "App"),
    Subject("Settings", settings_table(), "piko_flow", "Settings load_settings"),
    Subject(
        "Errors",
        "Which comes when: [errors](semantics/errors.md).",
        "piko_flow",
        "PikoFlowError PipelineError StageTypeError RunError StageFailed ErrorBudgetExceeded Unbalanced "
        "CommitFailed ResumeRefused AlreadyCommitted ResourceFailed ItemRejected RemoteError WorkerDied CannotShip ShippingWarning",
    ),
    Subject(
        "", "", "piko_flow", "TooManyKeys NoBranch CoroutineReturned CallCancelled CallExited ThreadsStuck"
    ),
    Subject("", "", "piko_flow", "CannotSend CannotReturn WorkersCannotStart"),
    Subject(
        "",
        "Those of flows, schedules and the control half:",
        "piko_flow",
        "FlowError DiscoveryFailed ScheduleError SettingsRefused UnknownSetting RequestRefused StoreUnavailable "
        "ClaimLost LeadershipLost TermOutdated PortTaken",
    ),
    Subject("", "", "piko_flow.errors", "NotRunning"),
    Subject(
        "",
        "Requests that are refused for what is there: see [audits and conflicts](semantics/audits.md).",
        "piko_flow.errors",
        "RequestConflicts NotFound",
    ),
    Subject(
        "Testing",
        "See [test your pipeline](how-to/test-your-pipeline.md).",
        "piko_flow.testing",
        "items arriving CollectingSink FailingSink RecordingTarget Record Recorded RecordingObserver Script "
        "Outcome Fail Stall Turns turns until ManualClock cancel_everywhere no_leaks Leaked",
    ),
    Subject(
        "",
        "Flows in simulated time, see [test your flows](how-to/test-your-flows.md):",
        "piko_flow.testing",
        "simulated FlowWorld Fault FaultKind FaultRates ScriptedFaults simulate Simulation Simulated SimulationFailed",
    ),
)
