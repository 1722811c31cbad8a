"""Which annotations fit which: a refusal is certain, what cannot be decided is allowed."""

from __future__ import annotations

import collections
import collections.abc as abc
import enum
import numbers
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, Protocol, TypeVar, Union

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from typing_extensions import TypeAliasType, TypedDict

from piko_flow.dataflow.graph.typing import compatible, show

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)
Text = TypeVar("Text", bound=str)
IntOrStr = TypeVar("IntOrStr", int, str)
UserId = NewType("UserId", int)
Alias = TypeAliasType("Alias", int)
Pairs = TypeAliasType("Pairs", list[tuple[T, T]], type_params=(T,))


class Base: ...


class Derived(Base): ...


class Other: ...


class Ints(list[int]): ...


class Named(dict[str, T], Generic[T]): ...


class Box(Generic[T]): ...


class IntBox(Box[int]): ...


class Writer(Generic[T_contra]): ...


class Reader(Generic[T_co]): ...


class Closeable(Protocol):
    def close(self) -> None: ...


class Row(TypedDict):
    name: str


class OtherRow(TypedDict):
    age: int


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Model(BaseModel):
    x: int = 0


class SubModel(Model): ...


class Page(BaseModel, Generic[T], arbitrary_types_allowed=True):
    items: list[T]


class IntPage(Page[int]): ...


@dataclass
class Pair(Generic[T]):
    left: T


def of(kind: Any, arguments: Any) -> Any:
    return kind[arguments]


FITS = """
int -> int; Any; object; "Unknown"
Any; bool; Never; typing.NoReturn; "Unknown" -> int
Derived -> Base
# numbers, PEP 484 and the abstract tower
int -> float; complex; numbers.Integral
bool; np.float64 -> float
float -> complex; numbers.Real
Level -> int; float
bytearray -> bytes
# unions, both ways
int -> int | None; Union[str, int]
None -> Optional[int]; None
int | str -> str | int; int | str | None; float | str
bool | int; int | Any -> int
Derived | Other -> Base | Other
list[int] | None -> Sequence[int] | None
# what only qualifies a type
UserId; Annotated[int, "positive"]; Alias; Self -> int
int -> UserId; Annotated[int, "positive"]; Alias; Self
list[Annotated[int, 1]] -> list[int]
Pairs[int] -> list[tuple[int, int]]
LiteralString -> str
# literals and enums
Literal["a"] -> str; Literal["a", "b"]
Literal["a", 1] -> str | int
Literal[True] -> int
Literal[Colour.RED] -> Colour
str -> Literal["a"]
# containers and what they are seen as
list[int] -> list; Sequence[int]; Iterable[int]; abc.Collection[float]; typing.List[int]; abc.Sized
list; list[bool] -> list[int]
list[Derived] -> Sequence[Base]
tuple[int, str] -> tuple[int, str]; Iterable[int | str]
tuple[int, int] -> tuple[int, ...]
tuple[int, ...] -> tuple[int, int]; Sequence[int]
tuple[int, *tuple[str, ...]] -> tuple[int, str]
Point -> tuple[int, int]; tuple
dict[str, int] -> dict[str, float]; Mapping[str, int]; Iterable[str]
collections.defaultdict[str, int] -> dict[str, int]
collections.Counter[str] -> Mapping[str, int]
collections.OrderedDict[str, int] -> abc.MutableMapping[str, int]
set[int]; frozenset[int] -> abc.Set[int]
collections.deque[int]; bytes; range -> Sequence[int]
str -> Sequence[str]
Generator[int, None, None] -> Iterator[int]
Generator[int, str, bool]; abc.ValuesView[int] -> Iterable[int]
abc.AsyncGenerator[int, None] -> AsyncIterator[int]
abc.ItemsView[str, int] -> Iterable[tuple[str, int]]
int -> abc.Hashable
# subclasses of generics
Ints -> list[int]; Sequence[int]; Iterable[float]
Named[int] -> dict[str, int]; Mapping[str, float]
Named -> dict[str, int]
IntBox -> Box[int]; Box
Box -> Box[int]
Box[int] -> Box[Any]
Box[Derived] -> Box[Base]
Box[Base] -> Box[Derived]
Writer[Base] -> Writer[Derived]
Reader[Derived] -> Reader[Base]
Pair[int] -> Pair[float]
# protocols, callables, classes, typed dicts
Base -> Closeable
int -> typing.SupportsIndex
Callable[[int], str] -> Callable[[str], int]
type[Base] -> Callable[[], Base]
type[Derived] -> type[Base]
Row -> dict; dict[str, str]; Mapping[str, Any]; OtherRow
dict[str, str]; dict -> Row
# models
SubModel -> Model; BaseModel
Page[int] -> Page[int]; Page; Page[float]
Page; Page[Any]; IntPage -> Page[int]
# type variables
T -> int
int -> T; IntOrStr
str -> Text; IntOrStr
IntOrStr -> str
of(list, T) -> list[int]
list[int] -> of(list, T)
# arrays
npt.NDArray[np.float64] -> npt.NDArray[np.float64]; np.ndarray; npt.NDArray[Any]
npt.NDArray[np.float64] -> npt.NDArray[np.floating[Any]]; npt.ArrayLike
np.ndarray -> npt.NDArray[np.float64]
"""

MISFITS = """
int -> str; None; Row; Text
str -> int; Sequence[int]
float -> int; IntOrStr
Base -> Derived; Other
object; int | None; int | str; None; LiteralString; Colour; Row -> int
Derived | Other -> Base
UserId; Annotated[int, 1]; Alias; Literal["a", 1] -> str
Pairs[int] -> list[tuple[int, str]]
Literal["a"] -> int; Literal["b"]
list[int] -> list[str]; Sequence[str]; tuple[int, ...]; set[int]; abc.Hashable
Sequence[int]; Iterable[int] -> list[int]
tuple[int, str] -> tuple[int, int]; tuple[int, ...]; Iterable[int]
tuple[int, int, int] -> tuple[int, int]
dict[str, int] -> dict[int, int]; Mapping[str, str]; Iterable[int]; list[str]
Mapping[str, int] -> dict[str, int]
collections.Counter[str]; Named[int] -> Mapping[str, str]
Generator[int, None, None] -> Iterator[str]
abc.AsyncGenerator[int, None] -> Iterator[int]
Ints -> list[str]; Iterable[str]
IntBox; Box[int] -> Box[str]
Reader[Base] -> Reader[Derived]
type[Base] -> type[Other]
Model -> SubModel; dict
dict -> Model
Page[int]; IntPage -> Page[str]
npt.NDArray[np.float64] -> npt.NDArray[np.str_]; list[float]
"""


SCOPE = (
    vars(typing)
    | vars(abc)
    | {"collections": collections, "numbers": numbers, "np": np, "npt": npt}
    | globals()
)


def pairs(table: str) -> list[Any]:
    """Each type on the left of a line with each on its right."""
    lines = [line.split(" -> ") for line in table.strip().splitlines() if not line.startswith("#")]
    return [
        pytest.param(eval(one, SCOPE), eval(other, SCOPE), id=f"{one} for {other}")
        for gives, takes in lines
        for one in gives.split("; ")
        for other in takes.split("; ")
    ]


@pytest.mark.parametrize(("gives", "takes"), pairs(FITS))
def test_what_is_right_or_unknown_is_allowed(gives: Any, takes: Any) -> None:
    assert compatible(gives, takes)


@pytest.mark.parametrize(("gives", "takes"), pairs(MISFITS))
def test_what_is_certainly_wrong_is_refused(gives: Any, takes: Any) -> None:
    assert not compatible(gives, takes)


def wrapped(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    one_argument = [list, Sequence, Box, Page, abc.Set]
    return st.one_of(
        *[inner.map(partial(of, kind)) for kind in one_argument],
        inner.map(lambda one: of(tuple, (one, ...))),
        inner.map(lambda one: of(dict, (str, one))),
        inner.map(lambda one: of(Annotated, (one, "note"))),
        st.tuples(inner, inner).map(lambda two: of(Union, two)),
        st.tuples(inner, inner).map(lambda two: of(tuple, two)),
    )


SIMPLE = st.sampled_from([int, str, float, bool, bytes, None, Base, Derived, Model, Ints, Row, Colour, Any])
ANNOTATIONS = st.recursive(SIMPLE, wrapped, max_leaves=6)


@given(ANNOTATIONS)
def test_every_annotation_fits_itself_and_object_and_unknown(annotation: Any) -> None:
    assert compatible(annotation, annotation)
    assert compatible(annotation, object)
    assert compatible(annotation, Any)
    assert compatible(Any, annotation)


@given(ANNOTATIONS, ANNOTATIONS)
def test_a_union_takes_what_one_of_its_members_takes(one: Any, other: Any) -> None:
    assert compatible(one, of(Union, (one, other)))
    assert compatible(of(Union, (one, other)), one) >= compatible(other, one)


@given(ANNOTATIONS, ANNOTATIONS)
def test_containers_fit_where_their_items_do(one: Any, other: Any) -> None:
    if compatible(one, other):
        assert compatible(of(list, one), of(Iterable, other))
        assert compatible(of(dict, (str, one)), of(Mapping, (str, other)))
        assert compatible(of(tuple, (one, str)), of(tuple, (other, str)))


@pytest.mark.parametrize(
    ("annotation", "shown"),
    [
        (None, "None"),
        (int | None, "int | None"),
        (Optional[Base], "Base | None"),  # noqa: UP045  # as above
        (list[Base], "list[Base]"),
        (dict[str, list[Model]], "dict[str, list[Model]]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Page[int], "Page[int]"),
        (Literal["a", 1], "Literal['a', 1]"),
        (Any, "Any"),
        (Callable[[int], str], "Callable[[int], str]"),
        (type[Base], "type[Base]"),
    ],
)
def test_an_annotation_is_shown_as_users_write_it(annotation: Any, shown: str) -> None:
    assert show(annotation) == shown
