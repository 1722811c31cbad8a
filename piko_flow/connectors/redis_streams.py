"""Redis streams: a source that is read in slices, and a sink."""

from piko_flow.connectors.extras import MissingExtra
from piko_flow.connectors.redis_entries import StreamEntry
from piko_flow.connectors.redis_errors import BrokenEntry, EntriesGone, EntriesLost, RedisFailed
from piko_flow.connectors.redis_sink import RedisStreamSink
from piko_flow.connectors.redis_source import RedisStreamSource

__all__ = [
    "RedisStreamSource",
    "RedisStreamSink",
    "StreamEntry",
    "RedisFailed",
    "EntriesLost",
    "EntriesGone",
    "BrokenEntry",
    "MissingExtra",
]
