"""Engines make a platform live. In: a Platform and ELF images. Out: memory by view, consoles, and events in order.

No engine knows RPTUN; each stands behind :mod:`orchestrator.engines.contract`. :mod:`orchestrator.engines.registry` has
them by name. Nothing is imported with the package: the process of an engine loads it before anything else of ours.
"""
