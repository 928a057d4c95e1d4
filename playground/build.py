"""Build the playground: `python playground/build.py [OUT.html]`, one page that needs nothing else, offline.

CPython for WebAssembly is npm's package pyodide (MPL-2.0); simpy and ruamel.yaml are this environment's,
vrrpsim is this working copy's. Needs node and npm, and the network once: `.build/` keeps what npm fetched.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.metadata import files as installed_files
from pathlib import Path
from string import Template

HERE = Path(__file__).parent
ROOT = HERE.parent
KEPT = HERE / ".build"
PAGE = HERE / "vrrpsim-playground.html"
PYODIDE = "314.0.7"
NEEDED = ("simpy", "ruamel.yaml")
NOT_HERE = re.compile(r"vrrpsim/(live|lab|cli)/|.*/__pycache__/")  # no sockets, no processes, no terminal
UNUSED = re.compile(  # of the standard library
    r"(test|unittest|idlelib|turtledemo|tkinter|pydoc_data|pydoc|doctest|pdb|ensurepip|venv|lib2to3|distutils|_pyrepl"
    r"|xmlrpc|wsgiref|mailbox|imaplib|ftplib|smtplib|poplib|tarfile|curses|dbm|sqlite3|http/server|turtle|sysconfig/__main__)\b"
)
REPORT = ROOT / "vrrpsim/report/html"
REPORT_SCRIPTS = ("common.js", "timeline.js", "sequence.js", "run.js")


def build(out: Path = PAGE) -> Path:
    """Write the page; return where it is."""
    pyodide = fetched()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.joinpath("from-site.zip").write_bytes(zipped(site()))
        folder.joinpath("from-stdlib.zip").write_bytes(zipped(standard_library(pyodide)))
        given = ["from-site.zip", "from-stdlib.zip"]
        command = ["node", str(HERE / "compile.mjs"), str(pyodide), *(str(folder / each) for each in given)]
        subprocess.run([*command, str(folder)], check=True)
        blocks = {
            "pyodide.asm.wasm": (pyodide / "pyodide.asm.wasm").read_bytes(),
            "python_stdlib.zip": (folder / "stdlib.zip").read_bytes(),
            "site.zip": (folder / "site.zip").read_bytes(),
            "worker.js": worker(pyodide).encode(),
        }
    out.write_text(page(blocks, lock(pyodide), first()), encoding="utf-8")
    return out


def fetched() -> Path:
    """Return the folder of pyodide, fetched by npm unless it is there."""
    found = KEPT / "node_modules/pyodide"
    package = found / "package.json"
    if not package.is_file() or json.loads(package.read_text(encoding="utf-8"))["version"] != PYODIDE:
        KEPT.mkdir(exist_ok=True)
        npm = [
            "npm",
            "install",
            "--prefix",
            str(KEPT),
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--no-save",
        ]
        subprocess.run([*npm, f"pyodide@{PYODIDE}"], check=True, stdout=sys.stderr)
    return found


def site() -> Iterator[tuple[str, bytes]]:
    """Yield what lies beside Python: vrrpsim with its examples, the libraries, the page's engine."""
    for path in sorted((ROOT / "vrrpsim").rglob("*")):
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and not NOT_HERE.match(name):
            yield name, path.read_bytes()
    for path in sorted((ROOT / "scenarios").rglob("*.*")):
        yield f"vrrpsim/example_files/{path.relative_to(ROOT / 'scenarios').as_posix()}", path.read_bytes()
    for library in NEEDED:
        for file in installed_files(library) or ():
            if file.suffix == ".py":
                yield file.as_posix(), file.read_binary()
    for path in (HERE / "engine.py", *sorted((HERE / "levels").glob("*.yaml"))):
        yield path.relative_to(HERE).as_posix(), path.read_bytes()


def standard_library(pyodide: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the modules of Pyodide's Python without those that a page cannot use."""
    with zipfile.ZipFile(pyodide / "python_stdlib.zip") as archive:
        for name in archive.namelist():
            if not name.endswith("/") and not UNUSED.match(name):
                yield name, archive.read(name)


def zipped(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """Return an archive, stored and without dates, so that gzip sees all of it and two builds are alike."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def worker(pyodide: Path) -> str:
    """Return the worker's script: Pyodide as a classic script, which asks nobody for anything, then ours."""
    module = (pyodide / "pyodide.asm.mjs").read_text(encoding="utf-8")
    for old, new in (
        ("import.meta.url", '"https://vrrpsim.invalid/pyodide.asm.mjs"'),
        ('await import("node:module")', "{}"),
        ("export default _createPyodideModule;", ""),
    ):
        assert old in module, f"pyodide {PYODIDE} is built differently: no {old!r}"
        module = module.replace(old, new)
    loader = re.sub(r"//# sourceMappingURL=.*", "", (pyodide / "pyodide.js").read_text(encoding="utf-8"))
    # Pyodide finds out by an import whether this is a classic worker, and refuses those.
    probe = "self.importScripts = () => { throw new Error('nothing is imported here'); };"
    return "\n;".join([probe, loader, module, (HERE / "worker.js").read_text(encoding="utf-8")])


def lock(pyodide: Path) -> str:
    """Return the lock file of a Pyodide that has no packages to load."""
    info = json.loads((pyodide / "pyodide-lock.json").read_text(encoding="utf-8"))["info"]
    return json.dumps({"info": info, "packages": {}})


def first() -> str:
    """Return what the first level gives, so that there is something to see while Python starts."""
    sys.path[:0] = [str(HERE), str(ROOT)]
    import engine

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        files = engine.example("level/calm-lan")
        found = engine.study(files)
        found["html"] = ""
        text = json.dumps({"files": files, "found": found, "examples": engine.listed()}, default=float)
    return text.replace("<", "\\u003c")


def page(blocks: dict[str, bytes], locked: str, start: str) -> str:
    """Return the page; its policy allows scripts and styles of page and report, and no request at all."""
    palette = re.search(r":root \{.*?\n\}", (REPORT / "page.css").read_text(encoding="utf-8"), re.DOTALL)
    assert palette
    style = f"{palette[0]}\n{(HERE / 'page.css').read_text(encoding='utf-8')}"
    script = (HERE / "page.js").read_text(encoding="utf-8")
    report_style = (REPORT / "page.css").read_text(encoding="utf-8")
    report_script = '"use strict";\n' + "\n".join((REPORT / name).read_text() for name in REPORT_SCRIPTS)
    policy = (
        f"default-src 'none'; script-src 'wasm-unsafe-eval' blob: {hashed(script)} {hashed(report_script)}; "
        f"worker-src blob:; style-src {hashed(style)} {hashed(report_style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    packed = {name: base64.b64encode(gzip.compress(content, 9, mtime=0)) for name, content in blocks.items()}
    data = "\n".join(
        f'<script type="text/plain" id="{name}">{text.decode()}</script>' for name, text in packed.items()
    )
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        policy=policy,
        style=style,
        script=script,
        blocks=data,
        lock=locked,
        first=start,
        version=version(),
        pyodide=PYODIDE,
    )


def hashed(text: str) -> str:
    """Return the source expression that allows an inline element with this text."""
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def version() -> str:
    """Return the version of vrrpsim that the page runs."""
    found = re.search(r'^__version__ = "(.*)"$', (ROOT / "vrrpsim/__init__.py").read_text(), re.MULTILINE)
    assert found
    return found[1]


if __name__ == "__main__":
    written = build(Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE)
    print(f"{written}: {written.stat().st_size / 1e6:.1f} MB")
