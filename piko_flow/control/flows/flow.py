"""A flow: a pipeline or a job under a name, with its parameters, schedule and resources."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Concatenate, Generic, NoReturn, Protocol, overload

from pydantic import BaseModel
from typing_extensions import ParamSpec, TypeVar, Unpack

from piko_flow.control.flows.flow_options import FlowOptions, FlowValues, Registration, checked_values
from piko_flow.control.flows.flow_target import Kind, checked_target
from piko_flow.control.flows.registry import Registry, Site, registry_in_force
from piko_flow.control.flows.run_context import RunContext
from piko_flow.dataflow.graph.origin import calling_frame, origin_of
from piko_flow.dataflow.stages.stage import Pipeline, Stage, describe
from piko_flow.errors import FlowError
from piko_flow.planning.window import Window

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P")
Q = ParamSpec("Q")
R = TypeVar("R", bound=Pipeline | Coroutine[Any, Any, object])
Target_co = TypeVar("Target_co", covariant=True, default=Any)


class Registers(Protocol[P]):
    """What `@Flow.register(...)` decorates with."""

    def __call__(
        self, target: Callable[Concatenate[RunContext[P], Q], R], /
    ) -> Flow[Callable[Concatenate[RunContext[P], Q], R]]: ...


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Flow(FlowOptions, Generic[Target_co]):
    """A registered flow, a frozen value: what it is, and the options of FlowOptions.

    `kind` says what `target` is: a "pipeline", a "builder" (a function from the run to a pipeline) or a "job"
    (an async def). `params` is its model, None for a plain dictionary. Calling a flow calls its function.
    """

    name: str
    target: Target_co
    kind: Kind
    params: type[BaseModel] | None = None
    site: Site

    @overload
    @staticmethod
    def register(name: str, target: Pipeline, /, **options: Unpack[FlowValues]) -> Flow[Pipeline]: ...
    @overload
    @staticmethod
    def register(
        name: str,
        target: Callable[Concatenate[RunContext[M], Q], R],
        /,
        *,
        params: type[M],
        **options: Unpack[FlowValues],
    ) -> Flow[Callable[Concatenate[RunContext[M], Q], R]]: ...
    @overload
    @staticmethod
    def register(
        name: str,
        target: Callable[Concatenate[RunContext[dict[str, Any]], Q], R],
        /,
        **options: Unpack[FlowValues],
    ) -> Flow[Callable[Concatenate[RunContext[dict[str, Any]], Q], R]]: ...
    @overload
    @staticmethod
    def register(name: str, /, *, params: type[M], **options: Unpack[FlowValues]) -> Registers[M]: ...
    @overload
    @staticmethod
    def register(name: str, /, **options: Unpack[FlowValues]) -> Registers[dict[str, Any]]: ...
    @staticmethod
    def register(
        name: str, target: Any = None, /, *, params: Any = None, registry: Any = None, **options: Any
    ) -> Any:
        """Register a pipeline, a function from the run to a pipeline, or an async def; also as a decorator.

        Gives the flow. It goes into `registry`, else into the registry that is being filled, else into
        `default_registry`. The same place and name again replaces. Does no I/O. Raises FlowError, which tells
        the line, for a name that is taken and for whatever could not run.
        """
        frame = calling_frame()
        code, module = frame.f_code, str(frame.f_globals.get("__name__", ""))
        site = Site(module, "", origin_of(frame), code)
        values = checked_values(Registration(name, site), options)
        _check_registry(Registration(name, site), registry)

        def take(target: Any) -> Flow:
            return _register(name, target, site, params, registry, values)

        return take if target is None else take(target)

    def pipeline_for(self, run: RunContext[Any]) -> Pipeline:
        """The pipeline of this run. Raises FlowError when the function gives none, and what the function raises."""
        if isinstance(self.target, Pipeline):
            return self.target
        if self.kind == "job":
            self._refuse("a job has no pipeline", "it was asked for one", "")
        made = self.target(run)  # type: ignore[operator]  # the kind says that it is a function
        if inspect.iscoroutine(made):
            made.close()  # nobody will await it
        if not isinstance(made, Pipeline):
            advice = "Return source >> ... >> sink, or write it with async def if it is to do the work itself"
            self._refuse("a plain function gives a closed pipeline", f"it gave {describe(made)}", advice)
        return made

    def check_given(self, given: object) -> None:
        """Raise FlowError where what a job has given is a pipeline."""
        if isinstance(given, Stage):
            rule, advice = "an async def does the work itself", "Write it with def: what that returns is run"
            self._refuse(rule, f"it gave {describe(given)}, which nobody runs", advice)

    def pipeline(
        self, params: Any = None, *, window: Window | tuple[datetime, datetime] | None = None
    ) -> Pipeline:
        """The pipeline as a bare run of it would get it: to look at, to try, to run in a notebook.

        Without `params` those are the model's defaults.
        """
        if params is None and self.params is not None:
            params = self.params()
        return self.pipeline_for(RunContext.for_test(params, window=window, flow=self.name))

    @property
    def description(self) -> str:
        """The first line of the function's docstring; empty where there is none."""
        written = None if self.kind == "pipeline" else inspect.getdoc(self.target)
        return written.strip().splitlines()[0] if written and written.strip() else ""

    def __call__(self: Flow[Callable[Q, P]], *arguments: Q.args, **named: Q.kwargs) -> P:
        return self.target(*arguments, **named)

    def __repr__(self) -> str:
        return f"<Flow {self.name!r} ({self.kind}) at {self.site.origin}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        if self.kind == "job":
            return {"text/plain": repr(self)}
        return self.pipeline()._repr_mimebundle_()

    def _refuse(self, rule: str, got: str, advice: str) -> NoReturn:
        where = str(self.site.origin)
        raise FlowError(what=f"flow {self.name!r}", where=where, rule=rule, got=got, advice=advice)


default_registry: Registry[Flow] = Registry()
"""Where flows go that are registered without `registry=`."""

_registered: dict[tuple[str, str], Flow] = {}
# By module and name, whichever registry took them: a module is imported once, and may be discovered twice.


def flows_of(module: str) -> list[Flow]:
    """The flows that the module has registered without `registry=`, as it registered them last."""
    return [flow for (where, _), flow in _registered.items() if where == module]


def _register(
    name: str, target: Any, site: Site, params: Any, registry: Registry[Flow] | None, values: dict[str, Any]
) -> Flow:
    if isinstance(target, Flow):
        target = target.target  # registered once more, under another name
    function = getattr(target, "__qualname__", "") if callable(target) else ""
    placed = Site(site.module, function, site.origin, site.code)
    kind = checked_target(Registration(name, placed), target, params, values["resources"])
    flow: Flow = Flow(name=name, target=target, kind=kind, params=params, site=placed, **values)
    if registry is not None:
        registry.add(flow)
        return flow
    registry_in_force(default_registry).add(flow)
    _registered[site.module, name] = flow
    return flow


def _check_registry(made: Registration, registry: object) -> None:
    if registry is not None and not isinstance(registry, Registry):
        made.refuse("registry is a Registry", f"got {describe(registry)}")
