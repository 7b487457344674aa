"""The words of SQL, by Redshift's lexical rules (docs/aws-behaviour.md#unload)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .failure import failed

WORD, NAME, STRING, NUMBER, SYMBOL, OTHER = "word", "name", "string", "number", "symbol", "other"

_SPACE = re.compile(r"\s+|--[^\n]*")
_WORD = re.compile(r"[A-Za-z_\u0080-\U0010ffff][\w$]*")
_NUMBER = re.compile(r"\d+(\.\d*)?([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?")
_DOLLAR = re.compile(r"\$([A-Za-z_]\w*)?\$")
_COMMENT = re.compile(r"/\*|\*/")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_CODE = re.compile(r"[0-7]{1,3}|x[0-9A-Fa-f]{1,2}")


@dataclass(frozen=True)
class Token:
    """One word, with what it stands for and where it is written."""

    kind: str
    value: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords (given in upper case)."""
        return self.kind == WORD and self.value.upper() in words

    def is_symbol(self, symbol: str) -> bool:
        """Whether it is this symbol."""
        return self.kind == SYMBOL and self.value == symbol


def tokens(text: str, backslashes: bool) -> Iterator[Token]:
    """The words of a text, without comments. With `backslashes` they escape in every literal."""
    at = 0
    while at < len(text):
        if match := _SPACE.match(text, at):
            at = match.end()
            continue
        if text.startswith("/*", at):
            at = _after_comment(text, at)
            continue
        token = _token(text, at, backslashes)
        yield token
        at = token.end


def _token(text: str, at: int, backslashes: bool) -> Token:
    char = text[at]
    if char == "'":
        return _literal(text, at, at, STRING, backslashes)
    if char in "eE" and text.startswith("'", at + 1):
        return _literal(text, at, at + 1, OTHER, True)
    if char == '"':
        return _name(text, at)
    if match := _DOLLAR.match(text, at):
        end = text.find(match[0], match.end())
        if end < 0:
            raise failed(f'unterminated dollar-quoted string at or near "{text[at:]}"', position=at + 1)
        return Token(OTHER, text[match.end() : end], at, end + len(match[0]))
    if match := _WORD.match(text, at):
        return Token(WORD, match[0], at, match.end())
    if match := _NUMBER.match(text, at):
        return Token(NUMBER, match[0], at, match.end())
    return Token(SYMBOL, char, at, at + 1)


def _after_comment(text: str, at: int) -> int:
    """The end of a comment; comments may hold comments."""
    depth = 0
    for match in _COMMENT.finditer(text, at):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    raise failed(f'unterminated /* comment at or near "{text[at:]}"', position=at + 1)


def _name(text: str, at: int) -> Token:
    end = at + 1
    while True:
        end = text.find('"', end)
        if end < 0:
            raise failed(f'unterminated quoted identifier at or near "{text[at:]}"', position=at + 1)
        if not text.startswith('"', end + 1):
            return Token(NAME, text[at + 1 : end].replace('""', '"'), at, end + 1)
        end += 2


def _literal(text: str, start: int, quote: int, kind: str, backslashes: bool) -> Token:
    out: list[str] = []
    at = quote + 1
    while at < len(text):
        char = text[at]
        if char == "'":
            if not text.startswith("'", at + 1):
                return Token(kind, "".join(out), start, at + 1)
            out.append("'")
            at += 2
        elif char == "\\" and backslashes and at + 1 < len(text):
            value, at = _escape(text, at + 1)
            out.append(value)
        else:
            out.append(char)
            at += 1
    raise failed(f'unterminated quoted string at or near "{text[start:]}"', position=start + 1)


def _escape(text: str, at: int) -> tuple[str, int]:
    if code := _CODE.match(text, at):
        digits = code[0]
        return chr(int(digits[1:], 16) if digits[0] == "x" else int(digits, 8) & 0xFF), code.end()
    return _ESCAPES.get(text[at], text[at]), at + 1


def is_statement(text: str, word: str, backslashes: bool) -> bool:
    """Whether a text's first word is this one. What cannot be read is left to PostgreSQL to refuse."""
    for token in tokens(text, backslashes):
        return token.is_word(word)
    return False


def literal(value: str, backslashes: bool) -> str:
    """A value as a literal."""
    if backslashes:
        value = value.replace("\\", "\\\\")
    return "'" + value.replace("'", "''") + "'"
