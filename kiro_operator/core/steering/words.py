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
