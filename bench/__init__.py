"""Speed and memory of rptwin on this machine: ``make bench``."""
