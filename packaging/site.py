"""Build the site: `python packaging/site.py [OUT]`.

It is docs/ and what is made for it: gallery, pictures, the playground. Warnings are errors. Without node
and npm the playground's page only says how it is built.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MEASURED = re.compile(r"^> `vrrpsim run scenarios/([\w.-]+)\.yaml`", re.MULTILINE)
SCENARIO = re.compile(r"\]\(\.\./scenarios/([^)/]+)\.yaml\)")
sys.path.insert(0, str(ROOT / "playground"))


def build(out: Path) -> Path:
    """Write the site; return the folder."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "docs"
        shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns("_build", "__pycache__"))
        gallery(source)
        rules(source)
        for file in source.glob("*.md"):  # in the repository the scenarios themselves are linked
            text = file.read_text(encoding="utf-8")
            text = MEASURED.sub(r"\g<0> <a href='playground.html#example=\1'>in the playground</a>", text)
            file.write_text(SCENARIO.sub(_in_gallery, text), encoding="utf-8")
        page(source / "page" / "playground.html")
        conf = source / "conf.py"
        conf.write_text(conf.read_text(encoding="utf-8") + "html_extra_path = ['page']\n", encoding="utf-8")
        sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
        subprocess.run([*sphinx, str(source), str(out)], check=True)
    return out


def _in_gallery(link: re.Match[str]) -> str:
    return f"](gallery.md#{re.sub('[^a-z0-9-]', '', link[1])})"


def gallery(source: Path) -> None:
    """Write gallery.md: every example with its lesson's sentence, its verdict and its picture."""
    import vrrpsim
    from vrrpsim import examples
    from vrrpsim.report.style import render
    from vrrpsim.report.text import verdict_line

    pictures = source / "gallery"
    pictures.mkdir()
    parts = [(source / "gallery.md").read_text(encoding="utf-8")]
    for name in examples.names():
        if "/" in name:
            continue
        run = vrrpsim.load(name).run()
        (pictures / f"{name}.svg").write_bytes(render(run.plot(), "svg"))
        parts.append(
            f"## {name}\n\n{examples.description(name)} *{verdict_line(run.result)}.*\n\n"
            f"`vrrpsim run {name}` · <a href='playground.html#example={name}'>in the playground</a>\n\n"
            f":::{{image}} gallery/{name}.svg\n:alt: {examples.description(name)}\n:loading: lazy\n:::\n"
        )
    (source / "gallery.md").write_text("\n".join(parts), encoding="utf-8")


def rules(source: Path) -> None:
    """Write a page for each rule of `check`, and lead there from their list."""
    from vrrpsim.rules import RULES
    from vrrpsim.rules.page import page as page_of

    (source / "rules").mkdir()
    for code, rule in RULES.items():
        text = "---\norphan: true\n---\n" + page_of(rule)  # in every sidebar they would be half of the work
        (source / "rules" / f"{code}.md").write_text(text, encoding="utf-8")
    text = (source / "rules.md").read_text(encoding="utf-8")
    text = re.sub(r"^\| (VRRP\d{3}) \|", r"| [\1](rules/\1.md) |", text, flags=re.MULTILINE)
    (source / "rules.md").write_text(text, encoding="utf-8")


def page(out: Path) -> None:
    """Put the playground beside the site."""
    out.parent.mkdir()
    if shutil.which("node") and shutil.which("npm"):
        import build as playground

        playground.build(out)
    else:
        out.write_text(
            "<!doctype html><title>vrrpsim</title><p>python playground/build.py needs node and npm."
        )


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/_build"))
