"""Uses that the checkers refuse, each on the line that says so; a line may say which checker alone does."""

from functools import partial

from piko_flow import (
    Batch,
    Broadcast,
    CpuMap,
    Filter,
    FlatMap,
    Fold,
    Merge,
    On,
    Parse,
    Route,
    Sink,
    Source,
    Throttle,
    Transform,
)
from tests.typing.parts import (
    Doubling,
    Exactly,
    Numbers,
    Order,
    Pages,
    Refund,
    Texts,
    digits,
    eight_kinds,
    large,
    lines,
    mixed,
    numbers,
    orders,
    plus,
    positive,
    print_number,
    print_text,
    reason,
    same,
    save_order,
    save_refund,
    save_texts,
    scaled,
    text,
    text_later,
    three_kinds,
    total,
    twice,
    with_client,
)

ints = Source(numbers)
words = Source(["a"])


def sources() -> None:
    Source(1)  # wrong
    Source(positive)  # wrong
    Source(lines, splits=[1, 2])  # wrong
    Source(numbers, on="threads")  # wrong
    Source(Pages(), splits=["a"])  # wrong
    Source(numbers, concurrency=3)  # wrong


def joints() -> None:
    words >> Transform(text)  # wrong
    words >> Transform(text_later)  # wrong
    words >> Transform(Doubling())  # wrong
    words >> Transform(Doubling().half)  # wrong
    words >> Transform(Doubling().half_later)  # wrong
    words >> Transform(with_client)  # wrong
    words >> Transform(partial(scaled, 0.5))  # wrong for pyright: mypy does not check a partial's input
    words >> CpuMap(text)  # wrong
    words >> Filter(positive)  # wrong
    words >> FlatMap(digits)  # wrong
    words >> Fold(plus, start=int)  # wrong
    ints >> Transform(same) >> Transform(str.upper)  # wrong
    ints >> Transform(twice) >> Transform(text)  # wrong
    ints >> Transform(text) >> Transform(text)  # wrong
    ints >> Transform(text_later) >> Transform(text)  # wrong
    ints >> FlatMap(digits) >> Transform(text)  # wrong
    words >> Parse(Order) >> Transform(reason)  # wrong
    words >> Parse(Order | Refund) >> Transform(reason)  # wrong
    ints >> Batch(3) >> Transform(text)  # wrong
    ints >> Throttle(3) >> Transform(str.upper)  # wrong
    ints >> Batch(3, weight=len)  # wrong
    ints >> Fold(plus, start=str)  # wrong
    ints >> FlatMap(text) >> Transform(text)  # wrong
    ints >> FlatMap(positive)  # wrong
    Source([1.5]) >> Transform(text)  # wrong


def ends() -> None:
    words >> Sink(print_number)  # wrong
    words >> Sink(Numbers())  # wrong
    ints >> Sink(Texts())  # wrong
    ints >> Batch(3) >> Sink(save_texts)  # wrong
    ints >> Transform(text) >> Sink(print_number)  # wrong
    ints >> Sink(print_number) >> Sink(print_number)  # wrong
    Sink(print_number) >> Sink(print_number)  # wrong
    Sink(print_number, batch=10)  # wrong
    Sink(Numbers(), concurrency=2)  # wrong
    ints >> print_number  # wrong
    ints >> Source(numbers)  # wrong
    ints >> Merge(ints, words)  # wrong


def open_chains() -> None:
    cleaned = Filter(positive) >> Transform(text)
    words >> cleaned  # wrong
    ints >> cleaned >> Sink(print_number)  # wrong
    cleaned >> Transform(text)  # wrong
    words >> (cleaned >> Sink(print_text))  # wrong
    ints >> (Batch(3) >> Sink(save_texts))  # wrong
    ints >> (Throttle(3) >> Sink(print_text))  # wrong


def routes() -> None:
    three = Source(three_kinds)
    three >> Route(On(Order, Sink(save_order)), On(Refund, Sink(save_refund)))  # wrong
    three >> Route(On(Order, Sink(print)), On(Refund, Sink(print)))  # wrong
    three >> Route(On(Order, Transform(total)), On(Refund, Transform(reason)))  # wrong
    three >> Route(On(Order, Sink(save_order)))  # wrong
    Source(mixed) >> Route(On(Refund, Transform(reason)))  # wrong
    Source(mixed) >> Route(On(large, Sink(save_order)), On(object, Sink(print)))  # wrong
    apart = Route(On(Order, Transform(total)), On(Refund, Transform(reason)))
    Source(mixed) >> apart >> Sink(print_text)  # wrong
    On(Order, Sink(save_refund))  # wrong
    On(1, Sink(save_refund))  # wrong
    On(Order | Refund, Sink(save_refund))  # wrong
    On(Order, save_order)  # wrong
    Route(Sink(save_order))  # wrong
    Route(On(Order, Sink(save_order)), on_error="ignore")  # wrong


def eight_branches() -> None:
    numbers_and_text = On(int, Transform(text)), On(str, Sink(print_text)), On(bytes, Sink(print))
    others = On(complex, Transform(str)), On(range, Transform(len)), On(type(None), Sink(print))
    order, refund = On(Order, Transform(total)), On(Refund, Transform(reason))
    Source(eight_kinds) >> Route(*numbers_and_text, *others, order)  # wrong
    Source(eight_kinds) >> Route(*numbers_and_text, order, refund)  # wrong
    Source([["a"]]) >> Route(*numbers_and_text, *others, order, refund)  # wrong
    Exactly[str]((Source(eight_kinds) >> Route(*numbers_and_text, *others, order, refund)).take(1))  # wrong


def many_branches() -> None:
    numbers_and_text = On(int, Transform(text)), On(str, Sink(print_text)), On(bytes, Sink(print))
    others = On(complex, Transform(str)), On(range, Sink(print)), On(type(None), Sink(print))
    some, order, refund = (
        (*numbers_and_text, *others),
        On(Order, Transform(total)),
        On(Refund, Transform(reason)),
    )
    Source(eight_kinds) >> Route(*some, *some, *some, order, order)  # wrong
    Source(eight_kinds) >> Route(*some, *some, *some, refund)  # wrong
    Source([["a"]]) >> Route(*some, *some, *some, order, refund)  # wrong
    Source(eight_kinds) >> Route(*some, *some, *some, refund, order) >> Sink(print_text)  # wrong
    Exactly[str]((Source(eight_kinds) >> Route(*some, *some, *some, refund, order)).take(1))  # wrong
    Exactly[str | int | bytes]((Source(eight_kinds) >> Route(*some, refund, order)).take(1))  # wrong
    both = Transform(total), Transform(str)
    ten = (*both, *both, *both, *both, *both)
    Source(orders) >> Broadcast(*ten, *ten, Transform(reason))  # wrong
    Source(orders) >> Broadcast(*ten, *ten) >> Sink(print_text)  # wrong
    Exactly[int]((Source(orders) >> Broadcast(*ten, *ten)).take(1))  # wrong
    many = (ints, ints, ints, ints, ints, ints, ints, ints, ints, words)
    Merge(*many, *many) >> Sink(print_number)  # wrong
    Exactly[int](Merge(*many, *many).take(1))  # wrong
    Merge(*many, Sink(print))  # wrong


def broadcasts_and_merges() -> None:
    words >> Broadcast(Sink(print_number), Sink(print))  # wrong
    Source(orders) >> Broadcast(Sink(save_order), Sink(save_refund))  # wrong
    Source(orders) >> Broadcast(Transform(total), Transform(str)) >> Sink(print_number)  # wrong
    Merge(ints, words) >> Sink(print_number)  # wrong
    Merge(ints, Transform(text))  # wrong
    Broadcast(Sink(print), print)  # wrong


def options() -> None:
    Transform(text_later, concurency=3)  # wrong
    Transform(text_later, concurrency="3")  # wrong
    Transform(text_later, on_error="ignore")  # wrong
    Transform(text_later, on="process")  # wrong
    Transform(text_later, retry=3)  # wrong
    CpuMap(text, concurrency=3)  # wrong
    Parse(Order, on_error="drop")  # wrong
    Batch("3")  # wrong
    Batch(3, within="soon")  # wrong
    Throttle(3, per="minute")  # wrong
    Fold(plus)  # wrong


async def looking() -> None:
    found: list[int] = await (ints >> Transform(text)).collect()  # wrong
    seen: list[str] = ints.take(3)  # wrong
    del found, seen
