"""Version v1alpha1: the single source of crds/, of the defaults and of how objects are read."""

from kiro_operator.api.v1alpha1.approval import KiroApproval
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheck
from kiro_operator.api.v1alpha1.remediation import KiroRemediation
from kiro_operator.api.v1alpha1.safetybaseline import KiroSafetyBaseline
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicy

KINDS = (KiroHealthCheck, KiroSafetyPolicy, KiroSafetyBaseline, KiroRemediation, KiroApproval)

__all__ = [
    "KINDS",
    "KiroApproval",
    "KiroHealthCheck",
    "KiroRemediation",
    "KiroSafetyBaseline",
    "KiroSafetyPolicy",
]
