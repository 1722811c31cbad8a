"""Names inside of nested parameters that no model has are refused like those at the top, and told of a row."""

import json
from typing import Annotated, Any

import pytest
from pydantic import AliasPath, BaseModel, BeforeValidator, Field, RootModel, field_validator, model_validator

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.params.params import ParamsRefused, check_names, check_params, ignored_names
from piko_flow.control.params.unknown_names import unknown_names
from piko_flow.errors import RequestRefused
from tests.unit.planes import do_nothing, scene


class Limits(BaseModel):
    most: int = 10
    least: int = Field(1, alias="min")


class Tree(BaseModel):
    limits: Limits | None = None
    below: list["Tree"] = []


class Named(RootModel[dict[str, Limits]]):
    pass


class Renaming(BaseModel):
    most: int = 10

    @model_validator(mode="before")
    @classmethod
    def known_before(cls, values: Any) -> Any:
        return {"most": values["maximum"]} if "maximum" in values else values


class Reaching(BaseModel):
    most: int = Field(10, validation_alias=AliasPath("far", 0))


class Open(BaseModel, extra="allow"):
    limits: Limits = Limits()


class Decorated(BaseModel):
    limits: Limits = Limits()

    @field_validator("limits", mode="before")
    @classmethod
    def read(cls, value: Any) -> Any:
        return {"most": value.get("maximum", 1)}


def limit(value: Any) -> Any:
    return {"most": value["maximum"]} if "maximum" in value else value


def holding(annotation: Any) -> type[BaseModel]:
    class Params(BaseModel):
        held: annotation = None

    return Params


def flow(model: Any) -> Flow:
    registry: Registry[Flow] = Registry()
    Flow.register("orders", do_nothing, params=model, registry=registry)
    return registry["orders"]


UNKNOWN = {"most": 3, "mx": 4}


@pytest.mark.parametrize(
    ("model", "values", "places"),
    [
        (holding(Limits), {"held": UNKNOWN}, ["held.mx"]),
        (holding(Limits | None), {"held": UNKNOWN, "hold": 1}, ["hold", "held.mx"]),
        (holding(list[Limits]), {"held": [{}, UNKNOWN]}, ["held.1.mx"]),
        (holding(dict[str, Limits | None]), {"held": {"eu": UNKNOWN, "us": None}}, ["held.eu.mx"]),
        (holding(dict[str, list[Limits]]), {"held": {"eu": [UNKNOWN]}}, ["held.eu.0.mx"]),
        (holding(Limits), {"held": {"min": 1, "least": 2}}, []),
        (
            Tree,
            {"below": [{"below": [{"limits": UNKNOWN, "belo": []}]}]},
            ["below.0.below.0.belo", "below.0.below.0.limits.mx"],
        ),
        (Open, {"limits": UNKNOWN, "any": 1}, ["limits.mx"]),
        (holding(Open), {"held": {"any": 1, "limits": UNKNOWN}}, ["held.limits.mx"]),
        # of these nobody can say
        (holding(dict[str, Any]), {"held": UNKNOWN}, []),
        (holding(dict), {"held": UNKNOWN}, []),
        (holding(Limits | Tree), {"held": UNKNOWN}, []),
        (holding(Named), {"held": {"eu": UNKNOWN}}, []),
        (holding(Renaming), {"held": {"maximum": 3}}, []),
        (holding(Reaching), {"held": {"far": [3], "mx": 4}}, []),
        (holding(Annotated[Limits, BeforeValidator(limit)]), {"held": {"maximum": 3}}, []),
        (holding(list[Annotated[Limits, BeforeValidator(limit)]]), {"held": [{"maximum": 3}]}, []),
        (Decorated, {"limits": {"maximum": 3}}, []),
        (Renaming, {"maximum": 3}, []),
        # and these are wrong in another way, which the model itself tells
        (holding(Limits), {"held": [UNKNOWN]}, []),
        (holding(list[Limits]), {"held": UNKNOWN}, []),
    ],
)
def test_names_inside_of_values_that_no_model_has_are_found(
    model: type[BaseModel], values: dict[str, Any], places: list[str]
) -> None:
    found = [".".join(map(str, one.place)) for one in unknown_names(model, values)]
    assert found == places
    it = flow(model)
    if places:
        with pytest.raises(RequestRefused, match=rf"{places[0]}.* none of them"):
            check_names(it, values)
    else:
        check_names(it, values)


def test_a_name_inside_is_refused_at_its_place_with_the_nearest_of_its_model() -> None:
    with pytest.raises(ParamsRefused) as caught:
        check_names(flow(Tree), {"limits": {"mst": 5}})
    assert caught.value.places == {("limits", "mst"): "no name of the model. Did you mean 'most'?"}
    assert caught.value.fields() == {"limits": "mst: no name of the model. Did you mean 'most'?"}
    assert "params have names of the model Limits; 'limits.mst' is none of them" in str(caught.value)
    with pytest.raises(ParamsRefused) as caught:
        check_names(flow(Tree), {"xyz": 1, "limits": {"q": 5}})
    assert "names of the models Tree and Limits; 'xyz', 'limits.q' are none of them" in str(caught.value)
    assert "Tree has below, limits; Limits has least, min, most" in str(caught.value)


def test_names_inside_of_a_row_are_told_as_ignored() -> None:
    it = flow(Tree)
    text = '{"limits": {"mst": 4, "least": 3}, "lmits": 1}'
    assert ignored_names(it, text) == (
        "the models Tree and Limits do not have, and so ignore: 'lmits' (did you mean 'limits'?),"
        " 'limits.mst' (did you mean 'most'?), 'limits.least'"
    )
    assert check_params(it, text) == Tree(limits=Limits())


def test_values_nested_deeper_than_python_calls_are_looked_through() -> None:
    values: dict[str, Any] = {"limits": UNKNOWN}
    for _ in range(1_500):
        values = {"below": [values]}
    [found] = unknown_names(Tree, values)
    assert len(found.place) == 3_002


async def test_what_has_such_a_name_is_written_nowhere_and_triggers_nothing() -> None:
    it = scene()
    Flow.register("trees", do_nothing, params=Tree, registry=it.plane.registry)
    await it.plane.set_schedule("trees", "interval", {"hours": 1}, timezone="UTC")
    for refused in (
        it.plane.set_params("trees", values={"limits": {"mst": 5}}),
        it.plane.set_params("trees", changes={"limits": {"mst": 5}}),
        it.plane.plan_trigger("trees", params={"limits": {"mst": 5}}),
    ):
        with pytest.raises(RequestRefused, match=r"limits\.mst.* Did you mean 'most'"):
            await refused
    assert await it.store.configs() == []
    assert json.loads((await it.plane.set_params("trees", values={"limits": {"most": 5}})).text) == {
        "limits": {"most": 5}
    }
