"""What the metadata of a package say of who wrote it and what it may be used for."""

from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from qloom.kit.packages import Origin, origin_of

MIT = "Classifier: License :: OSI Approved :: MIT License\n"


class Written(Distribution):
    """A distribution of which there is nothing but its metadata."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read_text(self, filename: str) -> str | None:
        return self.text if filename == "METADATA" else None

    def locate_file(self, path: object) -> Path:
        return Path()


def origin(text: str) -> Origin:
    return origin_of(Written(f"Metadata-Version: 2.4\nName: lab\nVersion: 1.0\n{text}"))


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("License-Expression: Apache-2.0 OR MIT\n" + MIT, "Apache-2.0 OR MIT"),
        ("License: GPLv3\n" + MIT, "GPLv3"),
        ("License: UNKNOWN\n" + MIT, "MIT License"),
        (MIT + "Classifier: License :: DFSG approved\n", "MIT License, DFSG approved"),
        ("License: The Licence\n        \n        Permission is hereby granted\n" + MIT, "MIT License"),
        ("License: The Licence\n        \n        Permission is hereby granted\n", "The Licence"),
        ("", ""),
    ],
)
def test_a_licence_is_found_where_it_is_said_most_exactly(text: str, licence: str) -> None:
    assert origin(text).licence == licence


@pytest.mark.parametrize(
    ("text", "author"),
    [
        ("Author: Ann\nAuthor-email: ann@example.org\n", "Ann"),
        ('Author-email: "Ann, PhD" <ann@example.org>, bob@example.org\n', "Ann, PhD, bob@example.org"),
        ("Author: UNKNOWN\nMaintainer-email: Carl <carl@example.org>\n", "Carl"),
        ("Maintainer: Dora\n", "Dora"),
        ("", ""),
    ],
)
def test_an_author_is_a_name_where_there_is_one(text: str, author: str) -> None:
    assert origin(text).author == author


def test_what_has_no_metadata_has_no_name() -> None:
    assert str(origin_of(None)) == str(origin_of(Written(""))) == "a package without metadata"
    assert isinstance(Written("").metadata, Message)
