"""A real control plane on this machine, without a container engine: for the demo, tests and benchmarks."""

from devcluster.errors import DevclusterError
from devcluster.plane import ControlPlane
from devcluster.start import attach, boot, use_context

__all__ = ["ControlPlane", "DevclusterError", "attach", "boot", "use_context"]
