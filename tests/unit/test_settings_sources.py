"""Where settings come from: defaults, files, variables, arguments; the later wins, and what nobody reads is told."""

import os
import warnings
from pathlib import Path

import pytest

from piko_flow.settings import Settings, SettingsRefused, UnknownSetting, load_settings


@pytest.fixture(autouse=True)
def bare_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory and no variable of ours."""
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.upper().startswith("PIKO_")]:
        monkeypatch.delenv(variable)


def write(name: str, text: str) -> None:
    Path(name).write_text(text, encoding="utf-8")


def test_without_anything_the_database_is_a_file_in_the_working_directory() -> None:
    settings = load_settings()
    assert settings == Settings()
    assert settings.database_url == "sqlite+aiosqlite:///piko.db"
    assert {row.origin for row in settings.describe()} == {"default"}


def test_the_names_and_defaults_of_the_existing_system_are_kept_but_for_the_zone_and_the_lease() -> None:
    seed = {
        "startup_mode": "fail_closed",
        "debug": False,
        "mysql_pool_size": 20,
        "mysql_max_overflow": 10,
        "mysql_pool_recycle_s": 3600,
        "poll_interval_s": 10,
        "poll_jitter_s": 2,
        "debounce_s": 2,
        "ap_misfire_grace_s_default": 300,
        "ap_max_instances_default": 1,
        "leader_enabled": True,
        "leader_name": "default",
        "cpu_workers": 0,
        "per_job_cpu_max": 8,
        "persist_queue_max": 200,
        "persist_flush_timeout_s": 60,
        "metrics_enabled": True,
        "health_port": 8080,
        "log_level": "INFO",
        "log_json": False,
        "timezone": "UTC",
        "leader_lease_s": 9,
        "leader_renew_interval_s": 3,
    }
    settings = load_settings()
    assert {name: getattr(settings, name) for name in seed} == seed
    assert settings.mysql_dsn.get_secret_value() == ""


def test_each_layer_wins_over_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = ["settings.toml", "piko.toml", ".secrets.toml"]
    for place, name in enumerate(layers, start=1):
        names = ["max_runs", "cpu_workers", "per_job_cpu_max", "health_port", "mysql_pool_size"][place - 1 :]
        write(name, "[default]\n" + "".join(f"{one} = {place}\n" for one in names))
    monkeypatch.setenv("PIKO_HEALTH_PORT", "4")
    monkeypatch.setenv("PIKO_MYSQL_POOL_SIZE", "4")
    settings = load_settings(mysql_pool_size=5)
    names = ["max_runs", "cpu_workers", "per_job_cpu_max", "health_port", "mysql_pool_size"]
    assert [getattr(settings, one) for one in names] == [1, 2, 3, 4, 5]
    assert [settings.origin(one) for one in names] == [*layers, "PIKO_HEALTH_PORT", "argument"]


def test_tables_beside_default_are_ignored_without_a_word() -> None:
    write("settings.toml", "[production]\nmax_runs = 7\nnonsense = 1\n[default]\nmax_runs = 3\n")
    assert load_settings().max_runs == 3


def test_letters_of_names_may_be_of_either_case(monkeypatch: pytest.MonkeyPatch) -> None:
    write("piko.toml", "[DEFAULT]\nMAX_RUNS = 3\n")
    monkeypatch.setenv("piko_cpu_workers", "2")
    settings = load_settings()
    assert (settings.max_runs, settings.cpu_workers) == (3, 2)
    assert settings.origin("cpu_workers") == "piko_cpu_workers"


def test_a_named_file_replaces_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    write("settings.toml", "[default]\nmax_runs = 3\ncpu_workers = 3\n")
    write("mine.toml", "[default]\nmax_runs = 4\n")
    monkeypatch.setenv("PIKO_SETTINGS_PATH", "mine.toml")
    settings = load_settings()
    assert (settings.max_runs, settings.cpu_workers) == (4, 0)


def test_a_named_file_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    write("settings.toml", "[default]\nmax_runs = 3\n")
    monkeypatch.setenv("PIKO_SETTINGS_PATH", "elsewhere/mine.toml")
    with pytest.raises(SettingsRefused, match=r"PIKO_SETTINGS_PATH .* exists; got 'elsewhere/mine\.toml'"):
        load_settings()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[default]\nmysql_dsn = mysql://u:hunter2@h/d\n", "line 2"),
        (b"[default]\nleader_name = '\xff'\n", "not UTF-8 at offset"),
    ],
)
def test_a_file_that_is_no_toml_is_told_by_its_place(content: bytes, told: str) -> None:
    Path("piko.toml").write_bytes(content)
    with pytest.raises(SettingsRefused, match=told) as caught:
        load_settings()
    assert "piko.toml" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_empty_variable_and_an_argument_of_none_count_as_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("piko.toml", "[default]\nmax_runs = 3\n")
    monkeypatch.setenv("PIKO_MAX_RUNS", "")
    assert load_settings(max_runs=None, database=None).max_runs == 3


def test_lists_and_tables_come_from_files_and_as_text_from_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("piko.toml", "[default]\npackages = ['a', 'b.c']\n[default.concurrency_groups]\nreports = 2\n")
    settings = load_settings()
    assert (settings.packages, settings.concurrency_groups) == (("a", "b.c"), {"reports": 2})
    for packages, groups in [("d, e.f", "x=1,y=2"), ('["d", "e.f"]', '{"x": 1, "y": 2}')]:
        monkeypatch.setenv("PIKO_PACKAGES", packages)
        monkeypatch.setenv("PIKO_CONCURRENCY_GROUPS", groups)
        settings = load_settings()
        assert (settings.packages, settings.concurrency_groups) == (("d", "e.f"), {"x": 1, "y": 2})


def test_an_unknown_variable_is_warned_of_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIKO_MYSQL_DNS", "mysql://u:hunter2@h/d")
    with pytest.warns(UnknownSetting, match=r"PIKO_MYSQL_DNS.*did you mean PIKO_MYSQL_DSN\?") as caught:
        assert load_settings() == Settings()
    assert len(caught) == 1
    assert caught[0].filename == __file__, "the warning points at the caller"
    assert "hunter2" not in str(caught[0].message)


def test_an_unknown_key_of_a_file_is_warned_of_with_the_nearest_name() -> None:
    write("piko.toml", "[default]\nmax_run = 3\nzebra = 1\n")
    with pytest.warns(UnknownSetting) as caught:
        assert load_settings().max_runs == 100
    told = [str(one.message) for one in caught]
    assert told[0] == "piko.toml: no setting is named 'max_run', nothing reads it; did you mean max_runs?"
    assert told[1] == "piko.toml: no setting is named 'zebra', nothing reads it"


def test_a_setting_above_the_tables_is_warned_of_because_it_is_not_read() -> None:
    write("piko.toml", "max_runs = 3\ntitle = 'of another tool'\n")
    with pytest.warns(UnknownSetting, match=r"'max_runs' stands outside \[default\]") as caught:
        assert load_settings().max_runs == 100
    assert len(caught) == 1


def test_variables_of_the_prefix_that_are_no_settings_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIKO_TEST_MARIADB_DSN", "mysql://h/d")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_settings()


def test_settings_made_directly_read_neither_files_nor_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    write("settings.toml", "[default]\nmax_runs = 3\n")
    monkeypatch.setenv("PIKO_CPU_WORKERS", "2")
    settings = Settings(per_job_cpu_max=4)
    assert (settings.max_runs, settings.cpu_workers, settings.per_job_cpu_max) == (100, 0, 4)
