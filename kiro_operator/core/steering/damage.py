"""What is wrong with the bytes of a document, whatever is written in it."""

from kiro_operator.core.evidence.steering import Document

_UNFINISHED = 3
"""A character that was cut off lacks no more bytes than this."""


def damage(document: Document) -> tuple[str, str]:
    """Reason and words for what is wrong with a document's bytes; empty for nothing."""
    if document.invalid_at is not None:
        if document.size is not None and document.invalid_at >= document.size - _UNFINISHED:
            return "Truncated", "ends within a character: it was cut off; put the last good version back"
        return "NotUtf8", f"byte {document.invalid_at + 1} is no UTF-8: save it as UTF-8"
    if document.cut:
        return "", ""
    if "\0" in document.text:
        return "Truncated", "holds NUL bytes, as a file does that was not written to its end"
    if not document.text.strip("\ufeff \t\r\n"):
        return "Empty", "is empty: put the last good version back"
    last = document.text.rpartition("\n")[2]
    if "#[[" in last and "]]" not in last.rpartition("#[[")[2]:
        return "Truncated", "ends within a reference: it was cut off; put the last good version back"
    return "", ""
