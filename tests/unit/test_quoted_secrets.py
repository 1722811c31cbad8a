"""A message of a user's validator is looked through for all that may be a secret, given or by default."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, Field, RootModel, SecretStr
from typing_extensions import TypedDict

from piko_flow.control.params.quoted_secrets import MOST, may_quote_secret

SWORD = SecretStr("swordfish")


class Inner(BaseModel):
    host: str = "localhost"
    port: int = 1
    key: SecretStr = SWORD


@dataclass
class Login:
    user: str
    code: SecretStr = SWORD


class Pair(NamedTuple):
    user: str
    code: SecretStr = SWORD


class Typed(TypedDict):
    code: SecretStr


class Codes(RootModel[dict[str, SecretStr]]):
    pass


class ByDefault(BaseModel):
    token: SecretStr = SWORD


class OfInner(BaseModel):
    inners: list[Inner] = []
    limit: int = 1


class WithInner(BaseModel):
    inner: Inner = Inner(key=SecretStr("of-this-one"))


class OfDataclass(BaseModel):
    login: Login | None = None


class OfPair(BaseModel):
    pair: Pair | None = None


class OfTyped(BaseModel):
    typed: dict[str, Typed] = {}


class OfCodes(BaseModel):
    codes: Codes = Codes({})


class Made(BaseModel):
    token: SecretStr = Field(default_factory=lambda: SWORD)


def _fail() -> SecretStr:
    raise OSError("no such file")


class Failing(BaseModel):
    token: SecretStr = Field(default_factory=_fail)


class Plain(BaseModel):
    limit: int = 1
    sizes: dict[str, int] = {}


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (ByDefault, {}),
        (ByDefault, {"token": "other"}),
        (OfInner, {"inners": [{}]}),
        (OfDataclass, {"login": {"user": "ada"}}),
        (OfPair, {"pair": ["ada"]}),
        (Made, {}),
        (OfTyped, {"typed": {"a": {"code": "swordfish"}}}),
        (OfCodes, {"codes": {"a": "swordfish"}}),
        (Codes, {"a": "swordfish"}),
        (Plain, {"password": "swordfish"}),
        (Plain, {"unknown": ["swordfish"]}),
    ],
)
def test_a_secret_is_found_wherever_the_validator_may_have_it_from(
    model: type[BaseModel], values: dict[str, Any]
) -> None:
    assert may_quote_secret(model, values, "no entry with SWORDFISH here")
    assert may_quote_secret(model, values, "it begins with sword")
    assert not may_quote_secret(model, values, "no entry with a sworn fist here")


@pytest.mark.parametrize(
    ("secret", "message", "quoted"),
    [
        ("", "nothing is here", False),
        ("  ", "nothing  is here", False),
        ("a", "a is above b", True),
        ("a", "a_b is above c", False),
        ("is", "this fits", False),
        ("is", "this fits: 'is'", True),
        ("!", "no way!", True),
        (12, "12 are too many", True),
        (12, "121 are too many", False),
        (4711, "47110 are too many", True),
        (87654321, "87,654,321 are too many", True),
        (87654321, "87_654_321 are too many", True),
        (-1234.5, "-1,234.5 is too little", True),
        (87654321, "1,234 are too many", False),
        (" padded ", "'padded' is none", True),
        ("a b/ü?", "GET /a%20b/%C3%BC%3F failed", True),
        ('quo"te\n', r'got "quo\"te\n"', True),
        (True, "True is none", False),
        (None, "None is none", False),
        ("x" * 400_000, "what came is too long", True),  # too much to look through
    ],
)
def test_a_short_secret_is_found_as_a_word_and_a_long_one_in_any_form(
    secret: Any, message: str, quoted: bool
) -> None:
    assert may_quote_secret(ByDefault, {"token": secret}, message) is quoted


def test_values_at_places_for_no_secret_and_names_of_a_mapping_are_told() -> None:
    values = {"limit": 4711, "sizes": {"large": 12345}}
    assert not may_quote_secret(Plain, values, f"these do not fit: {values}")
    assert not may_quote_secret(Plain, values, "x" * 2 * MOST)


def test_of_what_is_beside_a_secret_a_text_that_was_given_is_not_told_and_a_number_or_a_default_is() -> None:
    values = {"inners": [{"port": 12, "host": "elsewhere"}]}
    assert not may_quote_secret(OfInner, values, "12 is above 9 at localhost")
    assert may_quote_secret(OfInner, values, "nothing is at elsewhere")
    assert not may_quote_secret(WithInner, {}, "localhost has 1")
    assert may_quote_secret(WithInner, {}, "localhost has fishes: of-this-one")


def test_a_message_too_long_to_look_through_and_a_default_that_cannot_be_made_count_as_quoting() -> None:
    assert may_quote_secret(ByDefault, {}, "x" * (MOST + 1))
    assert may_quote_secret(Failing, {}, "no")
