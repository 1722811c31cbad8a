"""Finding the flows of a package, and telling all that keeps them from being found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from piko_flow.control.flows.discovery import DiscoveryFailed, discover
from piko_flow.control.flows.flow import Flow, default_registry
from piko_flow.control.flows.registry import Registry

HEAD = "from piko_flow import Sink, Source\nfrom piko_flow.control.flows.flow import Flow\n"


def module(name: str, **options: object) -> str:
    """The text of a module that registers one flow."""
    given = "".join(f", {option}={value!r}" for option, value in options.items())
    return f"{HEAD}flow = Flow.register({name!r}, Source([1]) >> Sink(print){given})\n"


class Shop:
    """A package in a folder that is the current one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, path: str, text: str = "") -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    known, path = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)
    yield Shop(tmp_path)
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)) or name.startswith(
            "shop"
        ):
            del sys.modules[name]
    sys.path[:] = path


@pytest.fixture
def registry() -> Registry[Flow]:
    return Registry()


def test_every_module_below_the_package_is_imported(shop: Shop, registry: Registry[Flow]) -> None:
    shop.write("shop_a/__init__.py", module("root"))
    shop.write("shop_a/orders.py", module("orders"))
    shop.write("shop_a/deep/__init__.py")
    shop.write("shop_a/deep/deeper/stock.py", module("stock"))
    shop.write("shop_a/notes.txt", "no module")
    shop.write("shop_a/__main__.py", "raise SystemExit('a program was run')\n")
    shop.write("shop_a/not-a-module.py", "raise SystemExit\n")
    assert [flow.name for flow in discover("shop_a", registry=registry)] == ["orders", "root", "stock"]
    assert "orders" not in default_registry


def test_only_modules_of_the_name_are_imported_where_one_is_given(
    shop: Shop, registry: Registry[Flow]
) -> None:
    shop.write("shop_b/__init__.py")
    shop.write("shop_b/jobs.py", module("top"))
    shop.write("shop_b/north/jobs.py", module("north"))
    shop.write("shop_b/north/other.py", "raise ValueError\n")
    assert [flow.name for flow in discover("shop_b", "jobs", registry=registry)] == ["north", "top"]


@pytest.mark.parametrize("package", ["shop_c", "./shop_c", "shop_c/"])
def test_a_folder_without_init_is_a_package_too(shop: Shop, registry: Registry[Flow], package: str) -> None:
    shop.write("shop_c/orders.py", module("orders"))
    assert [flow.name for flow in discover(package, registry=registry)] == ["orders"]


def test_one_file_is_discovered_alone(shop: Shop, registry: Registry[Flow]) -> None:
    shop.write("shop_files/single.py", module("single"))
    shop.write("shop_files/other.py", module("other"))
    assert [flow.name for flow in discover("shop_files/single.py", registry=registry)] == ["single"]


def test_what_was_imported_before_goes_into_another_registry_too(
    shop: Shop, registry: Registry[Flow]
) -> None:
    shop.write("shop_d/orders.py", module("orders"))
    first: Registry[Flow] = Registry()
    (flow,) = discover("shop_d", registry=first)
    assert discover("shop_d", registry=registry) == [flow]
    assert discover("shop_d", registry=registry) == [flow]


def test_all_modules_that_cannot_be_imported_are_told_at_once(shop: Shop, registry: Registry[Flow]) -> None:
    shop.write("shop_e/__init__.py")
    shop.write("shop_e/a.py", "import no_such_library\n")
    shop.write("shop_e/b.py", "def broken(:\n")
    shop.write("shop_e/c.py", "\n\nprice = 1 / 0\n")
    shop.write("shop_e/d.py", "import sys\nsys.exit(3)\n")
    shop.write("shop_e/e/__init__.py", "raise RuntimeError('inner')\n")
    shop.write("shop_e/e/f.py", module("never reached"))
    shop.write("shop_e/good.py", module("good"))
    with pytest.raises(DiscoveryFailed) as caught:
        discover("shop_e", registry=registry)
    assert list(caught.value.failed) == [f"shop_e.{name}" for name in "abcde"]
    lines = str(caught.value).splitlines()
    assert lines[0] == "5 modules of 'shop_e' cannot be imported:"
    assert lines[1] == "  shop_e.a: ModuleNotFoundError: No module named 'no_such_library' (a.py:1)"
    assert lines[2].endswith("(b.py:1)")
    assert lines[3] == "  shop_e.c: ZeroDivisionError: division by zero (c.py:3)"
    assert lines[4] == "  shop_e.d: SystemExit: 3 (d.py:2)"
    assert lines[5] == "  shop_e.e: RuntimeError: inner (__init__.py:1)"


def test_a_name_that_two_modules_register_is_told_with_both_places(
    shop: Shop, registry: Registry[Flow]
) -> None:
    shop.write("shop_f/a.py", module("orders"))
    shop.write("shop_f/b.py", module("orders"))
    with pytest.raises(DiscoveryFailed) as caught:
        discover("shop_f", registry=registry)
    told = str(caught.value)
    assert "flow 'orders' (shop_f/b.py:3): a name belongs to one flow" in told
    assert "registered at shop_f/a.py:3 (module shop_f.a)" in told


def test_a_package_that_is_not_there_is_told_with_the_nearest(shop: Shop, registry: Registry[Flow]) -> None:
    shop.write("shop_pipelines/a.py")
    with pytest.raises(DiscoveryFailed, match=r"no package 'shop_piplines'.*did you mean 'shop_pipelines'\?"):
        discover("shop_piplines", registry=registry)
    with pytest.raises(DiscoveryFailed, match="there is no nowhere/flows"):
        discover("nowhere/flows", registry=registry)


def test_a_package_that_itself_cannot_be_imported_is_told_with_its_reason(
    shop: Shop, registry: Registry[Flow]
) -> None:
    shop.write("shop_g/__init__.py", "import shop_g.missing\n")
    with pytest.raises(DiscoveryFailed, match=r"shop_g: ModuleNotFoundError: .*shop_g.missing"):
        discover("shop_g", registry=registry)


def test_a_folder_whose_name_another_module_has_is_told(shop: Shop, registry: Registry[Flow]) -> None:
    shop.write("elsewhere/json/flows.py", module("orders"))
    with pytest.raises(DiscoveryFailed, match=r"the name 'json' belongs to .*; rename the folder"):
        discover("elsewhere/json", registry=registry)
