"""The table of settings in the reference, written from the settings themselves."""

from piko_flow.settings import Settings

INTRODUCTION = """\
Each is a key of the table `[default]` in a settings file, a variable (`PIKO_` and the name in capitals), and an argument of
`Settings` and `load_settings`. Names that end in `_s` are seconds. How they are read:
[serve flows](how-to/serve.md#settings)."""


def settings_table() -> str:
    """A row for each setting: name, default, meaning."""
    rows = [
        f"| `{row.name}` | {row.value or 'empty'} | {_line(row.meaning)} |" for row in Settings().describe()
    ]
    return "\n".join([INTRODUCTION, "", "| setting | default | meaning |", "|---|---|---|", *rows])


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
