"""README's first screen: exactly two commands, each one line in a code block of its own."""

import re

from tests.architecture.checkout import ROOT

ENVIRONMENT = "python3 -m venv --without-pip .venv && python3 -m pip --python .venv/bin/python install -q "
FIRST_SCREEN = 25


def test_the_first_screen_of_the_readme_holds_the_demo_and_the_test_command() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:FIRST_SCREEN])
    blocks = re.findall(r"```\w*\n(.*?)```", first_screen, re.DOTALL)
    assert blocks == [
        f"{ENVIRONMENT}. && .venv/bin/piko-flow demo\n",
        f"{ENVIRONMENT}-e '.[test]' && .venv/bin/python -m pytest -n auto\n",
    ]
