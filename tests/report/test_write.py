from pathlib import Path
from typing import Any

import pytest

from qloom.errors import StorageFailed
from qloom.report import write_comparison, write_report


class FinishedJob:
    def details(self) -> dict[str, Any]:
        return {"job_id": "01jzz", "program": "coin", "state": "COMPLETED", "result": {"heads": 5}}

    def metrics(self) -> list[dict[str, Any]]:
        return [{"name": "heads", "value": 5.0, "step": 0, "timestamp": 0.0}]

    def logs(self) -> list[str]:
        return ["tossed"]


def test_a_report_is_written_with_the_folders_on_its_way(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "report.html"
    write_report(FinishedJob(), target)
    text = target.read_text(encoding="utf-8")
    assert "coin" in text
    assert "tossed" in text
    assert list(target.parent.iterdir()) == [target]


def test_a_report_names_the_platform_and_the_packages(tmp_path: Path) -> None:
    write_report(FinishedJob(), tmp_path / "report.html")
    assert "numpy" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="file"):
        write_report(FinishedJob(), tmp_path / "file" / "report.html")


def test_two_jobs_are_written_into_one_file(tmp_path: Path) -> None:
    write_comparison(FinishedJob(), FinishedJob(), tmp_path / "folder" / "both.html")
    assert "two jobs compared" in (tmp_path / "folder" / "both.html").read_text(encoding="utf-8")
