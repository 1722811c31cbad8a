"""Which annotations fit which: a refusal is certain, what cannot be decided is allowed."""

from __future__ import annotations

import collections
import collections.abc as abc
import enum
import numbers
import typing
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    LiteralString,
    NamedTuple,
    Never,
    NewType,
    Optional,
    Protocol,
    Self,
    TypeVar,
    Union,
)

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


FITS: list[tuple[Any, Any]] = [
    (int, int),
    (Any, int),
    (int, Any),
    (int, object),
    (Derived, Base),
    (bool, int),
    (Never, int),
    (typing.NoReturn, int),
    ("Unknown", int),
    (int, "Unknown"),
    # numbers, PEP 484 and the abstract tower
    (int, float),
    (bool, float),
    (int, complex),
    (float, complex),
    (Level, int),
    (Level, float),
    (np.float64, float),
    (int, numbers.Integral),
    (float, numbers.Real),
    (bytearray, bytes),
    # unions, both ways
    (int, int | None),
    (None, Optional[int]),  # noqa: UP045  # the old spelling is common in users' code
    (None, None),
    (int, Union[str, int]),  # noqa: UP007  # as above
    (int | str, str | int),
    (int | str, int | str | None),
    (bool | int, int),
    (Derived | Other, Base | Other),
    (int | str, float | str),
    (list[int] | None, Sequence[int] | None),
    (int | Any, int),
    # what only qualifies a type
    (UserId, int),
    (int, UserId),
    (Annotated[int, "positive"], int),
    (int, Annotated[int, "positive"]),
    (list[Annotated[int, 1]], list[int]),
    (Alias, int),
    (int, Alias),
    (Pairs[int], list[tuple[int, int]]),
    (LiteralString, str),
    (Self, int),
    (int, Self),
    # literals and enums
    (Literal["a"], str),
    (Literal["a"], Literal["a", "b"]),
    (Literal["a", 1], str | int),
    (Literal[True], int),
    (Literal[Colour.RED], Colour),
    (str, Literal["a"]),
    # containers and what they are seen as
    (list[int], list),
    (list, list[int]),
    (list[int], Sequence[int]),
    (list[int], Iterable[int]),
    (list[int], abc.Collection[float]),
    (list[bool], list[int]),
    (list[Derived], Sequence[Base]),
    (list[int], typing.List[int]),  # noqa: UP006  # the old spelling is common in users' code
    (tuple[int, str], tuple[int, str]),
    (tuple[int, int], tuple[int, ...]),
    (tuple[int, ...], tuple[int, int]),
    (tuple[int, ...], Sequence[int]),
    (tuple[int, str], Iterable[int | str]),
    (tuple[int, *tuple[str, ...]], tuple[int, str]),
    (Point, tuple[int, int]),
    (Point, tuple),
    (dict[str, int], dict[str, float]),
    (dict[str, int], Mapping[str, int]),
    (dict[str, int], Iterable[str]),
    (collections.defaultdict[str, int], dict[str, int]),
    (collections.Counter[str], Mapping[str, int]),
    (collections.OrderedDict[str, int], abc.MutableMapping[str, int]),
    (set[int], abc.Set[int]),
    (frozenset[int], abc.Set[int]),
    (collections.deque[int], Sequence[int]),
    (str, Sequence[str]),
    (bytes, Sequence[int]),
    (range, Sequence[int]),
    (Generator[int, None, None], Iterator[int]),
    (Generator[int, str, bool], Iterable[int]),
    (abc.AsyncGenerator[int, None], AsyncIterator[int]),
    (abc.ItemsView[str, int], Iterable[tuple[str, int]]),
    (abc.ValuesView[int], Iterable[int]),
    (int, abc.Hashable),
    (list[int], abc.Sized),
    # subclasses of generics
    (Ints, list[int]),
    (Ints, Sequence[int]),
    (Ints, Iterable[float]),
    (Named[int], dict[str, int]),
    (Named[int], Mapping[str, float]),
    (Named, dict[str, int]),
    (IntBox, Box[int]),
    (IntBox, Box),
    (Box, Box[int]),
    (Box[int], Box[Any]),
    (Box[Derived], Box[Base]),
    (Box[Base], Box[Derived]),
    (Writer[Base], Writer[Derived]),
    (Reader[Derived], Reader[Base]),
    (Pair[int], Pair[float]),
    # protocols, callables, classes, typed dicts
    (Base, Closeable),
    (int, typing.SupportsIndex),
    (Callable[[int], str], Callable[[str], int]),
    (type[Base], Callable[[], Base]),
    (type[Derived], type[Base]),
    (Row, dict),
    (Row, dict[str, str]),
    (Row, Mapping[str, Any]),
    (Row, OtherRow),
    (dict[str, str], Row),
    (dict, Row),
    # models
    (SubModel, Model),
    (SubModel, BaseModel),
    (Page[int], Page[int]),
    (Page[int], Page),
    (Page, Page[int]),
    (Page[int], Page[float]),
    (Page[Any], Page[int]),
    (IntPage, Page[int]),
    # type variables
    (T, int),
    (int, T),
    (str, Text),
    (int, IntOrStr),
    (str, IntOrStr),
    (IntOrStr, str),
    (of(list, T), list[int]),
    (list[int], of(list, T)),
    # arrays
    (npt.NDArray[np.float64], npt.NDArray[np.float64]),
    (npt.NDArray[np.float64], np.ndarray),
    (np.ndarray, npt.NDArray[np.float64]),
    (npt.NDArray[np.float64], npt.NDArray[Any]),
    (npt.NDArray[np.float64], npt.NDArray[np.floating[Any]]),
    (npt.NDArray[np.float64], npt.ArrayLike),
]

MISFITS: list[tuple[Any, Any]] = [
    (int, str),
    (str, int),
    (float, int),
    (Base, Derived),
    (Base, Other),
    (object, int),
    (int | None, int),
    (int | str, int),
    (None, int),
    (int, None),
    (Derived | Other, Base),
    (UserId, str),
    (Annotated[int, 1], str),
    (Alias, str),
    (Pairs[int], list[tuple[int, str]]),
    (LiteralString, int),
    (Literal["a"], int),
    (Literal["a"], Literal["b"]),
    (Literal["a", 1], str),
    (Colour, int),
    (list[int], list[str]),
    (list[int], Sequence[str]),
    (list[int], tuple[int, ...]),
    (list[int], set[int]),
    (Sequence[int], list[int]),
    (Iterable[int], list[int]),
    (tuple[int, str], tuple[int, int]),
    (tuple[int, int, int], tuple[int, int]),
    (tuple[int, str], tuple[int, ...]),
    (tuple[int, str], Iterable[int]),
    (dict[str, int], dict[int, int]),
    (dict[str, int], Mapping[str, str]),
    (dict[str, int], Iterable[int]),
    (dict[str, int], list[str]),
    (Mapping[str, int], dict[str, int]),
    (collections.Counter[str], Mapping[str, str]),
    (str, Sequence[int]),
    (Generator[int, None, None], Iterator[str]),
    (abc.AsyncGenerator[int, None], Iterator[int]),
    (list[int], abc.Hashable),
    (Ints, list[str]),
    (Ints, Iterable[str]),
    (Named[int], Mapping[str, str]),
    (IntBox, Box[str]),
    (Box[int], Box[str]),
    (Reader[Base], Reader[Derived]),
    (type[Base], type[Other]),
    (Row, int),
    (int, Row),
    (Model, SubModel),
    (Model, dict),
    (dict, Model),
    (Page[int], Page[str]),
    (IntPage, Page[str]),
    (int, Text),
    (float, IntOrStr),
    (npt.NDArray[np.float64], npt.NDArray[np.str_]),
    (npt.NDArray[np.float64], list[float]),
]


def pair_of(pair: tuple[Any, Any]) -> str:
    return f"{show(pair[0])} for {show(pair[1])}"


@pytest.mark.parametrize("pair", FITS, ids=pair_of)
def test_what_is_right_or_unknown_is_allowed(pair: tuple[Any, Any]) -> None:
    assert compatible(*pair)


@pytest.mark.parametrize("pair", MISFITS, ids=pair_of)
def test_what_is_certainly_wrong_is_refused(pair: tuple[Any, Any]) -> None:
    assert not compatible(*pair)


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
