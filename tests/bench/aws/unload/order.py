"""What an UNLOAD statement asks for, read by a strict grammar (docs/aws-behaviour.md#unload)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ..warehouse import sql
from ..warehouse.failure import QueryFailed, failed

TEXT, CSV, PARQUET, JSON = "TEXT", "CSV", "PARQUET", "JSON"
MEGABYTE = 1024 * 1024
_GIGABYTE = 1024 * MEGABYTE

_DESTINATION = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/?(.*)", re.DOTALL)
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=.@/-]+")
_WIDTH = re.compile(r"([^:,]+):([1-9]\d*)")
_KEYS = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "CREDENTIALS", "MASTER_SYMMETRIC_KEY")


@dataclass
class Order:
    """An UNLOAD statement. What it does not say is None, False or the documented default."""

    query: str
    bucket: str
    prefix: str
    # None stands for the cluster's default role.
    roles: list[str] | None = None
    format: str = TEXT
    partition_by: list[str] = field(default_factory=list)
    include: bool = False
    manifest: bool = False
    verbose: bool = False
    header: bool = False
    delimiter: str | None = None
    fixed_width: list[tuple[str, int]] | None = None
    encrypted: bool = False
    auto: bool = False
    kms_key_id: str | None = None
    compression: str | None = None
    add_quotes: bool = False
    null_as: str | None = None
    escape: bool = False
    allow_overwrite: bool = False
    clean_path: bool = False
    parallel: bool = True
    max_file_size: int | None = None
    row_group_size: int | None = None
    region: str | None = None
    extension: str | None = None

    @property
    def location(self) -> str:
        """Where to, as it was written."""
        return f"s3://{self.bucket}/{self.prefix}"


def read(text: str, backslashes: bool) -> Order:
    """What a statement asks for; fails where it is none that Redshift takes."""
    return _Reader(text, backslashes).read()


class _Reader:
    def __init__(self, text: str, backslashes: bool) -> None:
        self._text = text
        self._tokens = list(sql.tokens(text, backslashes))
        self._at = 0
        self._given: set[str] = set()

    # Words

    def _here(self) -> sql.Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _unexpected(self) -> QueryFailed:
        token = self._here()
        if token is None:
            return failed("syntax error at end of input", position=len(self._text) + 1)
        return failed(f'syntax error at or near "{self._text[token.start : token.end]}"', position=token.start + 1)

    def _word(self, *words: str) -> str | None:
        """Takes one of these words if it comes next."""
        token = self._here()
        if token is None or not token.is_word(*words):
            return None
        self._at += 1
        return token.value.upper()

    def _needed(self, *words: str) -> str:
        if word := self._word(*words):
            return word
        raise self._unexpected()

    def _symbol(self, symbol: str) -> bool:
        token = self._here()
        if token is None or not token.is_symbol(symbol):
            return False
        self._at += 1
        return True

    def _needed_symbol(self, symbol: str) -> None:
        if not self._symbol(symbol):
            raise self._unexpected()

    def _literal(self, *, after_as: bool = False) -> str:
        if after_as:
            self._word("AS")
        token = self._here()
        if token is None or token.kind != sql.STRING:
            raise self._unexpected()
        self._at += 1
        return token.value

    # The statement

    def read(self) -> Order:
        self._needed("UNLOAD")
        self._needed_symbol("(")
        query = self._literal()
        self._needed_symbol(")")
        self._needed("TO")
        destination = _DESTINATION.fullmatch(self._literal())
        if destination is None:
            raise failed("UNLOAD destination is not supported. (Hint: only S3 based unload is allowed)")
        order = Order(query, destination[1], destination[2])
        while (token := self._here()) and not token.is_symbol(";"):
            self._option(order)
        if self._symbol(";") and self._here():
            raise failed("cannot insert multiple commands into a prepared statement")
        if "IAM_ROLE" not in self._given:
            raise failed("No authorization is given for UNLOAD: IAM_ROLE is required")
        return order

    def _option(self, order: Order) -> None:
        if key := self._word(*_KEYS):
            raise failed(f"{key} is not supported: UNLOAD needs IAM_ROLE here")
        for words, (name, take) in _OPTIONS.items():
            start = self._at
            if word := self._word(*words):
                if name in self._given:
                    self._at = start
                    raise failed(f"conflicting or redundant options: {name}", position=self._tokens[start].start + 1)
                self._given.add(name)
                take(self, order, word)
                return
        raise self._unexpected()

    # Options

    def _iam_role(self, order: Order, _: str) -> None:
        if self._word("DEFAULT"):
            return
        roles = self._literal().split(",")
        for role in roles:
            if not _ROLE.fullmatch(role):
                raise failed(f'Invalid IAM role ARN "{role}"')
        order.roles = roles

    def _format(self, order: Order, word: str) -> None:
        if word == "FORMAT":
            self._word("AS")
            word = self._needed(CSV, PARQUET, JSON)
        order.format = word

    def _partition(self, order: Order, _: str) -> None:
        self._needed("BY")
        self._needed_symbol("(")
        while True:
            token = self._here()
            if token is None or token.kind not in (sql.WORD, sql.NAME):
                raise self._unexpected()
            self._at += 1
            order.partition_by.append(token.value if token.kind == sql.NAME else token.value.lower())
            if not self._symbol(","):
                break
        self._needed_symbol(")")
        order.include = self._word("INCLUDE") is not None

    def _manifest(self, order: Order, _: str) -> None:
        order.manifest = True
        order.verbose = self._word("VERBOSE") is not None

    def _header(self, order: Order, _: str) -> None:
        order.header = True

    def _delimiter(self, order: Order, _: str) -> None:
        value = self._literal(after_as=True)
        value = {r"\t": "\t"}.get(value, value)
        if len(value) != 1 or not value.isascii():
            raise failed("DELIMITER must be a single ASCII character")
        order.delimiter = value

    def _fixed_width(self, order: Order, _: str) -> None:
        parts = [_WIDTH.fullmatch(part.strip()) for part in self._literal(after_as=True).split(",")]
        if not all(parts):
            raise failed("Invalid FIXEDWIDTH specification")
        order.fixed_width = [(part[1], int(part[2])) for part in parts if part]

    def _encrypted(self, order: Order, _: str) -> None:
        order.encrypted = True
        order.auto = self._word("AUTO") is not None

    def _kms_key_id(self, order: Order, _: str) -> None:
        self._word("AS")
        order.kms_key_id = self._literal()

    def _compression(self, order: Order, word: str) -> None:
        order.compression = word

    def _add_quotes(self, order: Order, _: str) -> None:
        order.add_quotes = True

    def _null_as(self, order: Order, _: str) -> None:
        order.null_as = self._literal(after_as=True)

    def _escape(self, order: Order, _: str) -> None:
        order.escape = True

    def _allow_overwrite(self, order: Order, _: str) -> None:
        order.allow_overwrite = True

    def _clean_path(self, order: Order, _: str) -> None:
        order.clean_path = True

    def _parallel(self, order: Order, _: str) -> None:
        order.parallel = self._word("ON", "TRUE", "OFF", "FALSE") not in ("OFF", "FALSE")

    def _size(self) -> float:
        self._word("AS")
        token = self._here()
        if token is None or token.kind != sql.NUMBER:
            raise self._unexpected()
        self._at += 1
        return float(token.value) * (_GIGABYTE if self._word("MB", "GB") == "GB" else MEGABYTE)

    def _max_file_size(self, order: Order, _: str) -> None:
        size = self._size()
        if not 5 * MEGABYTE <= size <= 6.2 * _GIGABYTE:
            raise failed("MAXFILESIZE must be from 5 MB to 6.2 GB")
        order.max_file_size = int(size)

    def _row_group_size(self, order: Order, _: str) -> None:
        size = self._size()
        if size % MEGABYTE or not 32 * MEGABYTE <= size <= 128 * MEGABYTE:
            raise failed("ROWGROUPSIZE must be an integer from 32 MB to 128 MB")
        order.row_group_size = int(size)

    def _region(self, order: Order, _: str) -> None:
        order.region = self._literal(after_as=True)

    def _extension(self, order: Order, _: str) -> None:
        order.extension = self._literal()


_Take = Callable[[_Reader, Order, str], None]
# By the words with which they begin; those that exclude each other have the same name.
_OPTIONS: dict[tuple[str, ...], tuple[str, _Take]] = {
    ("IAM_ROLE",): ("IAM_ROLE", _Reader._iam_role),
    ("FORMAT", CSV, PARQUET, JSON): ("FORMAT", _Reader._format),
    ("PARTITION",): ("PARTITION BY", _Reader._partition),
    ("MANIFEST",): ("MANIFEST", _Reader._manifest),
    ("HEADER",): ("HEADER", _Reader._header),
    ("DELIMITER",): ("DELIMITER", _Reader._delimiter),
    ("FIXEDWIDTH",): ("FIXEDWIDTH", _Reader._fixed_width),
    ("ENCRYPTED",): ("ENCRYPTED", _Reader._encrypted),
    ("KMS_KEY_ID",): ("KMS_KEY_ID", _Reader._kms_key_id),
    ("BZIP2", "GZIP", "ZSTD"): ("compression", _Reader._compression),
    ("ADDQUOTES",): ("ADDQUOTES", _Reader._add_quotes),
    ("NULL",): ("NULL AS", _Reader._null_as),
    ("ESCAPE",): ("ESCAPE", _Reader._escape),
    ("ALLOWOVERWRITE",): ("ALLOWOVERWRITE", _Reader._allow_overwrite),
    ("CLEANPATH",): ("CLEANPATH", _Reader._clean_path),
    ("PARALLEL",): ("PARALLEL", _Reader._parallel),
    ("MAXFILESIZE",): ("MAXFILESIZE", _Reader._max_file_size),
    ("ROWGROUPSIZE",): ("ROWGROUPSIZE", _Reader._row_group_size),
    ("REGION",): ("REGION", _Reader._region),
    ("EXTENSION",): ("EXTENSION", _Reader._extension),
}
