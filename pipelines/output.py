"""Where the pipelines of this folder write."""

import os
from pathlib import Path
from typing import Final

VARIABLE: Final = "PIPELINES_OUTPUT"
DEFAULT: Final = "pipelines-output"


def output_folder() -> Path:
    """Give the folder named by PIPELINES_OUTPUT, or pipelines-output in the current folder."""
    return Path(os.environ.get(VARIABLE) or DEFAULT)
