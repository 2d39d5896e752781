"""Vocabularies that steering documents are compared by."""

from collections.abc import Mapping


def _words(text: str, separator: str | None = None) -> frozenset[str]:
    return frozenset(text.split(separator))


VERBS = _words(
    "use add allow answer apply ask build call check commit configure create declare define delete deploy "
    "document drop enable encrypt expose follow force format generate give grant handle ignore import "
    "include indent install keep limit log merge modify name open pass pin place prefix print push put read "
    "rebase reboot release remove replace require restart retry return review roll route run scale send set "
    "sign skip sort split squash start stop store suppress tag target test throw touch track treat trigger "
    "update validate verify version wrap write respond reply expect assume escalate notify page wait confirm "
    "drain cordon patch upgrade downgrade migrate cache retain rotate expire monitor silence acknowledge "
    "mask redact hardcode mock stub inline extract catch raise swallow nest export suffix capitalize bump "
    "provision allocate reserve request schedule spawn terminate kill suggest recommend propose explain "
    "provide show "
    "hide execute perform make change edit move copy rename override extend inherit implement separate "
    "combine minimize maximize optimize reduce increase decrease measure report record audit trust"
)
"""Verbs that a directive begins with."""
OPPOSITES: Mapping[str, str] = {
    "forbid": "allow",
    "prohibit": "allow",
    "disallow": "allow",
    "deny": "allow",
    "block": "allow",
    "disable": "enable",
    "exclude": "include",
    "omit": "include",
}
"""Verbs that forbid what another one asks for."""
ALTERNATIVES: tuple[frozenset[str], ...] = tuple(
    _words(words, ",")
    for words in (
        "tabs,spaces",
        "npm,yarn,pnpm,bun",
        "camelcase,snake_case,kebab-case,pascalcase",
        "camel case,snake case,kebab case,pascal case",
        "single quotes,double quotes",
        "lf,crlf",
        "poetry,pipenv,uv,pip",
        "maven,gradle",
        "rebase,squash,merge commits",
        "utc,local time",
        "enabled,disabled",
        "allowed,forbidden",
        "required,optional",
        "http,https",
        "postgresql,postgres,mysql,mariadb,sqlite,mongodb,dynamodb",
        "jest,vitest,mocha,jasmine",
        "rest,graphql,grpc",
        "terraform,pulumi,cloudformation",
        "main,master,develop,trunk",
        "rolling,blue-green,canary,recreate",
        "monolith,microservices",
        "json,yaml,xml,toml",
        "relative,absolute",
        "named exports,default exports",
        "functional components,class components",
        "debug,info,warning,error",
        "english,german,french,spanish,italian,portuguese,japanese,chinese,korean",
        "automatically,manually",
        "public,private",
        "javascript,typescript",
        "synchronous,asynchronous",
        "metric,imperial",
    )
)
"""Of each of these only one can be meant for one subject."""
SUBJECTS = _words(
    "indentation,indent,indent style,indent size,indentation style,line length,max line length,"
    "maximum line length,quotes,quote style,line endings,end of line,encoding,package manager,"
    "default region,aws region,region,default branch,main branch,default namespace,target namespace,"
    "log level,default log level,timezone,time zone,date format,naming convention,semicolons,"
    "trailing commas,test framework,build tool,commit style,merge strategy,replicas,default replicas,"
    "minimum replicas,maximum replicas,timeout,default timeout,retries,max retries,approval,"
    "deployment strategy,default environment,target environment,container registry,registry",
    ",",
)
"""Subjects of ``subject: value`` that have one value."""
SCOPES = _words(
    "production prod staging stage development dev test tests testing qa uat preprod sandbox local ci "
    "frontend backend mobile web api cli ui client server database infrastructure docs documentation python "
    "typescript javascript go golang java kotlin rust ruby php c c++ cpp csharp c# swift scala shell bash "
    "terraform helm yaml json markdown sql html css makefile makefiles docker dockerfile kubernetes aws "
    "azure gcp internal external public private linux windows macos unit integration e2e android ios react "
    "vue angular node migration migrations script scripts example examples notebook notebooks legacy hotfix"
)
"""Words that limit what a document or heading speaks of."""
GENERAL = _words(
    "a an and the of for to in on with our your all this that general common basic core key main "
    "overview introduction summary purpose scope background product products project platform service "
    "services system application app team teams company organization organisation technology technologies "
    "tech stack technical structure architecture design code coding style guide guides guideline guidelines "
    "rule rules standard standards convention conventions policy policies practice practices principle "
    "principles instruction instructions requirement requirements guidance direction steering document "
    "documents note notes best quality engineering development operation operations operational ops "
    "deployment deployments deploy release releases releasing delivery change changes management "
    "configuration configurations config settings setting security safety compliance access permissions "
    "permission authentication authorization secrets privacy data logging logs log monitoring metrics "
    "observability alerts alerting tracing reliability resilience availability performance scaling "
    "scalability capacity cost costs optimization resources resource incident incidents response responses "
    "escalation support approval approvals review reviews workflow workflows process processes git version "
    "control branch branches branching commit commits merge merging pull requests request repository "
    "dependency dependencies package packages build builds tooling tools naming names formatting format "
    "layout files file folders organization imports types typing errors error handling exceptions comments "
    "communication language languages tone writing style interaction behaviour behavior assistant agent ai "
    "kiro automation autonomous remediation recovery rollback rollbacks restart restarts backup backups "
    "maintenance network networking storage infra region regions environment environments cluster clusters "
    "workload workloads pod pods container containers image images default defaults limits limit timeout "
    "timeouts retries testing-policy checklist handbook manual runbook playbook reference conduct do dos "
    "must should always important critical mandatory what how when why we is are be"
)
"""Words in headings and file names that do not limit what a document speaks of."""
NUMERALS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
EMPTY = _words(
    "a an and the of for to in on at with by from into onto per as our your their his her its it this that "
    "these those them they we you i is are be being do does did must should shall have has will can may "
    "cannot can't need needed needs required require requires mandatory necessary allowed permitted "
    "forbidden prohibited disallowed always never not don't doesn't mustn't shouldn't isn't aren't no nobody "
    "none without avoid every each all any both please also there here too very ever strictly explicitly "
    "exactly enough fine acceptable then once twice least most minimum maximum than more less before "
    "within whether also own such set take last allow permit forbid prohibit everywhere anywhere included "
    "including only ahead apply enable enabled enabl disable disabled disabl deny sufficient suffices like"
)
"""Words that do not tell what a claim is about."""
VAGUE = _words(
    "if when whenever unless except excepting exception exceptions exceptionally apart rather instead "
    "whereas otherwise provided where prefer preferred preferably prefers ideally typically usually "
    "generally normally optionally sometimes often about around roughly approximately consider legacy old "
    "former deprecated existing was were had been previously formerly might could would either only just but "
    "although though while e.g example some few many first third last next another longer shorter"
)
"""Words that make of a sentence a condition, an exception, a wish or a memory."""
SYNONYMS: Mapping[str, str] = {
    word: same
    for same, words in {
        "run": "execute execut perform schedul schedule make made mak happen occur place plac",
        "keep": "retain preserve preserv hold held kept stor store",
        "delete": "delet remove remov purge purg erase eras drop",
        "change": "chang modify modifi edit alter",
        "write": "writ written wrote emit",
        "restart": "reboot bounce bounc",
        "deploi": "releas release ship rollout",
        "notifi": "alert inform",
        "start": "begin launch",
        "stop": "halt",
        "create": "creat open file provision",
        "prod": "production",
        "prod-": "prods",
        "dev": "development",
        "test": "tests testing",
        "database": "db databases databas",
        "kubernetes": "k8s kubernet",
        "config": "configur configuration configurations configure",
        "repo": "repositori repository",
        "doc": "document documentation docs",
        "reply": "respond answer respons response",
        "max": "maximum",
        "min": "minimum",
    }.items()
    for word in words.split()
}
"""Words, also as their stems are, that mean the same in a claim."""
NOMINAL: Mapping[str, str] = {
    "retention": "retain",
    "expiry": "expire",
    "expiration": "expire",
    "removal": "remove",
    "approval": "approve",
    "approvals": "approve",
    "renewal": "renew",
    "acknowledgement": "acknowledge",
    "acknowledgment": "acknowledge",
    "deletion": "delete",
    "rotation": "rotate",
    "sent": "send",
    "taken": "take",
    "paid": "pay",
    "built": "build",
    "rebuilt": "rebuild",
    "ran": "run",
    "chosen": "choose",
    "spent": "spend",
    "told": "tell",
    "found": "find",
    "kept": "keep",
    "written": "write",
    "given": "give",
    "replicas": "replica",
    "retries": "retry",
    "retried": "retry",
    "tries": "try",
    "failure": "fail",
    "failures": "fail",
}
"""Nouns and irregular forms by their verbs."""
UNITS: Mapping[str, tuple[str, float]] = {
    unit: (kind, factor)
    for kind, factors in {
        "time": {
            "ms millisecond": 0.001,
            "s sec second": 1.0,
            "min minute": 60.0,
            "h hr hour": 3600.0,
            "d day": 86400.0,
            "week": 604_800.0,
            "month": 2_592_000.0,
            "quarter": 7_776_000.0,
            "year": 31_536_000.0,
        },
        "part": {"% percent": 1.0},
        "size": {"kb kib ki": 1.0, "mb mib mi": 1e3, "gb gib gi": 1e6, "tb tib ti": 1e9},
        "money": {"\u20ac eur euro": 1.0},
        "dollars": {"$ usd dollar": 1.0},
        "cores": {"core cpu": 1.0},
        "times": {"time": 1.0},
    }.items()
    for units, factor in factors.items()
    for unit in units.split()
}
"""Units by kind, with how many of the smallest one each is."""
ACTIVITIES = _words(
    "team teams ownership owners budget budgets spending finance billing time times dates reporting reports "
    "report process processes autonomy role roles self-service self on-call oncall on call rota shifts "
    "paging pages pager alerts alarms channels status scheduling autoscaling scanning contributing "
    "contribution collaboration onboarding glossary faq questions answers hygiene basics essentials "
    "governance audit auditing tagging labelling promotion windows calendar schedule planning postmortem "
    "postmortems learning retention archiving lifecycle clean-up clean up cleanup housekeeping disaster "
    "continuity drills restore telemetry sla slo slos objectives gitops delivery sdlc hardening protection "
    "encryption tagging ops devops sre"
)
"""Words in headings that name what is done, not to what: they do not limit a claim."""
TOPICS = _words(
    "http https clients client calls requests request messaging messages queues events endpoints apis nodes "
    "node pools pool accounts dashboards databases database db queries schema schemas migrations migration "
    "volumes disks buckets objects pipelines pipeline ci cd jobs manifests manifest charts chart registry "
    "registries artifacts supply chain certificates certificate tls keys tokens credentials identity iam "
    "rbac users tags labels label metadata allocation ingress egress traffic routing dns mesh gateway "
    "firewall namespaces namespace quotas quota rollouts rollout traces health probes terraform helm "
    "kubernetes infrastructure iac vault"
)
"""Words in headings that name things: a claim that names its subject itself is not limited by them."""
