"""One HTML file that needs nothing else, no network and no framework: `page.html` around the rest.

A Content-Security-Policy allows exactly the style and the script that stand in the file, by their SHA-256,
and forbids everything else. The data are JSON in a block that no browser runs. Same data, same bytes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from json import dumps
from string import Template
from typing import Any

ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
)  # in strings only: JSON has none else


def page(title: str, data: Mapping[str, Any], scripts: Sequence[str], plain: str) -> bytes:
    """Return the file; `scripts` are file names beside this module, `plain` is shown without scripts."""
    style = _read("page.css")
    script = '"use strict";\n' + "\n".join(map(_read, scripts))
    return (
        Template(_read("page.html"))
        .substitute(
            title=escape(title),
            policy=f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
            "base-uri 'none'; form-action 'none'",
            style=style,
            data=dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(ESCAPES),
            script=script,
            plain=escape(plain),
        )
        .encode("utf-8", "replace")
    )


def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the source expression that allows an inline element with this text."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
