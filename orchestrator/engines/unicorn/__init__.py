"""The default engine: Unicorn's CPU models, and everything of a Cortex-M and its chip that they leave out."""
