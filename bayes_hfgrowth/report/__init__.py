"""The report: one HTML file that holds everything a fit has to say, to open in any browser."""

from bayes_hfgrowth.report.document import render_report, write_report

__all__ = ["render_report", "write_report"]
