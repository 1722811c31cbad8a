"""Settings of the door: what would open it wider than it looks is refused."""

import pytest

from piko_flow import App, Registry, Settings
from piko_flow.settings import SettingsRefused, load_settings


@pytest.mark.parametrize(
    "host", ["https://flows.example.com", "flows.example.com:443", "*", "*.example.com", "a b", "", "/"]
)
def test_an_allowed_host_is_one_name(host: str) -> None:
    with pytest.raises(SettingsRefused, match="must be the name of a host, without https:// and port"):
        load_settings(allowed_hosts=[host])


@pytest.mark.parametrize("proxy", ["*", "proxy.example.com", "10.0.0.1/8", "10.0.0.1:80", ""])
def test_a_proxy_is_an_address_or_a_network(proxy: str) -> None:
    with pytest.raises(SettingsRefused, match="must be an address or a network"):
        load_settings(forwarded_allow_ips=[proxy])


@pytest.mark.parametrize(("name", "value"), [("session_hours", 0), ("max_body_kb", 0), ("request_rate", 0)])
def test_nothing_is_without_a_bound(name: str, value: int) -> None:
    with pytest.raises(SettingsRefused, match=name):
        load_settings(**{name: value})


def test_settings_become_options_of_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIKO_ALLOWED_HOSTS", "Flows.example.com, other.example.com")
    monkeypatch.setenv("PIKO_FORWARDED_ALLOW_IPS", "10.0.0.5,10.1.0.0/16")
    app = App("door", registry=Registry(), settings=load_settings(max_body_kb=2, session_hours=1.5))
    assert app.door.hosts == ("flows.example.com", "other.example.com")
    assert app.door.proxies == ("10.0.0.5", "10.1.0.0/16")
    assert (app.door.body, app.door.idle.total_seconds()) == (2048, 5400)
    default = App("door", registry=Registry(), settings=Settings()).door
    assert (default.hosts, default.proxies, default.metrics_open) == ((), (), False)
