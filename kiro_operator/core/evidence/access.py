"""Who may do what, as RBAC has it and as the API server answers."""

from collections.abc import Mapping

from msgspec import Struct

from kiro_operator.core.snapshot import Polled, Unobserved

_NAMES = {
    "api_groups": "apiGroups",
    "resource_names": "resourceNames",
    "non_resource_urls": "nonResourceURLs",
}


class RbacRule(Struct, frozen=True, rename=_NAMES):
    """One rule of a Role or ClusterRole, by the names that RBAC has for its fields."""

    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()


class Subject(Struct, frozen=True, order=True):
    """A ServiceAccount, a User or a Group."""

    kind: str
    name: str
    namespace: str = ""
    """Of a ServiceAccount."""


class Role(Struct, frozen=True):
    """A Role or ClusterRole."""

    kind: str
    name: str
    rules: tuple[RbacRule, ...] = ()
    uid: str = ""


class Binding(Struct, frozen=True):
    """A RoleBinding of the namespace, or a ClusterRoleBinding, and the role that it grants."""

    kind: str
    name: str
    role_kind: str
    role_name: str
    subjects: tuple[Subject, ...] = ()
    uid: str = ""


class Question(Struct, frozen=True, order=True):
    """What ``kubectl auth can-i`` is asked."""

    subject: Subject
    verb: str
    group: str
    resource: str
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    """Empty: in every namespace, or for what has none."""


class Review(Struct, frozen=True):
    """The API server's answer to one question."""

    question: Question
    allowed: bool
    error: str = ""
    """Why the server could not tell; then it says no without meaning it."""


class Access(Struct, frozen=True):
    """What is known of the permissions that a namespace's KiroSafetyPolicies speak of."""

    accounts: Mapping[str, bool] = {}
    """The ServiceAccounts asked about, and whether each is there."""
    looked_for: frozenset[str] = frozenset()
    """The ClusterRoles that policies name, there or not."""
    roles: tuple[Role, ...] = ()
    """The ClusterRoles that policies name, and all that the subjects are bound to."""
    bindings: tuple[Binding, ...] = ()
    """Those that concern the subjects or the ClusterRoles."""
    reviews: tuple[Review, ...] = ()
    missing: Mapping[str, Unobserved] = {}
    """Why ``accounts`` or ``reviews`` are not known."""

    def role(self, kind: str, name: str) -> Role | None:
        """A role by name; None when it is not there."""
        return next((role for role in self.roles if (role.kind, role.name) == (kind, name)), None)

    def review(self, question: Question) -> Review | None:
        """The answer to a question; None when it was not asked."""
        return next((review for review in self.reviews if review.question == question), None)


ACCESS: Polled[Access] = Polled("access", Access, names_people=True)
