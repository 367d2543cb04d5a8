from html import unescape
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from qloom.report.markup import TERMINAL_SEQUENCE, UNPRINTABLE, Html, element, join, text


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.seen.append(data)


def read(markup: str) -> list[object]:
    reader = Reader()
    reader.feed(markup)
    reader.close()
    return reader.seen


def printable(value: str) -> str:
    return UNPRINTABLE.sub("\ufffd", TERMINAL_SEQUENCE.sub("", value).replace("\r\n", "\n"))


@given(st.text(alphabet=st.characters(), max_size=40))
def test_any_text_is_read_back_as_text_alone(value: str) -> None:
    assert unescape(text(value)) == printable(value)
    assert not set("<>\"'") & set(text(value))
    text(value).encode()  # lone surrogates too can be written


@given(st.text(alphabet="<>&\"'= \n/abc", max_size=30), st.text(alphabet="<>&\"'= /abc", max_size=30))
def test_children_and_attributes_cannot_break_out(child: str, attribute: str) -> None:
    tags = [item for item in read(element("p", child, title=attribute)) if isinstance(item, tuple)]
    assert tags == [("p", {"title": attribute})]


def test_the_colours_of_a_terminal_are_dropped() -> None:
    assert text("\x1b[1;31mred\x1b[0m \x1b]0;title\x07end") == "red end"


def test_what_is_markup_already_is_not_escaped_again() -> None:
    inner = element("b", "a & b")
    assert element("p", inner, Html("<br>"), "<") == "<p><b>a &amp; b</b><br>&lt;</p>"
    assert join([inner, "&"], ", ") == "<b>a &amp; b</b>, &amp;"


def test_attributes_are_named_as_html_names_them() -> None:
    assert element("text", class_="tick", text_anchor="end", id=None) == '<text class="tick" text-anchor="end"></text>'
