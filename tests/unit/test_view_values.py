"""What the code says of a flow is told without secrets."""

from pydantic import BaseModel, Field, SecretStr

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.operations.view_values import flow_values
from tests.unit.planes import do_nothing


class Login(BaseModel):
    user: str = "ann"
    password: str = "in plain words"


class Params(BaseModel):
    region: str = Field("eu", examples=["us"])
    api_token: str = Field("a token by its name", examples=["another token"])
    key: SecretStr = SecretStr("a secret by its type")
    login: Login = Login()
    logins: list[Login] = []


def test_the_schema_of_parameters_has_no_default_that_is_a_secret() -> None:
    registry: Registry[Flow] = Registry()
    told = flow_values(Flow.register("orders", do_nothing, params=Params, registry=registry))
    assert told is not None
    properties = told["params_schema"]["properties"]
    assert properties["region"] == {
        "default": "eu",
        "examples": ["us"],
        "title": "Region",
        "type": "string",
    }
    assert properties["login"]["default"] == {"user": "ann", "password": "******"}
    for secret in ("a token by its name", "another token", "a secret by its type", "in plain words"):
        assert secret not in repr(told)
    assert (told["kind"], told["stateful"], told["after"]) == ("job", False, None)


def test_a_flow_that_only_rows_know_says_nothing() -> None:
    assert flow_values(None) is None
