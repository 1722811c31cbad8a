"""The door's rules by themselves: names of a server, pages that may change something, places to go on to, rates."""

import pytest

from piko_flow.ops.door.asked import Asked, form_fields
from piko_flow.ops.door.hosts import comes_from_own_page, may_be_called
from piko_flow.ops.door.link import address_of
from piko_flow.ops.door.rates import Rates
from piko_flow.ops.door.security_headers import guarded
from piko_flow.ops.door.session_cookie import session_cookie, session_of
from piko_flow.ops.door.token_secrets import csrf_of, digest_of, new_secret, same
from piko_flow.ops.local_path import local_path


def asked(path: str = "/", *, scheme: str = "http", **headers: str) -> Asked:
    named = {"host": "127.0.0.1:8080"} | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in named.items()]
    return Asked.of({"method": "GET", "path": path, "headers": raw, "scheme": scheme, "query_string": b"a=1"})


@pytest.mark.parametrize(
    ("host", "bound", "good"),
    [
        ("127.0.0.1:8080", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("LOCALHOST.:1", "127.0.0.1", True),
        ("[::1]:8080", "::1", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("192.168.1.5", "127.0.0.1", False),
        ("evil.example", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("192.168.1.5:8080", "192.168.1.5", True),
        ("10.0.0.1", "172.17.0.2", True),
        ("evil.example", "192.168.1.5", False),
        ("evil.example", "", False),
        ("", "127.0.0.1", False),
        ("a b", "127.0.0.1", False),
        ("localhost@evil.example", "127.0.0.1", False),
        ("localhost/evil.example", "127.0.0.1", False),
        ("flows.example.com:443", "127.0.0.1", True),
        ("Flows.Example.com", "10.0.0.1", True),
        ("x.flows.example.com", "10.0.0.1", False),
    ],
)
def test_a_server_answers_to_its_own_names_and_to_those_that_are_allowed(
    host: str, bound: str, good: bool
) -> None:
    assert may_be_called(host, bound=bound, allowed=["flows.example.com"]) is good


@pytest.mark.parametrize(
    ("origin", "site", "own"),
    [
        (None, None, True),
        ("http://127.0.0.1:8080", None, True),
        ("http://127.0.0.1:8080", "same-origin", True),
        (None, "none", True),
        ("http://127.0.0.1:9999", None, False),
        ("http://127.0.0.1", None, False),
        ("https://evil.example", None, False),
        ("null", None, False),
        ("", None, False),
        ("http://[", None, False),
        ("ftp://127.0.0.1:8080", None, False),
        (None, "cross-site", False),
        (None, "same-site", False),
        ("http://127.0.0.1:8080", "cross-site", False),
    ],
)
def test_only_a_page_of_the_very_same_server_changes_something(
    origin: str | None, site: str | None, own: bool
) -> None:
    assert comes_from_own_page(host="127.0.0.1:8080", origin=origin, fetch_site=site) is own


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "flows",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/login?next=/login",
        "/logout",
        "/ö",
        "/a b",
    ],
)
def test_nobody_is_sent_to_another_server(path: str | None) -> None:
    assert local_path(path) == "/"


def test_one_is_sent_to_the_place_where_one_wanted_to_go() -> None:
    assert local_path("/flows/a%2Fb?x=1&y=%20") == "/flows/a%2Fb?x=1&y=%20"


class Watch:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_rate_allows_a_burst_and_then_what_comes_in_with_time() -> None:
    watch = Watch()
    rates = Rates(rate=2, burst=3, monotonic=watch, remembered=10)
    assert [rates.take("a") for _ in range(3)] == [0, 0, 0]
    assert rates.take("a") == pytest.approx(0.5)
    assert rates.wait("a") == pytest.approx(0.5)
    assert rates.take("b") == 0
    watch.seconds += 0.5
    assert rates.take("a") == 0
    assert rates.take("a") > 0
    watch.seconds += 3600
    assert [rates.take("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_rates_remember_a_bounded_number_of_others() -> None:
    rates = Rates(rate=1, burst=1, monotonic=Watch(), remembered=100)
    for number in range(10_000):
        rates.take(number)
    assert len(rates) == 100
    assert rates.take(9_999) > 0


def test_a_secret_is_found_by_its_digest_alone() -> None:
    secret = new_secret()
    digest = digest_of(secret)
    assert digest is not None
    assert len(secret) == 46
    assert secret not in digest
    assert len({new_secret() for _ in range(100)}) == 100
    for wrong in ("", "pf_", secret[:-1], secret + "=", secret + "\n", "pg" + secret[2:], "pf_" + "ö" * 43):
        assert digest_of(wrong) is None


def test_what_a_change_carries_belongs_to_one_session_and_does_not_tell_its_secret() -> None:
    one, other = new_secret(), new_secret()
    assert csrf_of(one) == csrf_of(one) != csrf_of(other)
    assert csrf_of(one) not in one
    assert same("ö", "ö")
    assert not same(csrf_of(one), csrf_of(other))


def test_a_cookie_is_of_one_port_and_behind_https_of_one_host() -> None:
    plain, secure = asked(), asked(scheme="https", host="flows.example.com")
    assert session_cookie(plain, "s") == "piko_flow_8080=s; Path=/; HttpOnly; SameSite=Strict"
    assert session_cookie(secure, "s") == "__Host-piko_flow_443=s; Path=/; HttpOnly; SameSite=Strict; Secure"
    assert session_of(asked(cookie='odd "one; a={]; piko_flow_80=x; piko_flow_8080=good; b')) == "good"
    assert session_of(asked(scheme="https", cookie="piko_flow_8080=s")) is None


def test_an_answer_gets_our_headers_once_and_decides_only_how_long_it_is_kept() -> None:
    given = [(b"Content-Security-Policy", b"default-src *"), (b"Cache-Control", b"public"), (b"a", b"1")]
    found = guarded(given, secure=True)
    names = [name.decode().lower() for name, _ in found]
    assert len(names) == len(set(names))
    values = {name.decode().lower(): value.decode() for name, value in found}
    assert values["content-security-policy"].startswith("default-src 'self'")
    assert values["cache-control"] == "public"
    assert values["a"] == "1"
    assert "strict-transport-security" in values
    assert b"strict-transport-security" not in dict(guarded([], secure=False))


def test_a_form_with_very_many_fields_is_not_looked_into() -> None:
    assert form_fields(b"a=1&a=2&b=%F6&c") == {"a": "1", "b": "�", "c": ""}
    with pytest.raises(ValueError, match="fields"):
        form_fields("&".join(f"a{number}=" for number in range(101)))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("192.168.1.5", "http://192.168.1.5:80"),
        ("flows.local", "http://flows.local:80"),
    ],
)
def test_a_link_leads_to_an_address_that_a_browser_can_open(host: str, address: str) -> None:
    assert address_of(host, 80) == address


def test_the_place_of_a_request_is_shown_as_a_browser_writes_it() -> None:
    assert asked("/flows/a b<ö>").place == "/flows/a%20b%3C%C3%B6%3E?a=1"
