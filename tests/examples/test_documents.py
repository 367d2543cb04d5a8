"""What the documents say is true: links lead somewhere, tables are those of the code; tests/docs runs their programs."""

import re
from pathlib import Path
from typing import Any

import pytest

from qloom.jobspecs import INTERRUPTION_REASONS, JobState
from qloom.journal import records

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if not target.startswith("http")]
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_glossary_names_every_state_and_reason() -> None:
    text = read("docs/reference/glossary.md")
    assert [word for word in (*JobState, *INTERRUPTION_REASONS) if word not in text] == []


def test_the_journal_page_lists_the_records_as_the_code_numbers_them() -> None:
    told = dict(re.findall(r"^\| `([A-Z]+)` \| (\d+) \|", read("docs/explanation/journal.md"), re.MULTILINE))
    kinds = {
        name: value for name, value in vars(records).items() if name.isupper() and isinstance(value, int) and "_" not in name
    }
    assert {name: int(number) for name, number in told.items()} == kinds


def test_the_checkpoints_of_the_guide_go_on_where_they_were() -> None:
    class Context:
        saved: dict[str, Any] | None = None

        def load_checkpoint(self) -> dict[str, Any] | None:
            return self.saved

        def save_checkpoint(self, data: dict[str, Any]) -> None:
            self.saved = data

    (fragment,) = blocks(read("docs/howto/resume.md"), "python")
    context, seen = Context(), []

    def improve(_: Context, angles: int) -> int:
        seen.append(angles)
        return angles + 1

    for steps in (250, 300):
        exec(fragment, {"ctx": context, "start": 0, "steps": steps, "improve": improve})
    assert context.saved == {"step": 300, "angles": 300}
    assert seen == [*range(250), *range(200, 300)]
