"""What is a conflict, and what only looks like one."""

from __future__ import annotations

import pytest

from kiro_operator.core.steering.conflicts import conflicts

OPPOSED = [
    ("- Always use TypeScript for new services.", "- Never use TypeScript for new services."),
    ("- Deploy automatically to staging hosts.", "- Do not deploy automatically to staging hosts."),
    ("You must ask for approval before scaling.", "- Never ask for approval before scaling."),
    ("- Enable debug endpoints.", "- Disable debug endpoints."),
    ("- Allow force pushes.", "- Block force pushes."),
    ("Commits must be signed.", "Commits must not be signed."),
    ("A ticket is required for each change.", "A ticket is not required for each change."),
    ("- Never restart\n  pods automatically.", "Restart pods automatically."),
    ("Follow these rules:\n\n- Use tabs for indentation.", "- Use spaces for indentation."),
    ("- Keep functions under 30 lines.", "- Keep functions under 50 lines."),
    ("- Require two approvals for changes.", "- Require one approval for changes."),
    ("- Store backups in eu-central-1.", "- Store backups in us-east-1."),
    ("- Use PostgreSQL as the database.", "- Use Oracle as the database."),
    ("- Respond in English.", "- Respond in German."),
    ("The default region is eu-central-1.", "- **Default region:** us-east-1"),
    ("# Operations\n\n- Scale down at night.", "# Cost management\n\n- Never scale down at night."),
]
AGREED = [
    ("- Use pytest for tests.", "- Use hypothesis for tests."),
    ("- Use eu-central-1 for production.", "- Use us-east-1 for staging."),
    ("- Never commit secrets.", "- Commit early and often."),
    ("- Use tabs in Makefiles.", "- Use spaces in Python."),
    ("- Limit retries to 3.", "- Limit connections to 10."),
    ("- Prefer tabs for indentation.", "- Use spaces for indentation."),
    ("- Never deploy\n  on Fridays.", "- Deploy on Mondays."),
    ("- Never deploy on\n  Fridays.", "- Deploy on"),
    ("# Checkout\n\nReplicas: 3", "# Payments\n\nReplicas: 2"),
    ("# Tier 1\n\n- Keep logs for 30 days.", "# Tier 2\n\n- Keep logs for 90 days."),
    ("# Postgres\n\n- Never restart pods.", "# Stateless workers\n\n- Restart pods."),
    ("Avoid this:\n\n- Use tabs for indentation.", "- Use spaces for indentation."),
    ("## Bad examples\n\n- Never use tabs.", "- Use tabs."),
    ("## Don't\n\n- Deploy on Fridays.", "- Never deploy on Fridays."),
    ("# Production\n\n- Never restart pods freely.", "- Restart pods freely."),
    ("- In staging\n  - Restart pods freely.", "- Never restart pods freely."),
    ("```\nAlways use tabs.\n```", "- Never use tabs."),
    ("> Always use tabs.", "- Never use tabs."),
    ("Region: eu-central-1 (primary)", "Region: eu-west-1 (recovery)"),
    ("- Should we use tabs?", "- Never use tabs."),
    ("---\ninclusion: manual\n---\n- Use tabs here.", "- Never use tabs here."),
    ('---\ninclusion: fileMatch\nfileMatchPattern: "*.go"\n---\n- Use tabs here.', "- Use spaces here."),
]


@pytest.mark.parametrize(("one", "other"), OPPOSED)
def test_they_contradict(one: str, other: str) -> None:
    documents = {".kiro/steering/product.md": one, ".kiro/steering/tech.md": other}
    assert [conflict.reason for conflict in conflicts(documents)] == ["ContradictoryGuidance"]


@pytest.mark.parametrize(("one", "other"), AGREED)
def test_they_do_not(one: str, other: str) -> None:
    assert conflicts({".kiro/steering/product.md": one, ".kiro/steering/tech.md": other}) == []


def test_patterns_in_common() -> None:
    head = '---\ninclusion: fileMatch\nfileMatchPattern: ["{}", "**/*.go"]\n---\n'
    documents = {
        ".kiro/steering/a.md": head.format("*.a") + "- Use tabs for indentation.",
        ".kiro/steering/b.md": head.format("*.b") + "- Use spaces for indentation.",
    }
    [conflict] = conflicts(documents)
    assert "(line 5)" in conflict.message


def test_names_that_meet() -> None:
    head = "---\ninclusion: manual\nname: {}\n---\n# T\n"
    documents = {"a.md": head.format("api"), "b.md": head.format("API"), "c.md": head.format("events")}
    assert [(one.first, one.second, one.reason) for one in conflicts(documents)] == [
        ("a.md", "b.md", "NameDefinedTwice")
    ]
