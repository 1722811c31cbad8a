"""A secret param and a password in a URL are in nothing that is told of an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from piko_flow import Pipeline, Sink, Source, Transform
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.params.redaction import LineRedaction, Redaction
from piko_flow.errors import describe_error
from piko_flow.ops.door.token_secrets import new_secret
from piko_flow.url_passwords import HIDDEN, without_url_passwords
from tests.unit.dead_letter_worlds import World

SECRET = 'hu"nt\\er\nä2'
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n-----END KEY-----"


class Params(BaseModel):
    token: SecretStr = SecretStr(SECRET)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at mysql://u:pw1@h/d", f"at mysql://u:{HIDDEN}@h/d"),
        ("at mysql://u:p@w1@h/d", f"at mysql://u:{HIDDEN}@h/d"),
        ("at mysql://u:p/w1@h/d?x=a@b", f"at mysql://u:{HIDDEN}@h/d?x=a@b"),
        ("('redis://:pw1@h:1/0',)", f"('redis://:{HIDDEN}@h:1/0',)"),
        ("at http://u:p@w1@h/d", f"at http://{HIDDEN}@h/d"),
        ("'https://ghp_pw1@h/d?a=b'", f"'https://{HIDDEN}@h/d?a=b'"),
        ("for url 'https://h/x?a=1&token=pw1&b=2'", f"for url 'https://h/x?a=1&token={HIDDEN}&b=2'"),
        ("GET /x?X-Amz-Signature=pw1#top", f"GET /x?X-Amz-Signature={HIDDEN}#top"),
        ("https://h/x?a=1&amp;my_api_key=pw1", f"https://h/x?a=1&amp;my_api_key={HIDDEN}"),
        ("https://h/x?monkey=1&tokens", "https://h/x?monkey=1&tokens"),
        (f"/login?token=pf_{'p1-_' * 10}abc", f"/login?token={HIDDEN}"),
        (f"Bearer pf_{'p1-_' * 10}abc", f"Bearer {HIDDEN}"),
        (
            "https://h/x?my-private-key=pw1&passphrase=pw2",
            f"https://h/x?my-private-key={HIDDEN}&passphrase={HIDDEN}",
        ),
        ("GET http://h:8080/mail/a@b", "GET http://h:8080/mail/a@b"),
        ("http://h/a:b@c?x=1", "http://h/a:b@c?x=1"),
    ],
)
def test_of_a_url_only_what_is_secret_is_hidden(text: str, shown: str) -> None:
    assert without_url_passwords(text) == shown


def test_each_secret_that_is_made_is_known_for_one_in_a_text() -> None:
    for _ in range(100):
        assert without_url_passwords(f"Bearer {new_secret()}, as sent") == f"Bearer {HIDDEN}, as sent"


def test_a_description_of_an_error_is_cut_after_the_password_is_hidden() -> None:
    text = describe_error(ValueError("x" * 20 + " mysql://u:verylongpassword@h/d"), 52)
    assert "verylong" not in text
    assert len(text) <= 52


@pytest.mark.parametrize(
    "form", [str, repr, ascii, json.dumps, lambda text: json.dumps(text, ensure_ascii=False)]
)
@pytest.mark.parametrize("secret", [SECRET, KEY, "pässword"])
def test_a_secret_is_hidden_in_each_form_of_it(secret: str, form: Callable[[str], str]) -> None:
    hide = LineRedaction(Redaction(), [secret])
    shown = hide(f"login with {form(secret)} failed")
    assert shown.replace('"', "").replace("'", "") == f"login with {HIDDEN} failed"


def test_lines_of_a_secret_that_a_text_indents_are_hidden() -> None:
    shown = LineRedaction(Redaction(), [KEY])(KEY.replace("\n", "\n  | "))
    assert "MIIE" not in shown


def test_the_beginning_of_a_secret_in_whose_midst_a_text_was_cut_is_hidden() -> None:
    hide = Redaction().knowing(["hunter2-hunter2"])
    assert hide.line("login with hunter2-hun…") == f"login with {HIDDEN}…"
    assert hide.line("it is high…") == "it is high…"


def _refusing(run: RunContext[Params]) -> Pipeline:
    def refuse(item: Any) -> Any:
        raise ValueError(f"{item}: {run.params.token} {run.params.token.get_secret_value()!r} a://u:pw1@h")

    return Source([1]) >> Transform(refuse, on_error="dead_letter") >> Sink(str)


async def test_a_dead_letter_tells_no_secret_and_neither_does_one_that_fails_again(world: World) -> None:
    await world.run(world.register(_refusing, params=Params))
    for _ in range(2):
        [letter] = await world.letters()
        assert letter.error_msg == f"ValueError: 1: ********** '{HIDDEN}' a://u:{HIDDEN}@h"
        assert "ValueError" in letter.trace
        assert "nt\\" not in letter.trace
        assert "pw1" not in letter.trace
        await world.replay(letter.id)
