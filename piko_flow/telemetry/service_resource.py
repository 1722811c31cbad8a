"""What telemetry is told of: the service, its version, its instance."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource

from piko_flow.telemetry.switches import names_service


def resource_of(service: str, version: str, instance: str, environ: Mapping[str, str]) -> Resource:
    """What all that is told is told of; the OTEL_* variables win over the application's name."""
    about = {"service.version": version} if version else {}
    if not names_service(environ):
        about["service.name"] = service
    if instance:
        about["service.instance.id"] = instance
    return Resource.create(about)
