"""The report as a page: one file with everything in it, which a browser opens without a server.

In: a :class:`~orchestrator.report.record.Record` and the :class:`~orchestrator.trace.Trace` of its run. Out: HTML.
What draws it stands in ``assets/``.
"""

from orchestrator.report.page.assemble import error_as_html, to_html

__all__ = ["error_as_html", "to_html"]
