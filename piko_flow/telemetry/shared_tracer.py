"""The tracer provider that user code finds while an application runs that exports spans."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, Tracer, TracerProvider


class InForce(TracerProvider):
    """Set as the global provider once, as OpenTelemetry allows, and answers for whatever application runs now.

    So spans of user code (`opentelemetry.trace.get_tracer`) are exported with ours. A provider that the program
    has set itself is left alone.
    """

    def __init__(self) -> None:
        self._open: list[TracerProvider] = []
        self._nothing = NoOpTracerProvider()

    def enter(self, provider: TracerProvider) -> None:
        """From now on this one answers."""
        self._open.append(provider)
        if isinstance(trace.get_tracer_provider(), ProxyTracerProvider):
            trace.set_tracer_provider(self)

    def leave(self, provider: TracerProvider) -> None:
        """This one answers no more."""
        self._open.remove(provider)

    def given(self) -> TracerProvider | None:
        """The provider that the program has set itself; None where it has not."""
        found = trace.get_tracer_provider()
        ours = isinstance(found, (ProxyTracerProvider, NoOpTracerProvider, InForce))
        return None if ours else found

    def get_tracer(self, *arguments: object, **named: object) -> Tracer:
        """A tracer that goes by the provider in force whenever a span begins."""
        return _Tracer(self, arguments, named)

    def _now(self) -> TracerProvider:
        return self._open[-1] if self._open else self._nothing


class _Tracer(Tracer):
    """Looks up the provider for each span: whoever keeps a tracer in a global may do so before there is one."""

    def __init__(self, shared: InForce, arguments: tuple[object, ...], named: dict[str, object]) -> None:
        self._shared, self._arguments, self._named = shared, arguments, named
        self._made: tuple[TracerProvider, Tracer] | None = None

    def start_span(self, *arguments, **named):  # type: ignore[no-untyped-def]  # as the provider's own
        """As the provider in force."""
        return self._tracer().start_span(*arguments, **named)

    def start_as_current_span(self, *arguments, **named):  # type: ignore[no-untyped-def]
        """As the provider in force."""
        return self._tracer().start_as_current_span(*arguments, **named)

    def _tracer(self) -> Tracer:
        provider = self._shared._now()
        if self._made is None or self._made[0] is not provider:
            self._made = provider, provider.get_tracer(*self._arguments, **self._named)  # type: ignore[arg-type]
        return self._made[1]


in_force = InForce()
"""The one of this process: OpenTelemetry lets a global provider be set once."""
