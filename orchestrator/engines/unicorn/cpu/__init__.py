"""One Cortex-M core on Unicorn: exceptions, private peripherals, protection and time, which Unicorn lacks."""
