"""Reports. In: a :class:`~orchestrator.report.record.Record` of a run, or findings. Out: text, JSON, JUnit XML.

Nothing here judges; rich is imported by the modules that write for people only.
"""

__all__: list[str] = []
