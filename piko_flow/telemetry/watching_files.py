"""The files for Prometheus and Grafana that come with the package: `python -m piko_flow.telemetry.watching_files FOLDER`."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

NAMES = ("alerts.yml", "piko-flow.grafana.json", "prometheus.yml", "recording.yml")


def text_of(name: str) -> str:
    """One of the files. Raises FileNotFoundError for a name that is not among NAMES."""
    return (files("piko_flow.telemetry") / "watching" / name).read_text(encoding="utf-8")


def copy_to(folder: Path) -> list[Path]:
    """Write the files into the folder, which is made; gives where they are. Raises OSError, and for one that is there FileExistsError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        with (folder / name).open("x", encoding="utf-8") as file:
            file.write(text_of(name))
    return [folder / name for name in NAMES]


def main(arguments: list[str]) -> int:
    """Copy, and tell where to."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m piko_flow.telemetry.watching_files FOLDER\n")
        return 2
    try:
        copied = copy_to(Path(arguments[0]))
    except FileExistsError as error:
        sys.stderr.write(
            f"error: {error.filename} is there already, and was left as it is; name another folder\n"
        )
        return 1
    except OSError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write("".join(f"{path}\n" for path in copied))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
