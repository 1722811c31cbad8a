"""The functions and the options that stages are given, checked where the stage is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from typing_extensions import TypedDict

from piko_flow.counting import whole_number
from piko_flow.dataflow.graph.function import Signature, misfit, name_of, signature_of
from piko_flow.dataflow.graph.generics import class_of
from piko_flow.dataflow.stages.resource import RESOURCE, not_resource
from piko_flow.dataflow.stages.stage import Stage, describe
from piko_flow.known_names import did_you_mean
from piko_flow.retry import LONGEST_TIME, Retry

OnError = Literal["fail", "skip", "dead_letter"]
Where = Literal["loop", "thread"]
Seconds = float | timedelta
ON_ERROR = ("fail", "skip", "dead_letter")
GENERATORS = ("generator", "async_generator")


@dataclass(frozen=True)
class CallOptions:
    """How a stage calls its function; `timeout` is in seconds and bounds one attempt."""

    concurrency: int = 1
    ordered: bool = True
    key: Callable[[Any], Any] | None = None
    retry: Retry | None = None
    timeout: float | None = None
    on_error: OnError = "fail"
    on: Where = "loop"
    uses: Mapping[str, Any] = field(default_factory=dict)


class OptionValues(TypedDict, total=False):
    """The options as users give them."""

    concurrency: int
    ordered: bool
    key: Callable[[Any], Any] | None
    retry: Retry | None
    timeout: Seconds | None
    on_error: OnError
    on: Where
    uses: Mapping[str, Any] | None


def checked_options(
    stage: Stage, values: OptionValues, *, is_async: bool, without: Iterable[str] = ()
) -> CallOptions:
    """The options of a stage whose function is asynchronous or not; a bad one is refused in the stage's name.

    `without` names the options that this kind of stage does not have.
    """
    check_names(stage, values, OptionValues.__annotations__.keys() - set(without))
    options = CallOptions(
        concurrency=whole(stage, "concurrency", values.get("concurrency", 1)),
        ordered=flag(stage, "ordered", values.get("ordered", True)),
        key=values.get("key"),
        retry=checked_retry(stage, values.get("retry")),
        timeout=positive_seconds(stage, "timeout", values.get("timeout")),
        on_error=checked_on_error(stage, values.get("on_error", "fail")),
        on=values.get("on", "loop"),
        uses=checked_uses(stage, values.get("uses")),
    )
    _check_place(stage, options, is_async=is_async)
    if options.key is not None:
        check_side_function(stage, "key", options.key)
    return options


def keep_function(stage: Stage, function: Any, name: str | None, *, role: str = "function") -> None:
    """Store a stage's function, name and signature; refuse what is no function."""
    if not callable(function) or isinstance(function, Stage):
        stage._describe(name=name, fallback=type(stage).__name__.lower())
        stage.refuse(f"it needs a {role} of one item", f"got {describe(function)}")
    signature = signature_of(function)
    stage._describe(name=name, fallback=signature.name)
    stage._keep(function=function, signature=signature)


def check_call(
    stage: Stage, function: Callable[..., Any], uses: Mapping[str, Any] = {}, *, role: str = "function"
) -> None:
    """Refuse a function that cannot be called with one item and the resources named in `uses`."""
    signature = signature_of(function)
    check_uses(stage, signature, uses)
    if reason := misfit(function, 1, uses):
        stage.refuse(
            f"its {role} is called with one item" + (f" and {', '.join(uses)}=" if uses else ""),
            f"{signature.name}: {reason}",
            "Give other parameters a default, fill them with functools.partial, or name resources in uses=",
        )
    check_awaiting(stage, signature, role=role)


def check_awaiting(stage: Stage, signature: Signature, *, role: str = "function") -> None:
    """Refuse a plain function that is annotated to return something that nobody would await."""
    returned = class_of(signature.returns)
    if signature.shape == "plain" and isinstance(returned, type) and issubclass(returned, Awaitable):
        stage.refuse(
            f"its {role} is either async or returns a value",
            f"{signature.name} is a plain function that returns {returned.__name__}",
            "Write it with async def",
        )


def check_uses(stage: Stage, signature: Signature, uses: Mapping[str, Any]) -> None:
    """Refuse a resource that the function has no parameter for, and one that is not a resource."""
    for name, resource in uses.items():
        if signature.keywords is not None and name not in signature.keywords:
            taken = ", ".join(sorted(signature.keywords)) or "none"
            stage.refuse(
                f"each name in uses= is a parameter of {signature.name}", f"{name!r} is not (it has: {taken})"
            )
        if reason := not_resource(resource):
            stage.refuse(f"uses[{name!r}] must be {RESOURCE}", *reason)


def check_names(stage: Stage, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse an option that the stage does not have, with the one that was probably meant."""
    names = sorted({*known, "name"})
    for option in given:
        if option not in names:
            stage.refuse(
                f"an option of {stage.kind} is one of {', '.join(names)}",
                f"got {option}=",
                did_you_mean(option, names),
            )


def check_side_function(stage: Stage, option: str, function: object) -> None:
    """Refuse what is not a plain function of one item, where such a function is an option."""
    if not callable(function):
        stage.refuse(f"{option} must be a function of one item", f"got {function!r}")
    if signature_of(function).is_async:
        stage.refuse(f"{option} must be a plain function", "got an async function")
    if reason := misfit(function, 1):
        stage.refuse(f"{option} is called with one item", f"{name_of(function)}: {reason}")


def checked_uses(stage: Stage, uses: object) -> dict[str, Any]:
    """The resources by name, if they are given so."""
    if uses is None:
        return {}
    if not isinstance(uses, Mapping) or not all(isinstance(name, str) for name in uses):
        stage.refuse("uses must be a dict from parameter name to resource", f"got {uses!r:.80}")
    return dict(uses)


def _check_place(stage: Stage, options: CallOptions, *, is_async: bool) -> None:
    if options.on not in ("loop", "thread"):
        stage.refuse('on must be "loop" or "thread"', f"got {options.on!r}")
    if is_async and options.on == "thread":
        stage.refuse('on="thread" is for blocking functions', "got an async function", "Leave on= out")
    inline = not is_async and options.on == "loop"
    if inline and options.timeout is not None:
        stage.refuse(
            "timeout cannot stop a plain function that runs inline",
            f"got timeout={options.timeout:g}",
            'Make the function async, or give on="thread"',
        )
    if inline and options.concurrency > 1:
        stage.refuse(
            "a plain function that runs inline works on one item at a time",
            f"got concurrency={options.concurrency}",
            'Make the function async, give on="thread", or use CpuMap',
        )


def flag(stage: Stage, option: str, value: object) -> bool:
    """The value, if it is True or False."""
    if not isinstance(value, bool):
        stage.refuse(f"{option} must be True or False", f"got {value!r}")
    return value


def whole(stage: Stage, option: str, value: object, *, least: int = 1) -> int:
    """The value, if it is a whole number of at least `least`."""
    return whole_number(option, value, stage.refuse, least=least)


def positive_seconds(stage: Stage, option: str, value: Seconds | None) -> float | None:
    """The value in seconds, if it is above zero; None stays None."""
    if value is None:
        return None
    given = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not given > 0:
        stage.refuse(f"{option} must be a number of seconds or a timedelta above 0", f"got {value!r}")
    if given > LONGEST_TIME:
        stage.refuse(
            f"{option} is at most {LONGEST_TIME:,} seconds", f"got {value!r}", "For no limit leave it out"
        )
    return float(given)


def checked_on_error(stage: Stage, value: object) -> OnError:
    """The value, if it is one of the three ways to treat an item that failed for good."""
    if not isinstance(value, str) or value not in ON_ERROR:
        stage.refuse('on_error must be "fail", "skip" or "dead_letter"', f"got {value!r}")
    return value  # type: ignore[return-value]  # the membership test above narrows it


def checked_retry(stage: Stage, value: object) -> Retry | None:
    """The value, if it is a Retry or None."""
    if value is not None and not isinstance(value, Retry):
        stage.refuse("retry must be a Retry", f"got {value!r}", "Write retry=Retry(attempts=3)")
    return value
