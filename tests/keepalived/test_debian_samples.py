"""Every sample configuration of an installed keepalived package is read without a crash or a lost block.

The files are read where the package put them; nothing of them is kept here. The count that the reader must
reach is made by plain regular expressions over the text without comments.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from vrrpsim.findings import Severity
from vrrpsim.keepalived.compiler import compile_text
from vrrpsim.protocol.dialect import DIALECTS

DIRECTORIES = (Path("/usr/share/doc/keepalived"), Path("/etc/keepalived"))


def looks_like_configuration(path: Path) -> bool:
    return path.is_file() and ".conf" in path.name and "SYNOPSIS" not in path.name


SAMPLES = sorted(
    path
    for directory in DIRECTORIES
    if directory.is_dir()
    for path in directory.rglob("*")
    if looks_like_configuration(path)
)


@pytest.fixture(params=SAMPLES or [None], ids=lambda path: path.name if path else "none")
def sample(request) -> tuple[Path, str]:
    if request.param is None:
        pytest.skip("the Debian package keepalived is not installed, there are no samples to read")
    data = request.param.read_bytes()
    text = gzip.decompress(data) if request.param.suffix == ".gz" else data
    return request.param, text.decode("utf-8", "replace")


def names(keyword: str, text: str) -> list[str]:
    """Return the names of the blocks, each once; conditional lines do not open blocks in the samples."""
    bare = re.sub(r"[#!].*", "", text)
    return list(dict.fromkeys(re.findall(rf"^[ \t]*{keyword}[ \t]+([^\s{{]+)", bare, re.MULTILINE)))


@pytest.mark.parametrize("dialect", ["keepalived-2.2.7", "keepalived-2.3.3"])
def test_every_block_of_a_sample_is_found(sample, dialect):
    path, text = sample
    compiled = compile_text(
        text, file=str(path), base=path.parent, config_id="high", dialect=DIALECTS[dialect]
    )
    assert not compiled.fatal, [str(finding) for finding in compiled.findings]
    assert [str(finding) for finding in compiled.findings if finding.severity is Severity.ERROR] == []
    assert list(compiled.instances) == names("vrrp_instance", text)
    assert list(compiled.groups) == names("vrrp_sync_group", text)
    assert list(compiled.scripts) == names("vrrp_script", text)


@pytest.mark.parametrize(
    "path",
    [
        path
        for directory in DIRECTORIES
        if directory.is_dir()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    ]
    or [pytest.param(None, marks=pytest.mark.skip("the Debian package keepalived is not installed"))],
    ids=lambda path: path.name if path else "none",
)
def test_any_other_file_of_the_package_is_survived(path):
    text = path.read_bytes().decode("latin-1")
    assert compile_text(text, file=str(path)).findings or looks_like_configuration(path)
