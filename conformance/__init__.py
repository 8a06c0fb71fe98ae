"""Differential conformance: the same bare-metal image on QEMU's board and on the Unicorn engine, line by line."""
