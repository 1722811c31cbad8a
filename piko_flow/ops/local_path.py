"""Where a person is sent back to."""

from __future__ import annotations


def local_path(path: str | None) -> str:
    """The path with its query if it leads to a page of this server, else `/`: nobody is sent elsewhere."""
    text = path or ""
    good = text.startswith("/") and not text.startswith("//") and "\\" not in text
    printable = all(
        "!" <= letter <= "~" for letter in text
    )  # browsers drop some of the others, so "/\t/x" is "//x"
    return text if good and printable and not text.startswith(("/login", "/logout")) else "/"
