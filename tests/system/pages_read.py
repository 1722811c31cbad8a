"""What a page of the console has for a browser: its forms with their fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

Pairs = list[tuple[str, str | None]]


@dataclass
class Form:
    """Where a form is sent to, and its fields as the page filled them."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


def forms_in(page: str) -> list[Form]:
    """The forms of a page that change something, one for each button that has an address of its own."""
    reader = _Reader()
    reader.feed(page)
    return reader.forms


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._select, self._option = "", False

    def handle_starttag(self, tag: str, attrs: Pairs) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(given.get("action", "")) if given.get("method", "").lower() == "post" else None
            if self._open is not None:
                self.forms.append(self._open)
        elif self._open is not None:
            self._field(tag, given, self._open)

    def _field(self, tag: str, given: dict[str, str], form: Form) -> None:
        name = given.get("name", "")
        for address in filter(None, (given.get("formaction"), given.get("hx-post"))):
            self.forms.append(Form(address, form.fields))  # the fields are one, also those that come later
        if tag == "select":
            self._select = name
            form.fields.setdefault(name, "")
        elif tag == "option" and ("selected" in given or not form.fields.get(self._select)):
            form.fields[self._select] = given.get("value", "")
            self._option = "value" not in given
        elif name and tag in ("input", "textarea", "button"):
            form.fields.setdefault(name, given.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._option and self._open is not None:  # an option that has no value sends its text
            self._open.fields[self._select], self._option = data.strip(), False

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
