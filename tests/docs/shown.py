"""Whether what a page shows is what came out: all of it, except what differs from run to run."""

import re
from doctest import ELLIPSIS, OutputChecker

# What no two runs have in common, and a word that stands for it. What a page shows stays as it is for readers.
VARYING = (
    (re.compile(r"^\d+\.\d s: [\d,]+ items? read.*\n", re.MULTILINE), ""),
    (re.compile(r"^Bottleneck: .*\n\n?", re.MULTILINE), ""),  # none is named where all are idle
    (re.compile(r"\b[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b\d[\d,]*/s"), "RATE"),
    (re.compile(r"\b\d+ min \d+ s\b|\b\d+ h \d+ min\b|\b\d+(\.\d+)? m?s\b"), "TIME"),
    (re.compile(r"\b\d[\d.,]* (B|kB|MB)\b"), "SIZE"),
    (re.compile(r"\b\d+ workers?\b"), "WORKERS"),
    (re.compile(r"\b\d+%|(?<=\s)-(?=\s|$)"), "SHARE"),
    (re.compile("─+"), "─"),
    (re.compile(r"[ \t]+"), " "),
)


def steady(text: str) -> str:
    """The text with what depends on run and machine replaced by words, and spaces evened out."""
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return "\n".join(line.strip() for line in text.strip().splitlines()) + "\n"


def difference(shown: str, got: str) -> str:
    """What differs, for a person to read; empty where the page shows what came. `...` stands for any text."""
    if OutputChecker().check_output(steady(shown), steady(got), ELLIPSIS):
        return ""
    return f"the page shows\n\n{shown.rstrip()}\n\nbut what came is\n\n{got.rstrip()}\n"
