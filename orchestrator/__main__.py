"""``python -m orchestrator`` is ``rptwin``."""

from orchestrator.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main(prog_name="rptwin")
