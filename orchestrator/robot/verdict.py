"""Keywords for the verdict: it comes from memory and events, never from what a console says."""

from __future__ import annotations

from robot.api.deco import keyword

from orchestrator.checks.finding import Finding, Severity
from orchestrator.robot.suite import Suite

__all__ = ["VerdictKeywords"]


class VerdictKeywords(Suite):
    """Up or not, and why."""

    @keyword
    def rptun_should_be_up(self) -> None:
        """Fails with the findings unless RPTUN is up and nothing is wrong: exit code 0 of ``rptwin run``.

        What was not seen working is no failure as long as no rule makes it one; `There Should Be No Findings` is
        stricter.
        """
        verdict = self._board().verdict()
        if not verdict.up or verdict.exit_code:
            raise AssertionError(f"{verdict.headline}\n{self._plain(verdict.findings)}")

    @keyword
    def rptun_should_not_be_up(self) -> None:
        """Fails if RPTUN is up."""
        verdict = self._board().verdict()
        if verdict.up:
            raise AssertionError(verdict.headline)

    @keyword
    def get_causes(self) -> list[str]:
        """Returns the rule of every finding that nothing else explains; notes are left out."""
        return [finding.rule for finding in self._causes()]

    @keyword
    def there_should_be_no_findings(self) -> None:
        """Fails with the findings if there is an error or a warning."""
        if self._causes():
            raise AssertionError(f"there are findings\n{self._plain(self._board().findings)}")

    @keyword
    def finding_should_be_reported(self, rule: str, subject: str | None = None) -> None:
        """Fails unless this rule is broken, by this subject (``vdev[0].vring[1]``) where one is given."""
        findings = self._board().findings
        if not any(f.rule == rule and subject in (None, f.subject) for f in findings):
            of = f" of {subject}" if subject else ""
            raise AssertionError(f"{rule}{of} was not reported\n{self._plain(findings)}")

    @keyword
    def finding_should_not_be_reported(self, rule: str) -> None:
        """Fails if this rule is broken."""
        found = [finding for finding in self._board().findings if finding.rule == rule]
        if found:
            raise AssertionError(f"{rule} was reported\n{self._plain(found)}")

    @keyword
    def only_cause_should_be(self, *rules: str) -> None:
        """Fails unless these rules are the causes of all that is wrong, no more and no fewer."""
        causes = self.get_causes()
        if sorted(causes) != sorted(rules):
            found, wanted = (", ".join(sorted(each)) or "none" for each in (causes, rules))
            raise AssertionError(f"causes are {found}, not {wanted}\n{self._plain(self._board().findings)}")

    def _causes(self) -> list[Finding]:
        findings = self._board().findings
        return [each for each in findings if each.because_of is None and each.severity is not Severity.NOTE]
