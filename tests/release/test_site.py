"""The site builds without a warning, its links lead somewhere, its commands run with just the wheel."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from installed import ROOT

pytest.importorskip("sphinx")
pytest.importorskip("furo")
pytest.importorskip("myst_parser")
PAGES = sorted(
    [ROOT / "docs/index.md", *(ROOT / "docs/tutorial").glob("*.md"), *(ROOT / "docs/howto").glob("*.md")]
)


def blocks(page, language):
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh")], ids=lambda page: page.stem)
def test_its_commands_run_one_after_the_other(beginner, page):
    beginner("rm -rf ./*")
    beginner("set -e\n" + "\n".join(blocks(page, "sh")))


def test_its_python_runs(beginner):
    for number, code in enumerate(blocks(ROOT / "docs/howto/jupyter.md", "python")):
        beginner(f"cat > {number}.py <<'END'\n{code}END\npython {number}.py")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, str(ROOT / "packaging/site.py"), str(out)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out


class Links(HTMLParser):
    """What a page links to, and where it can be linked to."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.places = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places |= {found.get("id"), found.get("name")}
        self.targets += [found[name] for name in ("href", "src") if found.get(name)]


def test_every_link_inside_leads_to_a_page_and_a_place(site):
    pages = {path: Links(path.read_text()) for path in site.rglob("*.html") if path.name != "playground.html"}
    assert len(pages) > 20
    for path, links in pages.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert file.exists(), f"{path.relative_to(site)}: {target}"
            if parts.fragment and file in pages:
                assert unquote(parts.fragment) in pages[file].places, f"{path.relative_to(site)}: {target}"


def test_no_sentence_stands_in_two_places():
    seen: dict[str, Path] = {}
    pages = [ROOT / "README.md", *(path for path in (ROOT / "docs").rglob("*.md") if path.name != "cli.md")]
    for path in pages:
        text = re.sub(
            r"```.*?```|^[>|#].*?$|<!--.*?-->", "", path.read_text(), flags=re.DOTALL | re.MULTILINE
        )
        for sentence in re.split(r"(?<=[.!?])\s+|\n\n", text):
            words = " ".join(sentence.split())
            if len(words) > 60:
                assert words not in seen, f"{path} and {seen[words]}: {words}"
                seen[words] = path
