"""`piko-flow token`: tokens are made, listed, revoked, and told once."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.system.control_command import Desk, Done

SECRET = r"pf_[A-Za-z0-9_-]{43}"


class TokenDesk(Desk):
    """A desk where tokens are asked for, which needs no flows."""

    def token(self, *words: str) -> Done:
        return self.run("token", *words, package=None)


@pytest.fixture
def desk(tmp_path: Path) -> TokenDesk:
    made = TokenDesk(tmp_path)
    made.does("db", "init")
    return made


def test_a_token_is_told_once_alone_on_standard_output(desk: TokenDesk, tmp_path: Path) -> None:
    made = desk.token("create", "ci", "--role", "operator", "--expires", "12h")
    assert made.code == 0
    secret = made.out.strip()
    assert re.fullmatch(SECRET, secret)
    assert "token 1 (ci, operator) is good until" in made.err
    assert secret not in made.err
    for words in (("list",), ("list", "--json"), ("revoke", "ci"), ("revoke", "1", "--json")):
        assert secret not in desk.token(*words).out
    with closing(sqlite3.connect(tmp_path / "flows.db")) as connection:
        assert secret not in "".join(connection.iterdump())


def test_tokens_are_listed_with_what_they_may_and_whether_they_are_good(desk: TokenDesk) -> None:
    desk.token("create", "one", "--expires", "never")
    desk.token("create", "two", "--role", "admin")
    desk.token("revoke", "two")
    rows = [" ".join(line.split()) for line in desk.token("list", "--utc").out.splitlines()]
    assert rows[0].startswith("token name role state")
    assert rows[1].startswith("2 two admin revoked")
    assert rows[2].startswith("1 one viewer good")
    assert rows[2].endswith("never")
    told = json.loads(desk.token("list", "--json").out)["tokens"]
    assert [(one["name"], one["state"], one["role"]) for one in told] == [
        ("two", "revoked", "admin"),
        ("one", "good", "viewer"),
    ]
    assert "digest" not in told[0]
    empty = TokenDesk(Path(desk.database.removeprefix("sqlite:///")).parent)
    empty.database += ".other"
    empty.does("db", "init")
    assert "token create NAME makes one" in empty.token("list").out


def test_a_name_is_one_good_token_and_free_again_when_that_is_revoked(desk: TokenDesk) -> None:
    assert desk.token("create", "ci").code == 0
    again = desk.token("create", "ci")
    assert (again.code, again.out) == (1, "")
    assert "good tokens have different names; token 1 has this one" in again.err
    assert desk.token("revoke", "ci").out == "token 1 (ci) is revoked\n"
    assert desk.token("create", "ci").code == 0
    assert desk.token("revoke", "1").out == "token 1 (ci) is revoked\n"  # again changes nothing
    assert "2 ci viewer good" in " ".join(desk.token("list").out.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create", ""), "1 to 64 printable characters"),
        (("create", " x"), "1 to 64 printable characters"),
        (("create", "x" * 65), "1 to 64 printable characters"),
        (("create", "a\nb"), "1 to 64 printable characters"),
        (("revoke", "nobody"), "there is none such"),
        (("create", "x", "--expires", "90"), "or never"),
        (("create", "x", "--expires", "999999w"), "at most 36500 days"),
        (("create", "x", "--role", "god"), "god"),
        (("link", "--url", "ftp://x"), "http://"),
    ],
)
def test_a_mistake_is_told_in_one_message(desk: TokenDesk, words: tuple[str, ...], told: str) -> None:
    done = desk.token(*words)
    assert done.code in (1, 2)
    assert done.out == ""
    assert told in " ".join(re.sub(r"[│╭╰─╮╯]", " ", done.err).split())


def test_a_link_is_printed_for_the_place_where_the_server_is(
    desk: TokenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIKO_HEALTH_PORT", "9999")
    assert re.fullmatch(rf"http://127\.0\.0\.1:9999/login\?token={SECRET}\n", desk.token("link").out)
    far = desk.token("link", "--url", "https://flows.example.com/", "--role", "viewer", "--json")
    assert re.fullmatch(rf"https://flows\.example\.com/login\?token={SECRET}", json.loads(far.out)["link"])
    assert "no token" in desk.token("list").out  # links are none of programs


def test_who_made_and_revoked_tokens_is_in_the_audit_without_secrets(desk: TokenDesk, tmp_path: Path) -> None:
    desk.token("create", "ci")
    desk.token("revoke", "ci")
    desk.token("revoke", "ci")
    with closing(sqlite3.connect(tmp_path / "flows.db")) as connection:
        rows = connection.execute(
            "SELECT action, subject, via, made_by FROM piko_flow_audit ORDER BY id"
        ).fetchall()
    assert [row[:3] for row in rows] == [
        ("token.create", "token 1", "cli"),
        ("token.revoke", "token 1", "cli"),
    ]
    assert all("@" in row[3] for row in rows)


def test_a_link_that_nobody_followed_is_revoked_by_its_number(desk: TokenDesk, tmp_path: Path) -> None:
    desk.token("link")
    assert re.fullmatch(r"token 1 \(.+\) is revoked\n", desk.token("revoke", "1").out)
    with closing(sqlite3.connect(tmp_path / "flows.db")) as connection:
        assert connection.execute(
            "SELECT count(*) FROM piko_flow_token WHERE revoked_at IS NULL"
        ).fetchone() == (0,)
    for wrong in ("2", "0", "9" * 30, "1.0"):
        assert "there is none such" in desk.token("revoke", wrong).err


def test_without_a_database_nothing_is_made(tmp_path: Path) -> None:
    done = TokenDesk(tmp_path / "nowhere").token("create", "ci")
    assert (done.code, done.out) == (1, "")
    assert "piko-flow db init makes it" in done.err
