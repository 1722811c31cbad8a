"""Commands of the control half: their options from the dataclasses they take, one message for a mistake."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, get_type_hints

from piko_flow.cli.answering import Asking

Words = ParamSpec("Words")
KEYWORD = inspect.Parameter.KEYWORD_ONLY


def asks(
    *, code: bool = True, times: bool = False
) -> Callable[[Callable[Concatenate[Asking, Words], None]], Callable[..., None]]:
    """A command whose first argument is an Asking, and which may take other dataclasses.

    Each field of them is an option or an argument of the command line, those of the Asking the last ones: without
    `code` there is no --package, with `times` there is --utc. A user's mistake ends the command with one message.
    """
    left_out = {*(() if code else ("packages",)), *(() if times else ("utc",))}

    def with_options(command: Callable[Concatenate[Asking, Words], None]) -> Callable[..., None]:
        first, *others = inspect.signature(command, eval_str=True).parameters.values()
        asking = list(_options(first, left_out))
        own = {one: list(_options(one, ())) for one in others}
        of_any_words: Callable[..., None] = command

        @wraps(command)
        def asking_command(**words: Any) -> None:
            whom = Asking(**{option.name: words[option.name] for option in asking})
            with whom.told():
                of_any_words(whom, **{one.name: _value(one, options, words) for one, options in own.items()})

        flat = [*(option for options in own.values() for option in options), *asking]
        asking_command.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
        asking_command.__annotations__ = {one.name: one.annotation for one in flat}
        return asking_command

    return with_options


def _options(parameter: inspect.Parameter, left_out: Iterable[str]) -> Iterator[inspect.Parameter]:
    """What the command line has for a parameter: itself, or for a dataclass its fields."""
    kind = parameter.annotation
    if not _has_fields(kind):
        yield parameter.replace(kind=KEYWORD)
        return
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        if field.name not in left_out:
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            yield inspect.Parameter(field.name, KEYWORD, default=default, annotation=hints[field.name])


def _value(
    parameter: inspect.Parameter, options: Iterable[inspect.Parameter], words: Mapping[str, Any]
) -> Any:
    """The argument of the command, from what its options were given."""
    given = {option.name: words[option.name] for option in options}
    return parameter.annotation(**given) if _has_fields(parameter.annotation) else given[parameter.name]


def _has_fields(kind: object) -> bool:
    return isinstance(kind, type) and is_dataclass(kind)
