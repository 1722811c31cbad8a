"""The settings of the control half: their names, defaults and meanings."""

from __future__ import annotations

import shlex
from typing import Literal, NamedTuple, Self

from pydantic import Field, PrivateAttr, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from piko_flow.settings.sources import DEFAULT, PREFIX, Origin, mask
from piko_flow.settings.values import (
    Command,
    Count,
    CountOrNone,
    Database,
    Days,
    Hosts,
    Hours,
    Level,
    Limits,
    MysqlDsn,
    Name,
    Names,
    Packages,
    Port,
    Proxies,
    Recycle,
    Seconds,
    SecondsOrNone,
    Webhook,
    WholeSeconds,
    Zone,
    with_driver,
)

EMBEDDED = "sqlite:///piko.db"


class SettingRow(NamedTuple):
    """One setting for people: its name, its value (a password is ******), where it came from, what it means."""

    name: str
    value: str
    origin: str
    meaning: str


class Contradiction(ValueError):
    """Settings that are right alone and wrong together: of each pair the first must be less than the second."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(" and ".join(f"{less} must be less than {more}" for less, more in pairs))
        self.pairs = pairs


class Settings(BaseSettings):
    """Every setting, checked; a frozen value.

    Made directly it holds the defaults and what is given, and reads nothing; `load_settings` reads files and
    variables. Names that end in `_s` are seconds.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_ignore_empty=True,
        enable_decoding=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    database: Database = SecretStr("")
    """URL of the database, of any kind that is supported. Wins over `mysql_dsn`; without either, the file piko.db in
    the working directory (SQLite) is used."""
    mysql_dsn: MysqlDsn = SecretStr("")
    """URL of a MySQL or MariaDB database; read where `database` is empty."""
    mysql_pool_size: Count = 20
    """Connections to the database server that are kept open, of MySQL, MariaDB and PostgreSQL alike."""
    mysql_max_overflow: CountOrNone = 10
    """Connections beyond `mysql_pool_size` that may be opened under load and are closed again."""
    mysql_pool_recycle_s: Recycle = 3600
    """A connection older than this is opened anew before it is used; -1 keeps it for as long as it works."""

    packages: Packages = ()
    """Packages whose flows are discovered at start. In a variable: names between commas."""
    timezone: Zone = "UTC"
    """Time zone of schedule rows that name none."""
    startup_mode: Literal["fail_closed", "fail_open"] = "fail_closed"
    """A database that cannot be reached at start: fail_closed ends the process, fail_open starts, says on /readyz that
    it is not ready, and keeps trying."""

    execute: Literal["all", "leader"] = "all"
    """Who executes runs: every replica, or only the leader."""
    max_runs: Count = 100
    """Runs that this replica executes at the same time."""
    concurrency_groups: Limits = Field(default_factory=dict)
    """Runs at the same time over all replicas, by `concurrency_group` of the schedule rows; a group that is not
    named here has no limit. In a variable: name=limit between commas."""
    drain_s: SecondsOrNone = 30
    """How long runs may go on after a stop was asked for; then they are cancelled and returned to be run elsewhere."""
    pause_after_failures: CountOrNone = 0
    """Failures in a row after which a schedule is paused; 0 never pauses."""

    poll_s: Seconds = 1
    """How often a replica asks for work and shows that it is alive: one statement for both."""
    replica_lease_s: Seconds = 10
    """A replica silent for longer is taken for dead and its runs are rescued."""
    poll_interval_s: Seconds = 10
    """How often the leader compares the rows of schedules and parameters with what is in force. The row
    `piko_system_settings` of `job_config` wins over this."""
    poll_jitter_s: SecondsOrNone = 2
    """Up to this much is added at random to each wait of `poll_interval_s`."""
    debounce_s: SecondsOrNone = 2
    """No effect, kept so that existing files load: a poll compares whole content, so changes made together are
    taken together without waiting for quiet."""
    ap_misfire_grace_s_default: WholeSeconds = 300
    """`misfire_grace_s` of the row that a flow's `schedule=` writes where the flow names none."""
    ap_max_instances_default: Count = 1
    """`max_instances` of the row that a flow's `schedule=` writes where the flow names none."""

    leader_enabled: bool = True
    """False: no election; this replica always leads, so it must be the only one."""
    leader_name: Name = "default"
    """The lease that replicas compete for; different names in one database lead side by side."""
    leader_lease_s: Seconds = 9
    """How long leadership lasts without being renewed. After a leader's death another leads within this and 2 s."""
    leader_renew_interval_s: Seconds = 3
    """How often the leader renews, and how often another asks whether it may lead. Shorter than the lease; a third of
    it lets two renewals fail."""

    cpu_workers: CountOrNone = 0
    """Worker processes of this replica, shared by its runs; 0 is one for each core that it may use."""
    per_job_cpu_max: Count = 8
    """Worker processes that one run may keep busy at the same time."""

    persist_queue_max: Count = 200
    """Emitted items that wait in memory for each sink without a spool; a full one makes `emit` wait."""
    persist_flush_timeout_s: Seconds = 60
    """How long a sink may be waited for at shutdown; a spool waits no longer than it says itself, and loses nothing."""
    persist_disk_fallback_path: str = ""
    """Folder where what is emitted is kept until its sink has it, private to the user; without it `spool` below
    `$XDG_STATE_HOME/piko-flow` or `~/.local/state/piko-flow`."""

    health_host: Name = "127.0.0.1"
    """Address that the HTTP side listens on; 0.0.0.0 is reachable from other machines."""
    health_port: Port = 8080
    """Port of the HTTP side; 0 takes a free one."""
    metrics_enabled: bool = True
    """False: nothing is measured for /metrics, which is not there then."""
    metrics_open: bool = False
    """True: /metrics needs no token. It names flows and stages."""
    allowed_hosts: Hosts = ()
    """Names by which the HTTP side may be called, such as that of a proxy before it, besides addresses and names of
    this computer. In a variable: names between commas."""
    forwarded_allow_ips: Proxies = ()
    """Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    session_hours: Hours = 12
    """Hours after which a browser that is not used is logged out."""
    max_body_kb: Count = 1024
    """Kilobytes that the body of a request may have."""
    request_rate: Count = 100
    """Requests a second that one token may make for long; twice as many at once."""
    debug: bool = False
    """True: as `log_level` DEBUG, whatever that says."""
    log_level: Level = "INFO"
    """DEBUG, INFO, WARNING, ERROR or CRITICAL; letters of either case."""
    log_json: bool = False
    """True: a log line is one JSON object."""

    notice_webhook: Webhook = SecretStr("")
    """Address that gets a notice as JSON by POST when something is wrong, and when it is over; empty tells nobody."""
    notice_command: Command = SecretStr("")
    """Program with its arguments that gets each notice as JSON on standard input; empty starts none."""
    notice_late_s: Seconds = 300
    """A run that has waited for longer after its time makes its flow late."""
    notice_dead_letters: Count = 100
    """Open dead letters of a flow from which on there is a notice."""
    notice_leaderless_s: Seconds = 60
    """How long nobody may lead before there is a notice."""

    retention_runs_days: Days = 30
    """Finished runs older than this are removed; 0 keeps them."""
    retention_runs_per_flow: CountOrNone = 10_000
    """Finished runs kept of each flow, the newest; 0 keeps all."""
    retention_dead_letters_days: Days = 30
    """Dead letters older than this are removed, whatever their state; 0 keeps them as long as their runs."""
    dead_letter_folder: str = ""
    """Folder for items of dead letters that are too large for a row, private to the user; without it `letters` below
    `$XDG_STATE_HOME/piko-flow` or `~/.local/state/piko-flow`. Such a letter is replayed by a replica of that computer."""
    dead_letter_folder_mb: CountOrNone = 1024
    """Megabytes that may lie there; beyond them, and with 0, only the beginning of a large item is kept."""
    redact: Names = ()
    """Fields of items whose values are kept nowhere when an item fails, besides those that flows name. In a variable:
    names between commas."""

    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict)

    @property
    def database_url(self) -> str:
        """The database in force with its driver and its password: for the store alone, never for a log."""
        given = self.database.get_secret_value() or self.mysql_dsn.get_secret_value()
        return with_driver(given or EMBEDDED)

    @property
    def database_shown(self) -> str:
        """The database in force as logs and pages may show it: without password and query."""
        return mask(self.database_url)

    @property
    def effective_log_level(self) -> str:
        """`log_level`, or DEBUG where `debug` is on."""
        return "DEBUG" if self.debug else self.log_level

    def origin(self, name: str) -> str:
        """Where the value of a setting came from: a file, a variable, "argument" or "default"."""
        return str(self._origins.get(name, DEFAULT))

    def describe(self) -> list[SettingRow]:
        """Every setting in the order of this class."""
        return [
            SettingRow(name, self._shown(name), self.origin(name), info.description or "")
            for name, info in type(self).model_fields.items()
        ]

    def _shown(self, name: str) -> str:
        if name == "notice_command":  # its arguments may be keys and passwords
            program, *arguments = shlex.split(self.notice_command.get_secret_value()) or [""]
            return f"{program} ******" if arguments else program
        return shown(getattr(self, name))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Refuse values that are right alone and wrong together."""
        pairs = [("leader_renew_interval_s", "leader_lease_s"), ("poll_s", "replica_lease_s")]
        wrong = [(less, more) for less, more in pairs if getattr(self, less) >= getattr(self, more)]
        if wrong:
            raise Contradiction(wrong)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given: reading is asked for, by `load_settings`."""
        return (init_settings,)


def masked(secret: str) -> str:
    """A database without its password, a web address without its path: chats know who writes by that."""
    if not secret.startswith(("http://", "https://")):
        return mask(secret) if secret else ""
    scheme, _, rest = secret.partition("://")
    host, slash, _ = rest.partition("/")
    return f"{scheme}://{host}{slash}{'******' if slash else ''}"


def shown(value: object) -> str:
    """A setting's value for people, a database without its password."""
    match value:
        case SecretStr():
            return masked(value.get_secret_value())
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case tuple():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{name}={limit}" for name, limit in value.items())
        case _:
            return str(value)
