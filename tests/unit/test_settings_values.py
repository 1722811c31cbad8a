"""What settings may be: each wrong one is one message that says what, where, the rule, what came and what to do."""

import os
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from piko_flow.settings import Settings, SettingsRefused, load_settings


@pytest.fixture(autouse=True)
def bare_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory and no variable of ours."""
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.upper().startswith("PIKO_")]:
        monkeypatch.delenv(variable)


def refused(**given: object) -> str:
    with pytest.raises(SettingsRefused) as caught:
        load_settings(**given)
    return str(caught.value)


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, info in Settings.model_fields.items() if not info.description] == []


def test_a_message_says_what_where_the_rule_what_came_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIKO_MAX_RUNS", "none")
    assert refused() == (
        "a setting was refused: max_runs (from PIKO_MAX_RUNS): must be a valid integer, unable to parse string "
        "as an integer; got 'none'. Change PIKO_MAX_RUNS, or unset it for the default, 100"
    )


def test_what_holds_without_a_wrong_value_is_told_where_it_is_not_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("piko.toml").write_text("[default]\nmax_runs = 7\n")
    monkeypatch.setenv("PIKO_MAX_RUNS", "none")
    assert refused().endswith("Change PIKO_MAX_RUNS, or unset it for that of piko.toml")
    assert refused(max_runs=0).endswith("leave it out for that of PIKO_MAX_RUNS")


def test_every_wrong_setting_is_told_at_once_with_its_own_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("piko.toml").write_text("[default]\ntimezone = 'Europe/Berln'\n")
    monkeypatch.setenv("PIKO_EXECUTE", "some")
    with pytest.raises(SettingsRefused) as caught:
        load_settings(max_runs=0, max_run=3)
    assert [(one.name, one.origin) for one in caught.value.problems] == [
        ("timezone", "piko.toml"),
        ("execute", "PIKO_EXECUTE"),
        ("max_runs", "argument"),
        ("max_run", "argument"),
    ]
    text = str(caught.value)
    assert text.startswith("4 settings were refused:\n  ")
    assert "did you mean Europe/Berlin?" in text
    assert "must be 'all' or 'leader'; got 'some'" in text
    assert "Change it in piko.toml under [default], or remove it for the default, UTC" in text
    assert "did you mean max_runs?" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("max_runs", 0), ("max_runs", 1.5), ("max_runs", True), ("cpu_workers", -1), ("drain_s", -1)],
        *[
            ("poll_s", 0),
            ("poll_s", "nan"),
            ("poll_s", "inf"),
            ("leader_lease_s", 10**9),
            ("debug", "perhaps"),
        ],
        *[
            ("health_port", 65536),
            ("startup_mode", "open"),
            ("log_level", "LOUD"),
            ("timezone", "../etc/passwd"),
        ],
        *[("packages", "my-flows"), ("packages", "[1"), ("leader_name", ""), ("leader_name", "x" * 65)],
        *[("concurrency_groups", "a"), ("concurrency_groups", {"a": 0}), ("concurrency_groups", "{")],
        *[("mysql_pool_recycle_s", -2), ("retention_runs_days", -1), ("database", 7)],
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(name: str, value: object) -> None:
    assert f"{name}" in refused(**{name: value})


def test_words_and_numbers_are_read_as_people_write_them() -> None:
    settings = load_settings(debug="yes", log_level="warn", poll_s="0.5", leader_enabled="0")
    assert (settings.debug, settings.poll_s, settings.leader_enabled) == (True, 0.5, False)
    assert (settings.log_level, settings.effective_log_level) == ("WARNING", "DEBUG")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"leader_lease_s": 3},
            "leader_lease_s (from argument): must be more than leader_renew_interval_s, which is 3",
        ),
        (
            {"leader_renew_interval_s": 10},
            "leader_renew_interval_s (from argument): must be less than leader_lease_s, which is 9 (from default)",
        ),
        (
            {"poll_s": 10},
            "poll_s (from argument): must be less than replica_lease_s, which is 10 (from default)",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(given: dict[str, object], told: str) -> None:
    assert told in refused(**given)


def test_two_contradictions_are_two_messages() -> None:
    with pytest.raises(SettingsRefused) as caught:
        load_settings(leader_lease_s=2, replica_lease_s=1)
    assert [one.name for one in caught.value.problems] == ["leader_lease_s", "replica_lease_s"]


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().max_runs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "in_force"),
    [
        (
            {"mysql_dsn": "mysql+asyncmy://u:p@h:3306/d?charset=utf8mb4"},
            "mysql+asyncmy://u:p@h:3306/d?charset=utf8mb4",
        ),
        ({"mysql_dsn": "mariadb://h/d"}, "mysql+asyncmy://h/d"),
        ({"mysql_dsn": "mysql://h/d", "database": "sqlite:////tmp/x.db"}, "sqlite+aiosqlite:////tmp/x.db"),
        ({"database": "postgres://u:a%40b@[::1]:5432/d"}, "postgresql+asyncpg://u:a%40b@[::1]:5432/d"),
        (
            {"database": "mysql+asyncmy://u:p@/d?unix_socket=/run/s"},
            "mysql+asyncmy://u:p@/d?unix_socket=/run/s",
        ),
    ],
)
def test_the_database_in_force_is_database_then_mysql_dsn_with_its_driver(
    given: dict[str, object], in_force: str
) -> None:
    assert load_settings(**given).database_url == in_force


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("oracle://u:hunter2@h/d", "must be a URL like"),
        ("mysql+pymysql://u:hunter2@h/d", "must be a URL like"),
        ("u:hunter2@tcp(h)/d", "must be a URL like"),
        ("mysql://root:hunter2/d", "must be a URL like"),
        ("postgresql://u:hunter2@h:port/d", "must be a URL like"),
        ("postgresql://u:hunter2@h:70000/d", "at most 65535"),
        ("postgresql://u:hunter2@h", "must name a database"),
        ("mysql://u:hunter2@hunter2@h/d", "percent-encoded"),
        ("sqlite://?key=hunter2", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite://piko.db", "must name a file"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_without_its_password(url: str, rule: str) -> None:
    with pytest.raises(SettingsRefused, match=rule) as caught:
        load_settings(database=url)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in repr(caught.value)


def test_the_dsn_of_mysql_names_a_mysql_database() -> None:
    told = refused(mysql_dsn="postgresql://u:hunter2@h/d")
    assert "the setting `database` takes others; got 'postgresql://u:******@h/d'" in told


def test_a_password_is_shown_nowhere() -> None:
    settings = load_settings(database="mysql://piko:hunter2@h/d?password=hunter2")
    shown = [repr(settings), str(settings), settings.model_dump_json(), settings.database_shown]
    assert "hunter2" not in "".join(shown) + "".join(map(str, settings.describe()))
    assert settings.database_shown == "mysql+asyncmy://piko:******@h/d?******"
    with pytest.raises(ValidationError) as caught:
        Settings(database="mysql://piko:hunter2@h")
    assert "hunter2" not in str(caught.value)


def test_a_password_under_a_wrong_name_is_not_shown_either() -> None:
    assert "hunter2" not in refused(packages="mysql://piko:hun ter2@h/d, mysql://u:hunter2@h/d")


def test_each_setting_is_described_by_name_value_and_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIKO_MYSQL_DSN", "mysql://piko:hunter2@h/d")
    rows = {row.name: row for row in load_settings(packages="a,b", concurrency_groups={"g": 2}).describe()}
    assert list(rows) == list(Settings.model_fields)
    assert rows["mysql_dsn"][1:3] == ("mysql://piko:******@h/d", "PIKO_MYSQL_DSN")
    assert rows["leader_lease_s"][1:3] == ("9", "default")
    assert [rows[name].value for name in ("packages", "concurrency_groups", "debug")] == [
        "a, b",
        "g=2",
        "false",
    ]


def test_an_address_of_notices_is_checked_and_shown_without_what_is_secret_in_it() -> None:
    given = Settings(notice_webhook=SecretStr("https://chat.example.com/hooks/T0/s3cr3t"))
    shown = {row.name: row.value for row in given.describe()}
    assert shown["notice_webhook"] == "https://chat.example.com/******"
    assert "s3cr3t" not in repr(given)
    with pytest.raises(ValueError, match="must be an address"):
        Settings(notice_webhook=SecretStr("chat.example.com"))
    with pytest.raises(ValueError, match="must be a command"):
        Settings(notice_command=SecretStr("mail 'root"))


def test_of_the_program_that_gets_notices_no_arguments_are_shown() -> None:
    given = Settings(notice_command=SecretStr("/usr/bin/page --key s3cr3t"))
    assert {row.name: row.value for row in given.describe()}["notice_command"] == "/usr/bin/page ******"
    assert "s3cr3t" not in repr(given)


@pytest.mark.parametrize(
    ("name", "value"),
    [("notice_command", "page --key 's3cr3t"), ("notice_webhook", "chat.example.com/hooks/s3cr3t")],
)
def test_where_notices_go_is_not_shown_where_it_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsRefused, match="must be a") as caught:
        load_settings(**{name: value})
    assert "s3cr3t" not in str(caught.value)
