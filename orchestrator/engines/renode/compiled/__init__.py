"""Peripheral scripts, compiled for Renode."""
