"""What is a conflict, and what only looks like one."""

from __future__ import annotations

import gc
import weakref

import pytest

from kiro_operator.core.steering import conflicts as module
from kiro_operator.core.steering.conflicts import DOCUMENTS, LARGEST, Conflict, compared, conflicts

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
    # The same words in another wording.
    ("Backups of the queue are made every 4 hours.", "- Queue backups run daily."),
    ("Clusters have at most 40 worker nodes.", "- Run at least 50 worker nodes in the clusters."),
    ("- Rebuild the search index after 2 hours.", "The search index is rebuilt after 90 minutes."),
    ("- Open a ticket before each node drain.", "A ticket is not required for node drains."),
    ("Caches may be warmed by batch jobs.", "Batch jobs must not warm caches."),
    ("Traffic dumps are written as JSON.", "- Write the traffic dumps as XML."),
    ("The operator on call has 20 minutes to review a drain.", "- Review each drain within 5 minutes."),
    ("# Disaster drills\n\nDrain tests run weekly.", "# Governance\n\nRun drain tests monthly."),
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
    ("Queue backups run daily.", "Queue backups run every 24 hours."),
    ("Clusters have at least 5 worker nodes.", "Clusters have at most 40 worker nodes."),
    ("Clusters have 7 worker nodes.", "Clusters have at least 5 worker nodes."),
    ("Keep traces in the store for 30 days.", "Keep billing traces in the store for 90 days."),
    ("If a drain hangs, wait 5 minutes for the pods.", "Wait 10 minutes for the pods."),
    ("Previously queue backups ran weekly.", "Queue backups run daily."),
    ("Warn at 80 % disk use.\n\nWarn at 90 % disk use.", "Warn at 90 % disk use.\n\nWarn at 80 % disk use."),
    ("Version 2 of the gateway is stable.", "Version 3 of the gateway is stable."),
    ("Open port 8080 for the gateway.", "Open port 9090 for the gateway."),
    ("The search team reviews drains in 5 minutes.", "The cart team reviews drains in 9 minutes."),
    ("# Cart\n\nDrain tests run weekly.", "# Search\n\nDrain tests run monthly."),
    ("Batch jobs never restart pods.", "Engineers restart pods."),
    ("Caches are warmed by jobs, not in production.", "Caches are not warmed by jobs."),
    ("Never drain nodes without approval.", "Drain nodes with approval."),
    ("Nodes are not drained without a ticket.", "Nodes are not drained by a ticket."),
    ("Clusters have 7 worker nodes.", "Clusters have at most 40 worker nodes."),
    ("Queue backups run weekly, if the queue is small.", "Queue backups run daily."),
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
    assert conflict.message.count("(line 5, column 3)") == 2


WORKSPACE = ("README.md", "docs/a.ts", "lib/b.ts", "src/c.ts", "src/d.py", "src/old/e.ts")


def for_files(patterns: str, text: str) -> str:
    return f"---\ninclusion: fileMatch\nfileMatchPattern: {patterns}\n---\n{text}"


@pytest.mark.parametrize(
    ("mine", "its", "workspace", "path"),
    [
        ("src/**", "'**/*.ts'", WORKSPACE, "src/c.ts"),
        ("['docs/*', 'src/*']", "'**/*.{ts,tsx}'", WORKSPACE, "docs/a.ts"),
        # The same files, whatever the patterns.
        ("src/*.py", "'**/*.py'", WORKSPACE, "src/d.py"),
        ("'**/*.go'", "'**/*.go'", None, ""),
    ],
)
def test_files_in_common(mine: str, its: str, workspace: tuple[str, ...] | None, path: str) -> None:
    documents = {
        ".kiro/steering/a.md": for_files(mine, "- Use tabs for indentation."),
        ".kiro/steering/b.md": for_files(its, "- Use spaces for indentation."),
    }
    [conflict] = conflicts(documents, workspace)
    assert conflict.reason == "ContradictoryGuidance"
    assert ("both are included for" in conflict.message) == bool(path)
    assert path in conflict.message


@pytest.mark.parametrize(
    ("mine", "its", "workspace"),
    [
        # No file is known that both are for.
        ("src/**", "'**/*.ts'", None),
        ("src/**", "'**/*.ts'", ()),
        ("src/**", "'**/*.go'", WORKSPACE),
        ("src/*.ts", "src/*.py", WORKSPACE),
        # An exception: the general rule is for other files besides.
        ("src/old/**", "'**/*.ts'", WORKSPACE),
        ("src/old/**", "'src/**'", None),
    ],
)
def test_no_files_in_common_or_an_exception(mine: str, its: str, workspace: tuple[str, ...] | None) -> None:
    documents = {
        ".kiro/steering/a.md": for_files(mine, "- Use tabs for indentation."),
        ".kiro/steering/b.md": for_files(its, "- Use spaces for indentation."),
    }
    assert conflicts(documents, workspace) == []


@pytest.mark.parametrize("workspace", [None, WORKSPACE])
def test_no_exception_allows_what_is_forbidden(workspace: tuple[str, ...] | None) -> None:
    documents = {
        ".kiro/steering/a.md": for_files("src/**", "- Never use global state."),
        ".kiro/steering/b.md": for_files("src/old/*.ts", "- Use global state."),
    }
    assert [one.reason for one in conflicts(documents, workspace)] == ["ContradictoryGuidance"]


def test_copies_for_files_in_common() -> None:
    text = "# Style\n\n" + "Name every exported function by what it returns. " * 3
    documents = {
        ".kiro/steering/a.md": for_files("src/**", text),
        ".kiro/steering/b.md": for_files("'**/*.ts'", f"\n{text}"),
    }
    assert conflicts(documents) == []
    [conflict] = conflicts(documents, WORKSPACE)
    assert conflict.reason == "DuplicatedScope"
    assert "(line 5, column 1, and line 6, column 1)" in conflict.message
    assert "src/c.ts" in conflict.message


def test_the_same_documents_meet_where_the_files_have_changed() -> None:
    documents = {
        ".kiro/steering/a.md": for_files("src/**", "- Use tabs for indentation."),
        ".kiro/steering/b.md": for_files("'**/*.ts'", "- Use spaces for indentation."),
    }
    assert [len(conflicts(documents, files)) for files in (WORKSPACE, ("src/a.py",), WORKSPACE)] == [1, 0, 1]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("- Never drain nodes.", "(line 1, column 3)"),
        ("# T\n\n  1. Never drain nodes.", "(line 3, column 6)"),
        ("Be careful. Never drain nodes.", "(line 1, column 13)"),
        ("Be careful.\n  Never drain\n  nodes.", "(line 2, column 3)"),
        ("-\n- \n  Never drain nodes.", "(line 3, column 3)"),
        ("- [ ] Be careful;\n      never drain nodes.", "(line 2, column 7)"),
        ("---\ninclusion: always\n---\nNever drain nodes.", "(line 4, column 1)"),
    ],
)
def test_the_place_of_a_sentence(text: str, place: str) -> None:
    [conflict] = conflicts({"a.md": text, "b.md": "# T\nDrain nodes."})
    assert f"{place} contradicts 'Drain nodes.' (line 2, column 1)" in conflict.message


def test_names_that_meet() -> None:
    head = "---\ninclusion: manual\nname: {}\n---\n# T\n"
    documents = {"a.md": head.format("api"), "b.md": head.format("API"), "c.md": head.format("events")}
    [conflict] = conflicts(documents)
    assert (conflict.first, conflict.second, conflict.reason) == ("a.md", "b.md", "NameDefinedTwice")
    assert conflict.message.count("line 3, column 7") == 2


def test_the_same_documents_are_judged_once_and_not_kept() -> None:
    class Texts(dict[str, str]):
        """A dict that can be referred to weakly."""

    def judged() -> tuple[list[Conflict], int]:
        texts = Texts({"a.md": "- Never drain nodes at noon.", "b.md": "- Drain nodes at noon."})
        kept = weakref.ref(texts)
        before, _ = module.remembered()
        found = conflicts(texts)
        del texts
        gc.collect()
        assert kept() is None
        return found, module.remembered()[0] - before

    (first, _), (second, hits) = judged(), judged()
    assert first == second != []
    assert hits == 1
    assert conflicts({"a.md": "- Never drain nodes at noon.", "b.md": "- Drain nodes at one."}) == []


def test_what_is_told_and_remembered_is_bounded() -> None:
    for number in range(module.REMEMBERED + 2):
        conflicts({"a.md": f"{number}"})
    assert module.remembered()[1] == module.REMEMBERED
    documents = {f"{number}/ops.md": "- Never drain nodes." for number in range(20)}
    documents |= {f"{number}/tech.md": "- Drain nodes." for number in range(20)}
    assert len(conflicts(documents)) == module.MOST < 20 * 20


def test_no_more_is_compared_than_takes_a_moment() -> None:
    sentence = "Always use Terraform for networks. Never restart the database by hand.\n"
    documents = {f"doc-{number:02}.md": sentence * (LARGEST // len(sentence)) for number in range(8)}
    assert compared(documents) == ["doc-00.md"]
    assert compared({"a.md": "x" * (LARGEST + 1), "b.md": "y"}) == ["b.md"]
    assert len(compared({f"{number}.md": "" for number in range(100)})) == DOCUMENTS
