"""Devices of the Unicorn engine: each knows its registers, an interrupt line and a clock, never the machine."""
