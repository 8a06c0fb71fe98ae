"""The words that everything else uses; nothing here knows a core, a format or an engine."""

__all__: list[str] = []
