"""Whatever a person writes into a cell of a row stops the flow of that row alone, and is told by its column."""

from typing import Final

import pytest

from tests.unit.test_control_sql_rows import Scene, insert
from tests.unit.test_control_sql_rows import scene as scene  # a fixture

ANY: Final = (  # neither a number nor a truth value nor an instant
    "'yesterday'",
    "''",
    "1.5",
    "1e300",
    "x'ff00fe'",
    "CAST(x'ff' AS TEXT)",
    "'0000-00-00 00:00:00'",
    "'2026-02-30'",
    "'0001-01-01 00:00:00+05:00'",
    "'0001-01-01 00:00:00'",  # no zone can be reckoned with there, nor at the other end
    "'9999-12-31 23:59:59'",
    "'null'",
    "'[]'",
    "char(0)",
)
NUMBER: Final = (*ANY, "-1", "4611686018427387904")
INSTANT: Final = (*ANY, "5", "-1", "4611686018427387904")
TRUTH: Final = (*ANY, "2", "-1")
EXPRESSION: Final = (
    *ANY,
    "'{\"seconds\": NaN}'",
    "'{\"seconds\": 1e308}'",
    "'{\"hours\": [1]}'",
    "'{\"days\": 999999999}'",
)
REFUSED: Final = {
    "schedule_type": ANY,
    "schedule_expr": EXPRESSION,
    "enabled": TRUTH,
    "misfire_grace_s": NUMBER,
    "coalesce": TRUTH,
    "max_instances": NUMBER,
    "jitter_s": NUMBER,
    "concurrency_group": ("x'ff00fe'",),
    "last_data_time": INSTANT,
    "max_lookback_window": NUMBER,
    "completed_at": INSTANT,
    "version": ANY,
}
IDLE: Final = ("executor", "is_stateful", "updated_at")
NO_NAMES: Final = ("'yesterday'", "x'ff00fe'", "CAST(x'ff' AS TEXT)", "char(0)", "hex(zeroblob(900))")


@pytest.mark.parametrize("column", REFUSED)
async def test_a_bad_cell_of_a_schedule_is_refused_by_name_and_the_other_flow_runs(
    scene: Scene, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene.sql(insert("orders"), insert("mail"))
    for value in REFUSED[column]:
        caplog.clear()
        scene.sql(f"UPDATE scheduled_job SET {column} = {value} WHERE job_id = 'orders'")
        before = len(scene.fires("mail"))
        await scene.advance(60)
        assert len(scene.fires("mail")) == before + 1, value
        told = "interval" if column == "schedule_expr" and "{" in value else column  # more exactly
        assert _refused(scene)["orders"].startswith(told), value
        assert f"the schedule row of 'orders' is refused: {told}" in caplog.text, value
        scene.sql("DELETE FROM scheduled_job WHERE job_id = 'orders'", insert("orders"))
        await scene.advance(10)
        assert not _refused(scene)["orders"], value


@pytest.mark.parametrize("column", IDLE)
async def test_a_column_that_decides_nothing_may_hold_anything(scene: Scene, column: str) -> None:
    scene.sql(insert("mail"))
    for value in ANY:
        scene.sql(f"UPDATE scheduled_job SET {column} = {value}")
        before = len(scene.fires("mail"))
        await scene.advance(60)
        assert len(scene.fires("mail")) == before + 1, value
        assert not _refused(scene).get("mail"), value


@pytest.mark.parametrize("value", NO_NAMES)
async def test_a_row_whose_name_is_none_leaves_the_other_flow_alone(scene: Scene, value: str) -> None:
    scene.sql(insert("orders"), insert("mail"))
    await scene.advance(60)
    scene.sql(
        f"UPDATE scheduled_job SET job_id = {value} WHERE job_id = 'orders'",
        f"INSERT INTO job_config(job_id, config_json) VALUES ({value}, '{{}}')",
    )
    await scene.advance(60)
    assert len(scene.fires("mail")) == 2


async def test_what_nobody_can_read_in_last_data_time_is_not_written_over_by_runs_that_end(
    scene: Scene,
) -> None:
    scene.sql(insert("orders"))
    await scene.advance(60)
    [(written, settled)] = scene.sql("SELECT written, watermark FROM flow_state WHERE job_id = 'orders'")
    assert written == settled is not None
    scene.sql("UPDATE scheduled_job SET last_data_time = 'yesterday', schedule_expr = '{\"minutes\": 30}'")
    await scene.advance(60)
    assert scene.sql("SELECT last_data_time FROM scheduled_job") == [("yesterday",)]
    scene.sql("UPDATE scheduled_job SET last_data_time = NULL")
    await scene.advance(60)
    assert not _refused(scene)["orders"]
    assert len(scene.windows("orders")) > 2


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("config_json", (*ANY, "'{\"region\": 5}'")),
        ("schema_version", (*ANY, "4611686018427387904")),
        ("effective_from", INSTANT),
        ("version", ANY),
    ],
)
async def test_a_bad_cell_of_parameters_is_refused_and_what_was_in_force_stays(
    scene: Scene, column: str, values: tuple[str, ...]
) -> None:
    good = """INSERT INTO job_config(job_id, config_json) VALUES ('mail', '{"region": "us"}')"""
    scene.sql(insert("mail"), good)
    await scene.advance(60)
    [(first,)] = scene.sql("SELECT id FROM job_config_version")
    for value in values:
        scene.sql(f"UPDATE job_config SET {column} = {value}")
        before = len(scene.runs.orders)
        await scene.advance(60)
        assert len(scene.runs.orders) == before + 1, value
        assert scene.runs.orders[-1].record.params_version == first, value
        refused = "SELECT refused FROM job_config_version WHERE refused <> '' ORDER BY id DESC LIMIT 1"
        [(told,)] = scene.sql(refused)
        assert column in told or column == "config_json", (value, told)


@pytest.mark.parametrize(
    "cell",
    [
        '\'{"key": "swordfish"\'',
        'CAST(\'{"key": "swordfish"}\' AS BLOB)',
        "CAST(x'ff73776f726466697368' AS TEXT)",
    ],
)
async def test_what_a_bad_cell_of_parameters_holds_is_told_to_nobody(
    scene: Scene, cell: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene.sql(insert("mail"), f"INSERT INTO job_config(job_id, config_json) VALUES ('mail', {cell})")
    await scene.advance(60)
    told = scene.sql("SELECT refused FROM job_config_version")
    assert "config_json: it is text" in str(told) or "the row is no JSON" in str(told)
    assert "the params row of 'mail' is refused" in caplog.text
    assert "swordfish" not in f"{told}{caplog.text}"


def _refused(scene: Scene) -> dict[str, str]:
    return dict(scene.sql("SELECT job_id, refused FROM flow_state"))
