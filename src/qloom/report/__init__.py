"""The report of a job: one HTML file that can be sent, printed and kept."""

from qloom.report.html import job_report
from qloom.report.values import AttemptReport, JobReport, MetricSeries, read_job
from qloom.report.write import write_report

__all__ = ["AttemptReport", "JobReport", "MetricSeries", "job_report", "read_job", "write_report"]
