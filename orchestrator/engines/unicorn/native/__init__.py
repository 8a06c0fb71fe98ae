"""What runs for every instruction, in C: Unicorn calls these hooks, Python reads the structures of ``abi.h``."""
