"""Peripherals of Nordic's nRF series."""
