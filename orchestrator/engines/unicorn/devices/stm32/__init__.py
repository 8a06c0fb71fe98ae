"""Peripherals of STM32."""
