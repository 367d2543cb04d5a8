"""The report of a job, or of two compared: one HTML file that can be sent, printed and kept."""

from qloom.report.compare import job_comparison
from qloom.report.html import job_report
from qloom.report.values import AttemptReport, JobReport, MetricSeries, read_job
from qloom.report.write import write_comparison, write_report

__all__ = [
    "AttemptReport",
    "JobReport",
    "MetricSeries",
    "job_comparison",
    "job_report",
    "read_job",
    "write_comparison",
    "write_report",
]
