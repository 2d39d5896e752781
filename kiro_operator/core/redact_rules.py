"""What credentials and personal data look like.

Every rule has needles, in lower case: a line without any of them is not held against its pattern.
Repetitions are bounded or begin at something literal, so that no text makes a pattern slow.
"""

import re
from collections.abc import Callable

from msgspec import Struct

REDACTED = "[redacted]"
Replacement = str | Callable[[re.Match[str]], str]


class Rule(Struct, frozen=True):
    """One shape of what is to go."""

    needles: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: Replacement = REDACTED
    gate: re.Pattern[str] | None = None
    """Cheaper than the pattern, and found in all lower-case lines that it could match in."""
    two_lines: bool = False
    """What goes may stand in the line after the needle."""


_KEYS = (
    r"api|access|account|private|signing|encryption|master|client|licen[cs]e|ssh|ssl|tls|service|storage|"
    r"integration|shared|app|application|session|auth|deploy|hmac|functions"
)
_WORDS = (
    r"pass(?:word|wd|phrase|code)|(?:(?<![a-z])|db|my|root|admin|smtp|mail|user|ftp|key|store|redis|pg|require)"
    r"pass(?![a-z])|master[_-]?auth(?![a-z])|(?<!old)pwd(?!=/)|secret|token|shared[_-]?access[_-]?\w{1,16}|"
    rf"(?:{_KEYS})[_-]?key|"
    r"credentials?|session[_-]?id|(?<!mcp-)authorization(?!\.k8s)|x-amz-signature|(?<![a-z])sig(?:nature)?(?![a-z])|"
    r"(?<![a-z])_auth(?![a-z])|(?<=[\"'])auth(?=\\*[\"'])|(?<![a-z])(?:ssn|cvv|cvc)(?![a-z])"
)
_KEY_NEEDLES = (
    "pass", "pwd", "secret", "token", "access", "key", "credential", "session", "authorization", "signature",
    "sig", "auth", "ssn", "cvv", "cvc",
)  # fmt: skip
_ANY = "pass|pwd|secret|token|access|key|credential|session|authorization|sig|auth|ssn|cvv|cvc"
_KEY_GATE = re.compile(rf"(?:{_ANY})[\w.-]{{0,60}}(?:\\*[\"'])?\s{{0,8}}[:=]")
_PLURAL_GATE = re.compile(
    r"(?:words|wds|phrases|codes|secrets|tokens|keys)(?:\\*[\"'])?\s{0,8}[:=](?![\s:=>]{0,8}[0-9.]{1,20}[\s,}\]])"
)
_NAME_GATE = re.compile(rf"name[\"'\\]{{0,4}}\s{{0,4}}:\s{{0,4}}[\"'\\]{{0,4}}[\w.-]{{0,60}}(?:{_ANY})")
_FLAG_GATE = re.compile(rf"-[\w-]{{0,60}}(?:{_ANY})[\w-]{{0,60}}\s")
_HARMLESS = (
    r"(?![\w.-]{0,24}?(?:s|names?|types?|counts?|len(?:gth)?|size|age|ttl|expir\w{1,12}|expires_?in|seconds|"
    r"limit|used|usage|budget|per_\w{1,12}|issuer|audiences?|kinds?|refs?|mount|status)"
    r"(?:\\*[\"'])?\s{0,8}(?::=|=>|[:=])(?!//))"
)
"""A key that ends so does not hold the secret itself: maxTokens, secretName, token_type."""

_PLURALS = rf"(?:pass(?:words|wds|phrases|codes)|(?<![a-z])pwds|(?<!pull)secrets|tokens|(?:{_KEYS})[_-]?keys)"
"""What ends so holds several, or says how many there are."""
_COUNT = (
    r"(?!\\*[\"']?(?:[-+]?[0-9][0-9_.,]*[kKMG%]?|true|false|null|none|nil|\[\s{0,4}\]"
    r"|\{(?:\s{0,4}\\*\"[\w-]{1,40}\\*\"\s{0,4}:\s{0,4}[-+0-9.]{1,20},?){0,16}\s{0,4}\})\\*[\"']?(?:[\s,;)}\]]|$))"
)
"""A number, or none, is no secret: tokens: 120."""

_STOP = r"(?!\\*\"(?:[\s,}\]]|$))"
_BARE = rf"(?:{_STOP}\S)+"  # up to the end of the JSON string that it stands in
_SCHEMES = r"bearer|basic|negotiate|token|bot|apikey|key|sharedkey|splunk|ssws|flyv1"
_LIST = (
    rf"\[[^\]\r\n]*\]?|{_BARE}(?:(?<=,)[ \t]{{1,2}}(?![\w.-]{{1,60}}\s{{0,8}}[:=]){_BARE})+"  # one, another
)
_BEGINNING = (
    r"(?:(?P<esc>\\+[\"'])(?:(?!(?P=esc))[^\r\n])*(?P<unesc>(?P=esc))?"  # \"value\" in JSON within JSON
    r"|(?P<quote>[\"'])(?:(?!(?P=quote))[^\\\r\n]|\\.)*(?P<unquote>(?P=quote))?"
    r"|(?P<json>(?:(?<=[^\\]\":)|(?<=[^\\]\": ))"
    r"(?:\[[^\]\r\n]*\]?|\{[^}\r\n]*\}?|[-+.\w]+(?=\s*[,}\]])))"
    r"|(?P<inner>(?:(?<=\\\":)|(?<=\\\": ))(?:[\[{][^\]}\r\n]*[\]}]?|[-+.\w]+(?=\s*[,}\]])))"
    rf"|[|>][+-]?[ \t]*(?:\r?\n[^\r\n]+|\\+n\s*{_BARE})"  # a YAML block
    rf"|\[?(?:{_SCHEMES})\s+{_BARE}"
    r"|digest\s+(?:[^\"\r\n\\]|\\.|(?<==)\"[^\"\r\n]*\")+"
)
_VALUE = rf"{_BEGINNING}|{_BARE}|\S+)"
_VALUES = rf"{_BEGINNING}|{_LIST}|{_BARE}|\S+)"


def _hidden(match: re.Match[str]) -> str:
    """The key with its value taken out, such that JSON stays JSON."""
    if match["json"]:
        return f'{match["key"]}"{REDACTED}"'
    if match["inner"]:
        return f'{match["key"]}\\"{REDACTED}\\"'
    opened, closed = match["esc"] or match["quote"] or "", match["unesc"] or match["unquote"] or ""
    return f"{match['key']}{opened}{REDACTED}{closed}"


_TOKENS = (
    # GitHub, GitLab, Slack, Vault, Google
    r"gh[pousr]_[\w.-]{10,}|github_pat_[\w.-]{10,}|gl(?:pat|dt|rt|cbt|ptt|oas|soat|ft|imt|agent)-[\w.-]{10,}"
    r"|xox[abeprs]-[\w.-]{10,}|xapp-[\w-]{10,}|hv[sbr]\.[\w.-]{10,}|AIza[\w.-]{10,}|ya29\.[\w-]{10,}"
    r"|GOCSPX-[\w-]{10,}|1//0[\w-]{20,}"
    # models
    r"|sk-(?:(?:proj|ant|svcacct|admin|or|lf)-[\w-]{10,}|[A-Za-z0-9]{16,})|hf_[A-Za-z0-9]{16,}"
    r"|gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}|pplx-[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{20,}"
    # registries and clouds
    r"|npm_[A-Za-z0-9]{20,}|pypi-AgE[\w-]{16,}|dckr_pat_[\w-]{10,}|rubygems_[0-9a-f]{20,}|dapi[0-9a-f]{32}"
    r"|do[opr]_v1_[0-9a-f]{20,}|pul-[0-9a-f]{40}|HRKU-[\w-]{20,}|pscale_\w{2,6}_[\w.-]{10,}|tskey-[\w-]{16,}"
    r"|[A-Za-z0-9_~.-]{3}[0-9]Q~[\w~.-]{30,40}|[A-Za-z0-9]{14}\.atlasv1\.[\w-]{20,}|LTAI[A-Za-z0-9]{12,}"
    # payments, mail, telephony
    r"|[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{10,}|SG\.[\w-]{10,}\.[\w-]{10,}"
    r"|SK[0-9a-f]{32}|key-[0-9a-f]{32}|[0-9a-f]{32}-us[0-9]{1,2}(?![0-9])|sq0[a-z]{3}-[\w-]{16,}"
    r"|shp(?:at|ss|ca|pa)_[0-9a-fA-F]{20,}|[0-9]{8,10}:AA[\w-]{30,}"
    # watching, planning
    r"|gl(?:sa|c)_[\w=]{16,}|NR(?:AK|JS|AL)-[\w-]{16,}|sntry[su]_[\w=+/]{16,}|lin_api_\w{16,}|ntn_\w{20,}"
    r"|secret_[A-Za-z0-9]{30,}|AT(?:ATT|CTT)3[\w=-]{16,}|PMAK-[\w-]{20,}|figd_[\w-]{16,}"
    r"|ATBB[A-Za-z0-9]{20,}|sq[upa]_[0-9a-f]{30,}|CCIPAT_\w{16,}|bku[at]_\w{16,}|nfp_\w{20,}|lsv2_\w{20,}"
    r"|pat-(?:na|eu)[0-9]-[0-9a-f-]{30,}|pcsk_\w{20,}|sb_secret_\w{16,}"
    r"|sbp_[0-9a-f]{30,}|AKCp[A-Za-z0-9]{20,}|cmVmdGtu[\w=]{20,}|sha256~[\w-]{30,}|amzn\.mws\.[0-9a-f-]{30,}"
    r"|ABSK[\w+/=]{40,}|AKID[A-Za-z0-9]{13,}|EAA[A-Za-z0-9]{60,}|AAAA[\w-]{7}:APA91b[\w-]{40,}|fm2_[\w+/=]{40,}"
    r"|dp\.(?:pt|st|ct|sa)\.\w{16,}|AGE-SECRET-KEY-1[0-9A-Z]{20,}|tfp_[\w-]{16,}"
)
_TOKEN_NEEDLES = (
    "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "gl", "xox", "xapp-", "hvs.", "hvb.", "hvr.", "aiza",
    "ya29.", "gocspx-", "1//0", "sk", "hf_", "xai-", "pplx-", "r8_", "npm_", "pypi-age", "rubygems_", "dapi",
    "_v1_", "pul-", "hrku-", "pscale_", "tskey-", "q~", ".atlasv1.", "ltai", "k_live_", "k_test_", "whsec_",
    "sg.", "key-", "-us", "sq0", "shp", ":aa", "nrak-", "nrjs-", "nral-", "sntry", "lin_api_", "ntn_",
    "secret_", "tt3", "pmak-", "figd_", "dp.", "tfp_",
    "atbb", "squ_", "sqp_", "sqa_", "pat_", "pat-", "bku", "nfp_", "lsv2_", "pcsk_", "sbp_", "sb_secret",
    "akcp",
    "cmvmdgtu", "sha256~", "amzn.mws", "absk", "akid", "eaa", "apa91b", "fm2_",
)  # fmt: skip
_HOOKS = (
    r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/"
    r"|[\w.-]{1,64}\.webhook\.office\.com/|outlook\.office(?:365)?\.com/webhook/|hooks\.zapier\.com/hooks/"
    r"|api\.telegram\.org/bot|maker\.ifttt\.com/trigger/|open\.feishu\.cn/open-apis/bot/v2/hook/"
    r"|chat\.googleapis\.com/v1/spaces/|events\.pagerduty\.com/integration/|webhook\.site/"
)
_PROGRAMS = (
    r"(?:sshpass\s[^\r\n]{0,80}?-p|mysql\w{0,8}\s(?:[^\r\n]{0,160}?\s)??-p|redis-cli\s[^\r\n]{0,160}?-a"
    r"|(?:docker|podman|helm|az|nerdctl)\s[^\r\n]{0,40}?login\s(?:[^\r\n]{0,120}?\s)??-p"
    r"|(?:curl|wget)\s(?:[^\r\n]{0,400}?\s)??(?:-u|--user|--proxy-user)[ =]?)"
)

CREDENTIALS: tuple[Rule, ...] = (
    Rule(
        ("://",),
        re.compile(
            r"(?<=://)(?:[^\s\"'<>/:@]{0,64}:(?![0-9]{1,5}[/?#])[^\s\"'<>]{1,512}|[^\s\"'<>/?#@]{1,256})"
            r"@(?!sha(?:256|512):)"
        ),
        f"{REDACTED}@",
        re.compile("@"),
    ),
    Rule(("@tcp(", "@unix("), re.compile(r"\b[\w.-]{1,64}:[^\s@]{1,256}@(?=(?:tcp|unix)\()"), f"{REDACTED}@"),
    Rule(
        ("hook", "telegram", "ifttt", "chat.googleapis", "pagerduty"),
        re.compile(rf"(?P<host>{_HOOKS})[^\s\"'<>\\]+"),
        rf"\g<host>{REDACTED}",
    ),
    # JSON and PEM in base64: JSON Web Tokens, docker's config, kubeconfig's keys.
    Rule(
        ("eyj", "ewog", "ls0tls1crud"),
        re.compile(r"(?<![A-Za-z0-9])(?:eyJ|ewog|LS0tLS1CRUd)[\w+/=-]{8,}(?:\.[\w-]+){0,4}"),
    ),
    Rule(
        ("akia", "asia", "agpa", "aida", "aroa", "aipa", "anpa", "anva", "abia", "acca"),
        re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{12,}"),
    ),
    Rule(_TOKEN_NEEDLES, re.compile(rf"(?<![A-Za-z0-9])(?:{_TOKENS})")),
    Rule(
        ("cookie",),
        re.compile(
            r"(?P<key>cookies?(?:\\*[\"'])?\s{0,8}[:=]\s{0,8}\\{0,4}[\"']?)[^\s\"'\\][^\r\n\"'\\]*",
            re.IGNORECASE,
        ),
        rf"\g<key>{REDACTED}",
    ),
    Rule(
        _KEY_NEEDLES,
        re.compile(
            rf"(?P<key>(?:{_WORDS}){_HARMLESS}[\w.-]{{0,40}}"
            rf"(?:\\*[\"'])?\s{{0,8}}(?::=|=>|::|[:=])\s{{0,8}}){_VALUE}",
            re.IGNORECASE,
        ),
        _hidden,
        _KEY_GATE,
    ),
    Rule(
        ("pass", "pwds", "secrets", "tokens", "keys"),
        re.compile(
            rf"(?P<key>{_PLURALS}(?:\\*[\"'])?\s{{0,8}}(?::=|=>|::|[:=])\s{{0,8}}){_COUNT}{_VALUES}",
            re.IGNORECASE,
        ),
        _hidden,
        _PLURAL_GATE,
    ),
    # Redis, as its configuration file and its commands have it.
    Rule(
        ("requirepass", "masterauth", "auth-pass"),
        re.compile(
            r"(?P<key>\b(?:requirepass|masterauth|auth-pass\s{1,4}[\w.-]{1,64})(?:\\*[\"'])?\s{1,8}(?:\\*[\"'])?)"
            rf"(?![:=]){_BARE}",
            re.IGNORECASE,
        ),
        rf"\g<key>{REDACTED}",
    ),
    Rule(
        _KEY_NEEDLES,
        re.compile(
            rf"(?P<key>(?<![\w-])--?[\w-]{{0,40}}(?:{_WORDS})[\w-]{{0,40}}\s{{1,8}})(?!-){_VALUE}",
            re.IGNORECASE,
        ),
        _hidden,
        _FLAG_GATE,
    ),
    # <password>…</password>, as Maven and Jenkins write it.
    Rule(
        ("</",),
        re.compile(
            rf"(?P<key><[\w:.-]{{0,40}}(?:{_WORDS})[\w.-]{{0,40}}(?:\s[^<>]{{0,200}})?>)[^<\r\n]+",
            re.IGNORECASE,
        ),
        rf"\g<key>{REDACTED}",
    ),
    # An environment variable in a manifest: its name, and then its value.
    Rule(
        ("name",),
        re.compile(
            rf"(?P<key>\bname(?:\\*[\"'])?\s{{0,4}}:\s{{0,4}}(?:\\*[\"'])?[\w.-]{{0,60}}(?:{_WORDS})[\w.-]{{0,60}}"
            rf"(?:\\*[\"'])?(?:,|\s{{0,80}}|(?:\\+r)?\\+n\s{{0,80}})\s{{0,4}}(?:\\*[\"'])?value(?:\\*[\"'])?\s{{0,4}}:\s{{0,4}}){_VALUE}",
            re.IGNORECASE,
        ),
        _hidden,
        _NAME_GATE,
        two_lines=True,
    ),
    # ('X-Api-Key', '…') and what SQL sets.
    Rule(
        ("('", '("', "(b'", '(b"', "password '", "identified by '"),
        re.compile(
            rf"(?P<key>\(\s{{0,4}}b?[\"'][\w.-]{{0,40}}(?:{_WORDS})[\w.-]{{0,40}}[\"'],\s{{0,4}}b?"
            r"|\b(?:password|identified\s{1,4}by)\s{1,4}(?='))(?P<quote>[\"'])[^\r\n\"']*(?P<unquote>[\"'])?",
            re.IGNORECASE,
        ),
        rf"\g<key>\g<quote>{REDACTED}\g<unquote>",
    ),
    Rule(
        ("sshpass", "mysql", "redis-cli", "login", "curl", "wget"),
        re.compile(rf"(?P<key>\b{_PROGRAMS}\s{{0,4}}){_BARE}"),
        rf"\g<key>{REDACTED}",
    ),
    Rule(
        ("?", "&"),
        re.compile(r"(?P<key>[?&](?:key|code|auth|jwt|sid|pw|ticket)=)[^&\s\"'<>\\]+", re.IGNORECASE),
        rf"\g<key>{REDACTED}",
    ),
    Rule(
        ("bearer", "basic"),
        # Not what is a word: bearer tokens, basic authentication.
        re.compile(
            r"\b(?P<key>bearer|basic)\s{1,8}(?=[^\s\"',;]{0,512}(?-i:[A-Z0-9=]))[^\s\"',;\\]{6,}",
            re.IGNORECASE,
        ),
        rf"\g<key> {REDACTED}",
    ),
    Rule(
        ("$2", "$5$", "$6$", "$y$", "$argon2"),
        re.compile(r"\$(?:2[aby]|5|6|y|argon2id?)\$[\w./$=,+-]{20,}"),
    ),
)

_DASH = r"[ \t]{0,40}-[ \t]"
_LINE, _INNER_LINE = r"\r?\n", r"(?:\\+r)?\\+n"
_ITEM, _INNER_ITEM = r"[^\r\n]+", r"(?:\\+[\"'/tu]|[^\"\r\n\\])+"
LISTS = re.compile(
    rf"(?:{_PLURALS}|{_WORDS})(?:\\*[\"'])?[ \t]{{0,8}}:[ \t]{{0,8}}"
    rf"(?P<items>(?:{_LINE}{_DASH}{_ITEM})+|(?:{_INNER_LINE}{_DASH}{_INNER_ITEM})+)",
    re.IGNORECASE,
)
"""A key whose values are the items of a list in YAML, each in a line; also in a string of JSON."""
LISTS_GATE = re.compile(rf":[ \t]{{0,8}}(?:{_LINE}|{_INNER_LINE}){_DASH}")
"""Cheaper, and found in all texts that one could be in."""
ITEMS = (
    re.compile(rf"(?P<dash>{_LINE}{_DASH}){_ITEM}"),
    re.compile(rf"(?P<dash>{_INNER_LINE}{_DASH}){_INNER_ITEM}"),
)

_EMAIL = Rule(
    ("@",),
    # No addresses: systemd's units, and the user that git is reached by.
    re.compile(
        r"(?<![\w.+%-])(?!git@)[\w.+%-]{1,64}@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,6}"
        r"(?!(?:service|socket|timer|mount|target|slice|scope|path|device)\b)[A-Za-z]{2,24}(?![\w-])"
    ),
)
PERSONAL: tuple[Rule, ...] = (_EMAIL,)

_CARD = re.compile(
    r"[2-6](?<![\w.+-].)(?:[0-9]{3}([ -]?)[0-9]{4}\1[0-9]{4}\1[0-9]{4}|[0-9]{3}([ -]?)[0-9]{6}\2[0-9]{4,5})"
    r"(?![\w-]|\.[0-9])"
)
_ISSUERS = re.compile(
    r"4[0-9]{15}|5[1-5][0-9]{14}|2(?:2[2-9]|[3-6][0-9]|7[01])[0-9]{13}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|35[0-9]{14}|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12}"
)
_IBAN = re.compile(
    r"[A-Z](?<!\w.)[A-Z][0-9]{2}(?:( ?)[A-Z0-9]{4}(?:\1[A-Z0-9]{4}){2,6}(?:\1[A-Z0-9]{1,3})?)\b"
)
_PHONE = re.compile(
    r"\+(?<![\w.)].)(?:[1-9][0-9]{10,14}"
    r"|[1-9][0-9]{0,2}(?:[ .-]\(?[0-9]{2,5}\)?)(?:[ .-][0-9]{2,8}){1,4})(?![\w-]|\.[0-9])"
)


def _card(match: re.Match[str]) -> str:
    digits = re.sub("[ -]", "", match[0])
    if not _ISSUERS.fullmatch(digits):
        return match[0]
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits)))
    return match[0] if sum(value - 9 * (value > 9) for value in doubled) % 10 else REDACTED


def _iban(match: re.Match[str]) -> str:
    code = match[0].replace(" ", "")
    number = "".join(str(int(letter, 36)) for letter in code[4:] + code[:4])
    return REDACTED if len(code) >= 15 and int(number) % 97 == 1 else match[0]


NUMBERS: tuple[tuple[re.Pattern[str], Replacement], ...] = (
    (_CARD, _card),
    (_IBAN, _iban),
    (_PHONE, REDACTED),
)
"""Personal data without anything literal in it: held against the whole text."""
