"""Permissions: what policies ask about, and which rule and binding grant something."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from kiro_operator.api.v1alpha1.autonomy import ApprovalGate, Permission, Permissions, SubjectReference
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.api.v1alpha1.types import GROUP
from kiro_operator.core.evidence.access import Access, Binding, Question, RbacRule, Role, Subject

RBAC = "rbac.authorization.k8s.io"

MUST_ALLOW = (Permission(verb="create", resource="pods"),)
"""What the procedures ask for."""
MUST_DENY = (
    Permission(verb="*", group="*", resource="*"),
    Permission(verb="get", resource="secrets"),
    Permission(verb="list", resource="secrets"),
    Permission(verb="create", resource="pods", subresource="exec"),
    Permission(verb="create", resource="serviceaccounts", subresource="token"),
    Permission(verb="impersonate", resource="users", namespace="*"),
    Permission(verb="escalate", group=RBAC, resource="clusterroles", namespace="*"),
    Permission(verb="bind", group=RBAC, resource="clusterroles", namespace="*"),
    Permission(verb="create", group=RBAC, resource="rolebindings"),
    Permission(verb="create", group=RBAC, resource="clusterrolebindings", namespace="*"),
)
"""What nobody means to give to something that acts by itself."""


_SHOWN = 6
"""Subjects that are told by name."""


class Cell(Struct, frozen=True):
    """One cell of the matrix: a question and the answer that is wanted."""

    question: Question
    allow: bool


class Grantor(Struct, frozen=True):
    """What grants a permission: a rule of a role, by a binding."""

    binding: Binding
    role: Role
    rule: RbacRule


def account(name: str, namespace: str) -> Subject:
    """A ServiceAccount as a subject."""
    return Subject("ServiceAccount", name, namespace)


def user(subject: Subject) -> str:
    """The user name of a subject; empty for a group."""
    if subject.kind == "ServiceAccount":
        return f"system:serviceaccount:{subject.namespace}:{subject.name}"
    return subject.name if subject.kind == "User" else ""


def groups(subject: Subject) -> tuple[str, ...]:
    """The groups that whoever is this subject belongs to."""
    if subject.kind == "ServiceAccount":
        return "system:serviceaccounts", f"system:serviceaccounts:{subject.namespace}", "system:authenticated"
    if subject.kind == "Group":
        return (subject.name,) if subject.name == "system:unauthenticated" else _with_all(subject.name)
    return ("system:authenticated",)


def _with_all(name: str) -> tuple[str, ...]:
    return (name,) if name == "system:authenticated" else (name, "system:authenticated")


def subjects_told(subjects: Sequence[Subject]) -> str:
    """The first of some subjects, for a person; nobody where there are none."""
    named = [f"{item.kind} {user(item) or item.name}" for item in subjects[:_SHOWN]]
    rest = len(subjects) - len(named)
    return ", ".join(named or ["nobody"]) + (f" and {rest} more" if rest else "")


def subject(reference: SubjectReference, namespace: str) -> Subject:
    """A subject that a policy of the namespace names."""
    if reference.kind == "ServiceAccount":
        return Subject(reference.kind, reference.name, reference.namespace or namespace)
    return Subject(reference.kind, reference.name)


def matrices(policies: Mapping[str, KiroSafetyPolicySpec]) -> dict[str, Permissions]:
    """What each policy wants of permissions; the defaults, under no name, when none says anything."""
    declared = {
        name: spec.permissions for name, spec in sorted(policies.items()) if spec.permissions is not None
    }
    return declared or {"": Permissions()}


def cells(permissions: Permissions, namespace: str) -> tuple[Cell, ...]:
    """The matrix of one policy."""
    who = account(permissions.service_account, namespace)
    must_allow = MUST_ALLOW if permissions.must_allow is None else permissions.must_allow
    must_deny = MUST_DENY if permissions.must_deny is None else permissions.must_deny
    return (
        *(Cell(question(item, who, namespace), allow=True) for item in must_allow),
        *(Cell(question(item, who, namespace), allow=False) for item in must_deny),
    )


def question(permission: Permission, who: Subject, namespace: str) -> Question:
    """A permission as it is asked for."""
    place = permission.namespace or namespace
    return Question(
        who,
        permission.verb,
        permission.group,
        permission.resource,
        permission.subresource or "",
        permission.name or "",
        "" if place == "*" else place,
    )


def approvals(gate: ApprovalGate, namespace: str) -> tuple[Question, ...]:
    """Whether each approver may approve at a gate."""
    return tuple(
        Question(subject(item, namespace), "approve", GROUP, "kiroapprovals", gate.name, "", namespace)
        for item in gate.approvers
    )


def self_approval(gate: ApprovalGate, spec: KiroSafetyPolicySpec, namespace: str) -> Question:
    """Whether what acts by itself could approve its own actions at a gate."""
    name = (spec.permissions or Permissions()).service_account
    return Question(account(name, namespace), "approve", GROUP, "kiroapprovals", gate.name, "", namespace)


def matches(asked: Question, rule: RbacRule) -> bool:
    """Whether a rule grants what is asked, by RBAC's own semantics."""
    whole = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    resources = {"*", whole, f"*/{asked.subresource}"} if asked.subresource else {"*", whole}
    return (
        not {"*", asked.verb}.isdisjoint(rule.verbs)
        and not {"*", asked.group}.isdisjoint(rule.api_groups)
        and not resources.isdisjoint(rule.resources)
        and (not rule.resource_names or asked.name in rule.resource_names)
    )


def binds(binding: Binding, who: Subject) -> bool:
    """Whether a binding is for a subject, by its name or by a group it belongs to."""
    name, member = user(who), groups(who)
    for item in binding.subjects:
        match item.kind:
            case "ServiceAccount":
                if item == who:
                    return True
            case "User":
                if item.name == name and name:
                    return True
            case "Group":
                if item.name in member:
                    return True
    return False


def grantors(access: Access, asked: Question) -> Iterator[Grantor]:
    """Everything that grants a permission: bindings of the whole cluster, then of the namespace."""
    for binding in sorted(access.bindings, key=lambda item: (item.kind, item.name)):
        if binding.kind == "RoleBinding" and not asked.namespace:
            continue
        role = access.role(binding.role_kind, binding.role_name)
        if role is None or not binds(binding, asked.subject):
            continue
        yield from (Grantor(binding, role, rule) for rule in role.rules if matches(asked, rule))


def told(asked: Question) -> str:
    """A question as ``kubectl auth can-i`` takes it."""
    kind = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    kind = f"{kind}/{asked.name}" if asked.name else kind
    sub = f" --subresource={asked.subresource}" if asked.subresource else ""
    place = f"in namespace {asked.namespace}" if asked.namespace else "in all namespaces"
    return f"{asked.verb} {kind}{sub} {place}"


def rule_for(asked: Question) -> str:
    """The very rule that would grant what is asked."""
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    names = f", resourceNames [{asked.name!r}]" if asked.name else ""
    return f"apiGroups [{asked.group!r}], resources [{resource!r}]{names}, verbs [{asked.verb!r}]"


def rule_told(rule: RbacRule) -> str:
    """A rule in one line."""
    if rule.non_resource_urls and not rule.resources:
        return f"{', '.join(rule.verbs)} on {', '.join(rule.non_resource_urls)}"
    kinds = [f"{name}.{group}" if group else name for group in rule.api_groups for name in rule.resources]
    names = f" named {', '.join(rule.resource_names)}" if rule.resource_names else ""
    return f"{', '.join(rule.verbs)} on {', '.join(kinds)}{names}"


def wanted(
    policies: Mapping[str, KiroSafetyPolicySpec], namespace: str
) -> tuple[Sequence[Question], frozenset[str], frozenset[str]]:
    """All questions, the ServiceAccounts and the ClusterRoles that policies speak of, in a fixed order."""
    asked: dict[Question, None] = {}
    matrix = matrices(policies)
    for permissions in matrix.values():
        asked.update(dict.fromkeys(cell.question for cell in cells(permissions, namespace)))
    for _, spec in sorted(policies.items()):
        for gate in spec.approval_gates:
            asked.update(dict.fromkeys(approvals(gate, namespace)))
            asked[self_approval(gate, spec, namespace)] = None
    accounts = frozenset(permissions.service_account for permissions in matrix.values())
    return tuple(asked), accounts, frozenset(_named_roles(policies.values()))


def _named_roles(specs: Iterable[KiroSafetyPolicySpec]) -> Iterator[str]:
    return (spec.cluster_role.name for spec in specs if spec.cluster_role is not None)
