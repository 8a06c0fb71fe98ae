"""Peripherals by Arm, that chips of several vendors have."""
