"""How people and programs come in, and how they go out again."""

from pathlib import Path

from piko_flow.ops.door.token_secrets import digest_of, new_secret
from piko_flow.ops.door.tokens import revoke_token
from piko_flow.store.ops_records import Role
from tests.system.doors import PAGE, Served, csrf, served
from tests.system.running_app import eventually

FROM_ELSEWHERE = {**PAGE, "sec-fetch-site": "cross-site"}


def cookies(door: Served, secret: str) -> dict[str, str]:
    return {"cookie": f"piko_flow_{door.port}={secret}"}


async def test_a_link_logs_a_browser_in_once(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.client(headers=PAGE) as browser, door.client() as other:
        link = await door.link(Role.OPERATOR)
        answer = await browser.get(link)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"piko_flow_{door.port}=pf_")
        assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
        found = (await browser.get("/rooms/echo")).json()
        assert (found["name"], found["role"], found["via"]) == ("test", "operator", "console")
        again = await other.get(link, headers=PAGE)
        assert again.status_code == 401
        assert "was used before" in again.text
        assert "<code>piko-flow token link</code> prints another one." in again.text
        assert "set-cookie" not in again.headers


async def test_only_links_are_taken_from_an_address_and_no_other_token_is_used_up_by_it(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as door, door.client(headers=PAGE) as browser:
        _, secret = await door.issued(Role.ADMIN)
        assert (await browser.get("/login", params={"token": secret})).status_code == 401
        assert (await browser.get("/login", params={"token": new_secret()})).status_code == 401
        assert (await browser.get("/login", params={"token": "' OR 1=1 --"})).status_code == 401
        good = {"authorization": f"Bearer {secret}"}
        assert (await browser.get("/rooms/echo", headers=good)).status_code == 200


async def test_a_link_that_is_too_old_opens_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.client(headers=PAGE) as browser:
        link = await door.link()
        days = door.value("SELECT julianday(expires_at) - julianday('now') FROM piko_flow_token")
        assert 9 < days * 24 * 60 <= 10.1
        door.world.sql("UPDATE piko_flow_token SET expires_at = '2020-01-01 00:00:00.000000'")
        assert (await browser.get(link)).status_code == 401


async def test_a_browser_that_asks_ahead_of_time_leaves_the_link_to_the_person(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.client(headers=PAGE) as browser:
        link = await door.link()
        assert (await browser.get(link, headers={"sec-purpose": "prefetch;prerender"})).status_code == 503
        assert (await browser.head(link)).status_code in (401, 405)
        assert (await browser.get(link)).status_code == 303


async def test_a_link_on_another_site_leads_over_a_page_of_ours_so_that_the_cookie_comes_along(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as door, door.client() as browser:
        followed = await browser.get(await door.link(), headers=FROM_ELSEWHERE)
        assert followed.status_code == 200
        assert '<meta http-equiv="refresh" content="0; url=/">' in followed.text
        assert "set-cookie" in followed.headers
        browser.cookies.clear()  # as browsers do with a strict one
        deep = await browser.get("/rooms/echo?a=1&b=2", headers=FROM_ELSEWHERE)
        assert 'content="0; url=/rooms/echo?a=1&amp;b=2"' in deep.text
        ours = await browser.get("/rooms/echo?a=1", headers={**PAGE, "sec-fetch-site": "same-origin"})
        assert (ours.status_code, ours.headers["location"]) == (303, "/login?next=%2Frooms%2Fecho%3Fa%3D1")


async def test_a_token_in_the_form_logs_in_and_leads_on_to_the_place_that_was_wanted(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.client(headers={**PAGE, "origin": door.address}) as browser:
        _, secret = await door.issued(Role.VIEWER, "ci")
        page = await browser.get("/login?next=/rooms/echo")
        assert page.status_code == 200
        assert 'name="next" value="/rooms/echo"' in page.text
        wrong = await browser.post("/login", data={"token": new_secret()})
        assert wrong.status_code == 401
        assert "unknown, revoked or too old" in wrong.text
        answer = await browser.post("/login", data={"token": f" {secret} ", "next": "/rooms/echo"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/rooms/echo")
        found = (await browser.get("/rooms/echo")).json()
        assert (found["name"], found["role"], found["via"]) == ("ci", "viewer", "console")
        away = await browser.post("/login", data={"token": secret, "next": "//evil.example"})
        assert away.headers["location"] == "/"
        from_elsewhere = {"origin": "https://evil.example"}
        forced = await browser.post("/login", data={"token": secret}, headers=from_elsewhere)
        assert forced.status_code == 403


async def test_logging_out_ends_the_session_also_for_who_kept_the_cookie(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.browser() as browser, door.client(headers=PAGE) as thief:
        thief.headers["cookie"] = f"piko_flow_{door.port}={browser.cookies[f'piko_flow_{door.port}']}"
        assert (await thief.get("/rooms/echo")).status_code == 200
        field = await csrf(browser)
        assert (await browser.post("/logout")).status_code == 403
        answer = await browser.post("/logout", data=field)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert (await thief.get("/rooms/echo")).status_code == 303


async def test_a_viewer_may_log_out(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.browser(Role.VIEWER) as browser:
        assert (await browser.post("/logout", data=await csrf(browser))).status_code == 303


async def test_a_session_is_good_on_every_replica(tmp_path: Path) -> None:
    async with served(tmp_path) as one, served(tmp_path) as two, one.browser(Role.OPERATOR) as browser:
        secret = browser.cookies[f"piko_flow_{one.port}"]
        async with two.client(headers={**PAGE, **cookies(two, secret)}) as moved:
            assert (await moved.get("/rooms/echo")).json()["role"] == "operator"
            assert await csrf(moved) == await csrf(browser)


async def test_a_session_that_is_not_used_ends_and_one_that_is_used_goes_on(tmp_path: Path) -> None:
    async with served(tmp_path, session_hours=2) as door, door.browser() as browser:
        await browser.get("/rooms/echo")

        async def at_the_login() -> bool:
            return (await browser.get("/rooms/echo")).status_code == 303

        async def noted_again() -> bool:
            assert not await at_the_login()
            return bool(door.value("SELECT max(used_at) > datetime('now', '-1 minute') FROM piko_flow_token"))

        door.world.sql("UPDATE piko_flow_token SET used_at = datetime('now', '-90 minutes') || '.000000'")
        assert await eventually(noted_again)  # what the door remembers is good for two seconds
        door.world.sql("UPDATE piko_flow_token SET used_at = datetime('now', '-121 minutes') || '.000000'")
        assert await eventually(at_the_login)
        door.world.sql("UPDATE piko_flow_token SET used_at = datetime('now') || '.000000'")
        assert await at_the_login()  # it has ended, and does not begin again


async def test_a_session_ends_at_last_however_much_it_is_used(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.browser():
        days = door.value("SELECT julianday(max(expires_at)) - julianday('now') FROM piko_flow_token")
        assert 29.9 < days < 30.1


async def test_a_token_that_is_revoked_lets_nobody_in_nor_the_browsers_that_it_logged_in(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as door, door.client(headers={**PAGE, "origin": door.address}) as browser:
        token, secret = await door.issued(Role.ADMIN)
        await browser.post("/login", data={"token": secret})
        program = {"authorization": f"Bearer {secret}", "accept": "*/*"}
        assert (await browser.get("/rooms/echo")).status_code == 200
        assert (await browser.get("/rooms/echo", headers=program)).status_code == 200
        await door.world.app.ask(lambda plane: revoke_token(plane, str(token.id)))

        async def out() -> bool:
            answers = [await browser.get("/rooms/echo"), await browser.get("/rooms/echo", headers=program)]
            return [one.status_code for one in answers] == [303, 401]

        assert await eventually(out, within=10)


async def test_a_browser_is_logged_out_by_the_number_of_its_session(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.browser() as browser:
        newest = (await door.world.app.ask(lambda plane: plane.store.audit()))[0]
        assert newest.action == "session.open"
        number = newest.subject.removeprefix("session ")
        await door.world.app.ask(lambda plane: revoke_token(plane, number))

        async def out() -> bool:
            return (await browser.get("/rooms/echo")).status_code == 303

        assert await eventually(out, within=10)


async def test_a_token_is_good_only_for_what_it_was_made_for(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.browser() as browser, door.client() as anybody:
        session = browser.cookies[f"piko_flow_{door.port}"]
        link = (await door.link()).partition("=")[2]
        _, program = await door.issued(Role.ADMIN)
        for secret in (session, link):
            answer = await anybody.get("/rooms/echo", headers={"authorization": f"Bearer {secret}"})
            assert answer.status_code == 401
        for secret in (program, link):
            assert (await anybody.get("/rooms/echo", headers=cookies(door, secret))).status_code == 401
        assert (await anybody.get(f"/login?token={link}", headers=PAGE)).status_code == 303


async def test_a_wrong_token_is_not_made_good_by_a_cookie_beside_it(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.browser() as browser:
        for wrong in (f"Bearer {new_secret()}", "Bearer", "bearer x"):
            answer = await browser.get("/rooms/echo", headers={"authorization": wrong, "accept": "*/*"})
            assert answer.status_code == 401
        basic = await browser.get("/rooms/echo", headers={"authorization": "Basic cHJveHk6cHJveHk="})
        assert basic.status_code == 200  # what a proxy asks for by itself is not ours


async def test_nothing_of_a_secret_is_stored(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.browser() as browser:
        _, secret = await door.issued(Role.ADMIN)
        session = browser.cookies[f"piko_flow_{door.port}"]
        stored = (tmp_path / "piko.db").read_bytes() + (tmp_path / "piko.db-wal").read_bytes()
        for one in (secret, session):
            assert one.encode() not in stored
            digest = digest_of(one)
            assert digest is not None
            assert digest.encode() in stored


async def test_who_came_in_and_went_is_in_the_audit(tmp_path: Path) -> None:
    async with served(tmp_path) as door, door.browser() as browser:
        await browser.post("/logout", data=await csrf(browser))
        found = await door.world.app.ask(lambda plane: plane.store.audit())
        assert [(one.action, one.who, one.via) for one in found] == [
            ("session.end", "test", "console"),
            ("session.open", "test", "console"),
            ("token.link", "test", "cli"),
        ]
