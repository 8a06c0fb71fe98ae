"""Print the check catalogue: ``python -m orchestrator.checks > docs/check-catalogue.md``."""

import sys

from orchestrator.checks.catalogue import render_catalogue

sys.stdout.write(render_catalogue())
