"""Inputs by chance, for as long as is given: ``make fuzz SECONDS=600``.

In: a seed and a time. Out: how many inputs each target took, and a file for each that broke what the target promises,
with the command that repeats it. Every input is made from the seed, its target and its number alone.
"""
