"""Vocabularies that steering documents are compared by."""


def _words(text: str, separator: str | None = None) -> frozenset[str]:
    return frozenset(text.split(separator))


VERBS = _words(
    "use add apply ask block build call check commit configure create declare define delete deploy disable "
    "document drop enable encrypt expose follow force format generate give grant handle ignore import "
    "include indent install keep limit log merge modify name open pass pin place prefix print push put read "
    "rebase reboot release remove replace require restart retry return review roll route run scale send set "
    "sign skip sort split squash start stop store suppress tag target test throw touch track treat trigger "
    "update validate verify version wrap write"
)
"""Verbs that a directive begins with."""
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
