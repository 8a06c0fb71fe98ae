"""Data caches: what a core's cache holds of memory that others reach too (``--coherence``).

``model`` is one cache, native/cache.c with what Python has to do with it; ``board`` puts the caches of a board between
its cores, its devices and its memory. Nothing here exists on a board that runs without the option.
"""
