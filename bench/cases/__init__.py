"""The benchmarks by name: one a file, each with a control plane of its own where it needs one."""

from collections.abc import Callable, Mapping

from bench.cases import action, attention, burst, cold_start, failover, flatness, latency, micro, rest
from bench.figures import Figure

Case = Callable[[bool], list[Figure]]
"""Runs one benchmark; True asks for small sizes, whose figures prove nothing."""

CASES: Mapping[str, Case] = {
    "micro": micro.run,
    "latency": latency.run,
    "action": action.run,
    "burst": burst.run,
    "flatness": flatness.run,
    "cold-start": cold_start.run,
    "rest": rest.run,
    "failover": failover.run,
    "attention": attention.run,
}
