"""The pictures of the documentation: whole, shown somewhere, and what the examples draw today."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from scripts import pictures
from tests.docs.pages import DOCS

SVG = "{http://www.w3.org/2000/svg}"
IMAGES = sorted((DOCS / "images").glob("*.svg"))
PAGES = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.stem)
def test_a_picture_is_whole_says_what_it_shows_and_lies_on_a_card(image: Path) -> None:
    root = ET.fromstring(image.read_text(encoding="utf-8"))
    tags = {node.tag for node in root.iter()}
    assert root.find(f"{SVG}title") is not None
    assert {f"{SVG}script", f"{SVG}foreignObject"} & tags == set()
    assert len(root.findall(f"{SVG}rect[@class='card']")) == 1
    assert any(image.name in page.read_text(encoding="utf-8") for page in PAGES)


def test_every_example_with_a_picture_is_an_example() -> None:
    assert [name for name in pictures.PICTURES if not (DOCS.parent / "examples" / f"{name}.py").exists()] == []
    assert set(pictures.PICTURES) | {"h2_convergence"} == {image.stem for image in IMAGES}


def test_the_picture_of_the_cut_is_what_the_example_draws_today() -> None:
    shown = (DOCS / "images" / "maxcut_qaoa.svg").read_text(encoding="utf-8")
    assert pictures.PICTURES["maxcut_qaoa"]("maxcut_qaoa").strip() == shown.strip(), "run scripts/pictures.py"


def test_the_curve_of_the_molecule_is_what_the_example_draws_today() -> None:
    shown, drawn = (
        ET.fromstring(text)
        for text in (
            (DOCS / "images" / "h2_dissociation.svg").read_text(encoding="utf-8"),
            pictures.PICTURES["h2_dissociation"]("h2_dissociation"),
        )
    )
    assert [(node.tag, node.attrib) for node in drawn.iter()] == [(node.tag, node.attrib) for node in shown.iter()]
    assert len(shown.findall(f"{SVG}circle")) == 20
