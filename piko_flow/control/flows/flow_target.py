"""What a flow can be made of: a pipeline, a function that builds one, or an asynchronous job."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any, Literal, get_args

from pydantic import BaseModel

from piko_flow.control.flows.flow_options import Registration
from piko_flow.control.flows.run_context import RunContext
from piko_flow.dataflow.graph.function import Signature, misfit, signature_of
from piko_flow.dataflow.graph.generics import class_of, members_of
from piko_flow.dataflow.graph.typing import show
from piko_flow.dataflow.stages.resource import RESOURCE, not_resource
from piko_flow.dataflow.stages.stage import Pipeline, Stage, closed, describe
from piko_flow.errors import PipelineError

Kind = Literal["pipeline", "builder", "job"]
THREE_FORMS = "a flow is a closed pipeline, a function from the run to one, or an async def"


def checked_target(
    made: Registration, target: Any, params: type[BaseModel] | None, resources: Mapping[str, Any]
) -> Kind:
    """The kind of flow that the target makes. Raises FlowError for what is none, or does not fit the options."""
    _check_model(made, params)
    if isinstance(target, Stage):
        _check_closed(made, target)
        if params is not None:
            advice = "Give a function from the run to a pipeline, and read run.params there"
            made.refuse("a fixed pipeline sees no params", "got params=", advice)
        _check_no_resources(made, "a pipeline", resources)
        return "pipeline"
    if isinstance(target, type) or not callable(target):
        made.refuse(THREE_FORMS, f"got {describe(target)}")
    shape = signature_of(target)
    if shape.shape in ("generator", "async_generator"):
        advice = f"Read it in a pipeline: Source({shape.name}) >> Sink(...)"
        made.refuse(THREE_FORMS, f"got the generator function {shape.name}", advice)
    if shape.shape == "plain":
        _check_builder(made, shape, resources)
    else:
        _check_job(made, shape)
        _check_resources(made, shape, resources)
    _check_call(made, target, shape, resources)
    _check_run(made, shape, params)
    return "builder" if shape.shape == "plain" else "job"


def _check_model(made: Registration, params: object) -> None:
    if params is None or (isinstance(params, type) and issubclass(params, BaseModel)):
        return
    got = f"got {describe(params)}"
    advice = "Write a class that inherits from pydantic.BaseModel"
    if isinstance(params, BaseModel):
        got, advice = f"got an instance of {type(params).__name__}", f"Write params={type(params).__name__}"
    made.refuse("params is a Pydantic model class, whose schema the parameters follow", got, advice)


def _check_closed(made: Registration, target: Stage) -> None:
    try:
        closed(target, why="a flow")
    except PipelineError as error:
        made.refuse(THREE_FORMS, f"got {target.title} ({target.origin}): {error.got}", error.advice)


def _check_no_resources(made: Registration, what: str, resources: Mapping[str, Any]) -> None:
    if resources:
        got = f"got resources={{{', '.join(map(repr, resources))}}} for {what}"
        advice = "Name them in uses= of the stage that needs them"
        made.refuse("resources are opened for async def jobs", got, advice)


def _check_builder(made: Registration, shape: Signature, resources: Mapping[str, Any]) -> None:
    _check_no_resources(made, "a function that builds a pipeline", resources)
    for member in members_of(shape.returns):
        returned = class_of(member)
        if (
            not isinstance(returned, type)
            or issubclass(returned, Pipeline)
            or returned in (Any, Stage, object)
        ):
            return
    made.refuse(
        "a plain function builds a closed pipeline from the run",
        f"{shape.name} returns {show(shape.returns)}",
        "Return source >> ... >> sink, or write it with async def if it is to do the work itself",
    )


def _check_job(made: Registration, shape: Signature) -> None:
    """Refuse an async def that says it gives a pipeline: nobody would run that."""
    for member in members_of(shape.returns):
        returned = class_of(member)
        if isinstance(returned, type) and issubclass(returned, Stage):
            got = f"{shape.name} returns {show(shape.returns)}, which nobody would run"
            made.refuse(
                "an async def does the work itself", got, "Write it with def: what that returns is run"
            )


def _check_resources(made: Registration, shape: Signature, resources: Mapping[str, Any]) -> None:
    for name, resource in resources.items():
        if shape.keywords is not None and name not in shape.keywords:
            taken = ", ".join(sorted(shape.keywords)) or "none besides the run"
            got = f"{name!r} is not (it has: {taken})"
            made.refuse(f"each name in resources= is a parameter of {shape.name}", got)
        if isinstance(resource, type) and hasattr(resource, "acquire"):
            got = f"got the class {resource.__name__}"
            made.refuse(f"resources[{name!r}] is an object", got, f"Make one: {resource.__name__}()")
        if reason := not_resource(resource):
            made.refuse(f"resources[{name!r}] is {RESOURCE}", *reason)


def _check_call(made: Registration, target: Any, shape: Signature, resources: Mapping[str, Any]) -> None:
    """Refuse a function that cannot be called with the run and its resources."""
    if not misfit(target, 1, resources):
        return
    needed = [one for one in signature(target).parameters.values() if one.default is one.empty]
    without = [
        one.name
        for one in needed[1:]
        if one.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY) and one.name not in resources
    ]
    rule = f"{shape.name} is called with the run" + "".join(f" and {name}=" for name in resources)
    if shape.shape != "plain" and without:
        names = ", ".join(without)
        advice = f"Name it in resources={{{without[0]!r}: ...}}, or give it a default"
        made.refuse(rule, f"nothing fills its parameter {names}", advice)
    reason = misfit(target, 1, resources)
    made.refuse(rule, f"{shape.name}: {reason}", f"Write {shape.name}(run)")


def _check_run(made: Registration, shape: Signature, params: type[BaseModel] | None) -> None:
    """Compare the annotation of the run with the model."""
    annotation = shape.takes
    kind = class_of(annotation)
    if not isinstance(kind, type) or kind in (Any, object):
        return
    if not issubclass(kind, RunContext):
        rule = f"the first parameter of {shape.name} is the run"
        made.refuse(rule, f"it is annotated as {show(annotation)}", "Annotate it as RunContext")
    arguments = get_args(annotation)
    asked = class_of(arguments[0]) if arguments else None
    if not isinstance(asked, type) or asked in (Any, object):
        return
    given: type[Any] = dict if params is None else params
    if not issubclass(given, asked):
        got = f"{shape.name} takes RunContext[{show(arguments[0])}] and params is {show(params)}"
        if params is None:
            got = f"{shape.name} takes RunContext[{show(arguments[0])}] and there is no params="
        made.refuse("the run has the params that are declared", got, f"Write params={asked.__name__}")
