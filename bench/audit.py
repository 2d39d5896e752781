"""What the API server's audit log tells of the operator."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from bench.world import USER, World

Event = dict[str, Any]


def by_operator(made: World, since: int) -> Iterator[Event]:
    """What the operator asked for after byte ``since`` of the log."""
    for event in made.plane.audit_events(since):
        if event["user"]["username"] == USER:
            yield event


def what(event: Event) -> str:
    """Verb and resource of a request."""
    reference = event.get("objectRef")
    if reference is None:
        return f"{event['verb']} {event['requestURI'].split('?')[0]}"
    parts = [reference["resource"], *([reference["subresource"]] if "subresource" in reference else [])]
    return f"{event['verb']} {'/'.join(parts)}"


def requests(made: World, since: int) -> "Counter[str]":
    """How often the operator asked for what."""
    return Counter(what(event) for event in by_operator(made, since))


def actions(made: World, since: int) -> tuple["Counter[str]", "Counter[str]"]:
    """Successful creations by name of the KiroRemediation, and successful evictions by name of the pod."""
    created: Counter[str] = Counter()
    evicted: Counter[str] = Counter()
    for event in by_operator(made, since):
        if event["responseStatus"].get("code") != 201:
            continue
        if what(event) == "create kiroremediations":
            created[event["requestObject"]["metadata"]["name"]] += 1
        elif what(event) == "create pods/eviction":
            evicted[event["objectRef"]["name"]] += 1
    return created, evicted
