"""A member that mypy needs in the unions of stages that meet; to pyright, and when it runs, it is Never.

For the results of `Route`, `Broadcast` and `Merge` a checker must make one union out of any number of types. pyright
does. mypy joins two types to the class that both have, `object` for `int` and `str`, unless one of them is a union
already: then it makes the union of both. So what comes out of each stage is a union from the start, `int | Either`.

It has a file of its own because `stage.py` imports the name twice: mypy keeps the first import, pyright the last.
"""

from typing import Any


class Either(Any):  # type: ignore[misc]  # a class with the base Any fits everywhere, so it refuses nothing that follows
    """Has no objects. mypy names it in the types of what comes out of a Route, a Broadcast or a Merge."""
