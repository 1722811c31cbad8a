"""One sink for several models: each class has its own way of being written.

A Route sends an item to the branch of its class. As the sink of an application it takes what runs emit; a model that
no branch takes is refused where the sink is registered, and one that is not named is refused by `emit`.

    uvicorn pipelines.typed_sink:app.api
    piko-flow trigger emit_models -p pipelines.typed_sink

The same Route ends a pipeline:

    piko-flow run pipelines.typed_sink:pipeline
"""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from piko_flow import App, Flow, On, Pipeline, Route, RunContext, Sink, Source


class User(BaseModel):
    """Somebody who buys."""

    id: int
    name: str


class Order(BaseModel):
    """What somebody bought, and for how much."""

    id: int
    amount: float


class UserSink:
    """Writes users by saying who they are."""

    async def write(self, items: Sequence[User]) -> None:
        """Say the names of a list of users."""
        print(f"users: {', '.join(user.name for user in items)}")


class OrderSink:
    """Writes orders by saying what they sum up to."""

    async def write(self, items: Sequence[Order]) -> None:
        """Say the sum of a list of orders."""
        print(f"orders: {len(items)} of {sum(order.amount for order in items):.2f}")


by_class = Route(On(User, Sink(UserSink(), batch=100)), On(Order, Sink(OrderSink(), batch=100)))


def models() -> Iterator[User | Order]:
    """Give users and orders as they come, mixed."""
    yield User(id=1, name="alice")
    yield Order(id=1, amount=9.9)
    yield User(id=2, name="bob")
    yield Order(id=2, amount=20.1)


pipeline: Pipeline = Source(models) >> by_class

app = App("typed_sink_demo", packages=["pipelines.typed_sink"])
app.register_sink("typed", by_class, models=[User, Order], key="id")


@Flow.register("emit_models", tags=["example"])
async def emit_models(run: RunContext) -> None:
    """Emit users and orders to one sink."""
    for model in models():
        await run.emit(model, to="typed")
