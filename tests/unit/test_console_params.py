"""The form of parameters: what its preview says is what saving does."""

import html
import json
import re
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, Field, SecretStr

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.store.records import ConfigRecord, ParamsVersion
from tests.unit.api_worlds import PlaneProcess
from tests.unit.planes import Scene, do_nothing, scene
from tests.unit.test_console_answers import client


class Login(BaseModel):
    host: str = "a"
    key: SecretStr = Field(SecretStr("d" * 12), min_length=8)


class Logins(BaseModel):
    logins: list[Login] = []
    limit: int = 3


class Settings(BaseModel):
    limit: int = 3
    region: str = "eu"


def world(model: type[BaseModel] | None) -> Scene:
    it = scene()
    it.plane.registry = Registry[Flow]()
    register: Any = Flow.register
    register("f", do_nothing, params=model, registry=it.plane.registry)
    return it


async def refuse_row(it: Scene, text: str) -> None:
    """Let a person write this row as version 2, and a leader refuse it."""
    it.store.edit(ConfigRecord("f", text, 1, None, 2))
    await it.store.keep_params([ParamsVersion("f", text, 1, None, 2, "it does not fit")])


async def seen(browser: httpx.AsyncClient, form: dict[str, str]) -> str:
    """What the preview says, without its marks."""
    answer = await browser.post("/flows/f/params/preview", data=form, headers={"HX-Request": "true"})
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", answer.text))).strip()


@pytest.mark.parametrize(
    ("region", "told"),
    [
        (
            "eu",
            "Nothing differs from what is in force. Saving puts it in the place of version 2, which is refused.",
        ),
        (
            "us",
            '"eu" , would be "us" .* these values; they take the place of version 2, which is refused. Runs',
        ),
    ],
)
@pytest.mark.parametrize("row", ['{"limit": "junk", "region": "uk"}', "[1]"])
async def test_the_form_mends_a_row_that_is_refused_changed_or_as_it_is(
    row: str, region: str, told: str
) -> None:
    it = world(Settings)
    await it.plane.set_params("f", values={"limit": 5})
    await refuse_row(it, row)
    form = {"p:limit": "5", "p:region": region, "seen_version": "2"}
    async with client(process=PlaneProcess(it.plane)) as browser:
        assert re.search(told, await seen(browser, form))
        assert (await browser.post("/flows/f/params", data=form)).status_code == 303
        again = await browser.post("/flows/f/params", data=form | {"seen_version": "3"})
        assert (again.status_code, "nothing differs from what holds" in again.text) == (422, True)
    [newest, *_] = await it.store.params("f")
    assert json.loads(newest.text) == ({"limit": 5} if region == "eu" else {"limit": 5, "region": "us"})
    assert (await it.plane.params("f")).refused is None


async def test_without_a_model_an_unchanged_form_keeps_what_is_in_force_over_a_row_that_is_refused() -> None:
    it = world(None)
    await it.plane.set_params("f", values={"n": 5})
    await refuse_row(it, "[1]")
    form = {"p:whole": json.dumps({"n": 5}, indent=2), "seen_version": "2"}
    async with client(process=PlaneProcess(it.plane)) as browser:
        assert (await browser.post("/flows/f/params", data=form)).status_code == 303
    assert json.loads((await it.store.params("f"))[0].text) == {"n": 5}


NOTHING = "Nothing differs from what is in force."


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"api_key": "new", "n": 1}, "api_key is a secret , would be another one"),
        ({"api_key": "******", "n": 1}, NOTHING),
        ({"api_key": "******", "n": 2}, "n is 1 , would be 2"),
        ({"n": 1}, r'api_key is "\*{6}" , would be not set'),
        ({}, "api_key is .* would be not set n is 1 , would be not set"),
    ],
)
async def test_without_a_model_the_preview_tells_what_saving_writes_also_of_a_secret(
    sent: dict[str, Any], told: str
) -> None:
    it = world(None)
    await it.plane.set_params("f", values={"api_key": "old", "n": 1})
    form = {"p:whole": json.dumps(sent), "seen_version": "1"}
    async with client(process=PlaneProcess(it.plane)) as browser:
        assert re.search(told, await seen(browser, form))
        status = (await browser.post("/flows/f/params", data=form)).status_code
    kept = {"api_key": "old"} if sent.get("api_key") == "******" else {}
    assert (status, len(await it.store.params("f"))) == ((422, 1) if told == NOTHING else (303, 2))
    assert json.loads((await it.store.params("f"))[0].text) == sent | kept


async def test_beside_a_field_that_cannot_be_read_only_fields_that_are_wrong_are_told() -> None:
    it = world(Logins)
    await it.plane.set_params("f", values={"logins": [{"host": "a", "key": "longenoughkey"}]})
    form = {"p:limit": "junk", "seen_version": "1"}
    async with client(process=PlaneProcess(it.plane)) as browser:
        kept = await seen(browser, form | {"p:logins": '[{"host": "b", "key": "******"}]'})
        short = await seen(browser, form | {"p:logins": '[{"host": "b", "key": "short"}]'})
    assert ("limit: it is a number" in kept, "logins" in kept) == (True, False)
    assert ("limit: it is a number" in short, "logins" in short) == (True, True)
