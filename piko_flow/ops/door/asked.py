"""A request as the door sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, quote

from piko_flow.ops.door.hosts import host_port

SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
FIELDS: Final = 100  # of a form that is looked into
ONCE: Final = ("host", "authorization", "origin", "content-length", "content-type")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of itself: nothing of it is believed."""

    method: str
    path: str
    query: str
    headers: Mapping[str, tuple[str, ...]]
    secure: bool
    client: str
    bound: str

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> Asked:
        """The request of an ASGI scope."""
        headers: dict[str, tuple[str, ...]] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            headers[key] = (*headers.get(key, ()), value.decode("latin-1"))
        return cls(
            method=scope["method"].upper(),
            path=scope["path"],
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers,
            secure=scope.get("scheme") == "https",
            client=(scope.get("client") or ("",))[0],
            bound=str((scope.get("server") or ("",))[0]),
        )

    def header(self, name: str) -> str | None:
        """The header's value, the first where there are several."""
        return self.headers.get(name, (None,))[0]

    @property
    def repeats(self) -> str:
        """A header that is there twice and may be only once; empty when there is none."""
        return next((name for name in ONCE if len(self.headers.get(name, ())) > 1), "")

    @property
    def host(self) -> str:
        """The Host header; empty without one."""
        return self.header("host") or ""

    @property
    def port(self) -> int:
        """The port as the browser sees it."""
        return host_port(self.host, secure=self.secure)

    @property
    def changes(self) -> bool:
        """Whether the method is one that may change something."""
        return self.method not in SAFE_METHODS

    @property
    def bearer(self) -> str | None:
        """The secret of `Authorization: Bearer`; None without such a header."""
        scheme, _, secret = (self.header("authorization") or "").partition(" ")
        return secret.strip() if scheme.lower() == "bearer" else None

    @property
    def is_program(self) -> bool:
        """Whether the answer is for a program rather than for a page."""
        html = "text/html" in (self.header("accept") or "")
        return self.path == "/api" or self.path.startswith("/api/") or not html

    @property
    def comes_from_elsewhere(self) -> bool:
        """Whether a link on a page of another site was followed: then browsers leave out strict cookies."""
        whole_page = self.header("sec-fetch-mode") == "navigate"
        return whole_page and self.header("sec-fetch-site") in ("cross-site", "same-site")

    @property
    def is_ahead_of_time(self) -> bool:
        """Whether a browser asks before a person did, to have the page ready."""
        purposes = (self.header("sec-purpose"), self.header("purpose"), self.header("x-moz"))
        return any("prefetch" in (purpose or "") for purpose in purposes)

    @property
    def place(self) -> str:
        """The path with its query, as a browser would show it."""
        path = quote(self.path, safe="/:@!$&'()*+,;=-._~")
        return f"{path}?{self.query}" if self.query else path


def form_fields(text: bytes | str) -> dict[str, str]:
    """The fields of an urlencoded form or query by name, the first where one is there twice; at most 100.

    Raises ValueError for more.
    """
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    found = parse_qs(plain, keep_blank_values=True, max_num_fields=FIELDS)
    return {name: values[0] for name, values in found.items()}
