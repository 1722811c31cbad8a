"""What the standard OTEL_* variables ask for, where this program has to decide by them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Literal

from piko_flow.errors import RequestRefused

Signal = Literal["traces", "metrics"]
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
EXPORTER = "opentelemetry.exporter.otlp.proto.http"


def exports(signal: Signal, environ: Mapping[str, str]) -> bool:
    """Whether the signal goes out by OTLP: an endpoint is named and nothing switches it off.

    Raises RequestRefused where it should and cannot: the extra is missing, or another protocol than HTTP is asked for.
    """
    name = signal.upper()
    endpoint = environ.get(f"OTEL_EXPORTER_OTLP_{name}_ENDPOINT") or environ.get(ENDPOINT)
    if not endpoint or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    wanted = {one.strip().lower() for one in environ.get(f"OTEL_{name}_EXPORTER", "otlp").split(",")}
    if "otlp" not in wanted:
        return False
    what = f"export {signal} by OTLP"
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{name}_PROTOCOL") or environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if protocol not in (None, "", "http/protobuf"):
        raise RequestRefused(
            what=what,
            rule="OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf",
            got=f"got {protocol!r}",
            advice="Collectors take that on port 4318",
        )
    if not has_exporter():
        raise RequestRefused(
            what=what,
            rule="it needs the extra otlp",
            got=f"{ENDPOINT} is set and the extra is not installed",
            advice="pip install 'piko-flow[otlp]'",
        )
    return True


def has_exporter() -> bool:
    """Whether the extra `otlp` is installed."""
    try:
        return find_spec(EXPORTER) is not None
    except ModuleNotFoundError:  # of a package above it
        return False


def names_service(environ: Mapping[str, str]) -> bool:
    """Whether a variable names the service, so that the application's name is not taken."""
    return bool(environ.get("OTEL_SERVICE_NAME")) or "service.name=" in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
