"""Services called over HTTP: a source of their pages, lookups of single items, the client and the rate limit."""

from piko_flow.connectors.extras import MissingExtra
from piko_flow.connectors.http_client import HttpClient
from piko_flow.connectors.http_errors import BadAnswer, BadPaging, BadStatus, HttpFailed, NoAnswer
from piko_flow.connectors.http_lookup import HttpLookup
from piko_flow.connectors.http_paging import LinkHeader, NextLink, Offset, Page, PageNumber, PageToken
from piko_flow.connectors.http_source import HttpSource
from piko_flow.connectors.rate_limit import RateLimit, TurnTooLate

__all__ = [
    "HttpClient",
    "HttpSource",
    "HttpLookup",
    "NextLink",
    "LinkHeader",
    "PageToken",
    "PageNumber",
    "Offset",
    "Page",
    "RateLimit",
    "HttpFailed",
    "NoAnswer",
    "BadStatus",
    "BadAnswer",
    "BadPaging",
    "TurnTooLate",
    "MissingExtra",
]
