from pathlib import Path
from typing import Any

import pytest

from qloom.errors import StorageFailed
from qloom.kit.job_folder import JobFolder
from qloom.report import write_comparison, write_report


class FinishedJob:
    folder = JobFolder(Path("no such folder"))

    def record(self) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
        details = {"job_id": "01jzz", "program": "coin", "state": "COMPLETED", "result": {"heads": 5}}
        return details | {"packages": {"numpy": "2.2.6"}, "platform": "Linux 6.1 x86_64"}, [("heads", 5.0, 0, 0.0, "main")]

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
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "numpy" in text
    assert "Linux 6.1 x86_64" in text


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="file"):
        write_report(FinishedJob(), tmp_path / "file" / "report.html")


def test_two_jobs_are_written_into_one_file(tmp_path: Path) -> None:
    write_comparison(FinishedJob(), FinishedJob(), tmp_path / "folder" / "both.html")
    assert "two jobs compared" in (tmp_path / "folder" / "both.html").read_text(encoding="utf-8")
