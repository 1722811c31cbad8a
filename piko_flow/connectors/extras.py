"""Libraries that only some connectors need, which an extra of the package installs."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

from piko_flow.errors import PipelineError


class MissingExtra(PipelineError, ImportError):
    """A stage needs a library that an extra of this package installs."""

    def __reduce__(self) -> tuple[object, ...]:
        facts = {name: getattr(self, name) for name in ("what", "where", "rule", "got", "advice")}
        return partial(type(self), **facts), ()


def require_extra(extra: str, library: str, *, what: str, where: str) -> None:
    """Raise MissingExtra unless the library is installed; does not import it. `what` and `where` name the stage."""
    if find_spec(library) is None:
        raise MissingExtra(
            what=what,
            where=where,
            rule=f"it needs {library}",
            got="it is not installed",
            advice=f"Install the extra: pip install 'piko-flow[{extra}]'",
        )
