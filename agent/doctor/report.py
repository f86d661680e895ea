"""What a person, or a program, sees of the findings."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from agent.doctor.finding import Finding, Verdict

_MARKS = {
    Verdict.PASSED: Text("✓", "green"),
    Verdict.FAILED: Text("✗", "bold red"),
    Verdict.NONE: Text("\N{EN DASH}", "dim"),
}


def has_passed(findings: Sequence[Finding]) -> bool:
    """Tell whether no check failed."""
    return not any(finding.verdict is Verdict.FAILED for finding in findings)


def show_report(findings: Sequence[Finding]) -> Table:
    """Show each check, how it ended, and what was found."""
    table = Table(show_header=False, box=SIMPLE, padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(finding.name, _MARKS[finding.verdict], Text(finding.figure))
    return table


def report_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Give the report as data."""
    checks = [finding.as_json() for finding in findings]
    return {"passed": has_passed(findings), "checks": checks}
