"""`--fix` mends what is certain and nothing else, and a file is whole at every instant."""

import stat
from collections import Counter

import pytest
from checking.conf_files import CLEAN, TYPO, block, codes, instance, script, write
from hypothesis import given, settings
from hypothesis import strategies as st

import vrrpsim
from vrrpsim.checking.fixes import fixed_files
from vrrpsim.checking.inputs import Texts
from vrrpsim.cli import main
from vrrpsim.keepalived.compiler import compile_text
from vrrpsim.protocol.dialect import DEFAULT_DIALECT
from vrrpsim.rules import RULES

CHECKED = block("track_script", "chk")


def password(word):
    return instance("version 2", block("authentication", "auth_type PASS", f"auth_pass {word}"))


@pytest.fixture
def fixed(tmp_path, monkeypatch):
    """Run `check --fix` on a text: (exit code, the text then)."""
    monkeypatch.chdir(tmp_path)

    def fixed(text, *options):
        (tmp_path / "a.conf").write_text(text, encoding="utf-8", newline="")
        code = main(["check", "--fix", "-q", *options, "a.conf"])
        return code, (tmp_path / "a.conf").read_bytes().decode("utf-8")

    return fixed


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES.values() if rule.fixable], ids=lambda rule: rule.code
)
def test_what_a_rule_says_is_mended_is_mended(fixed, rule):
    _, text = fixed(rule.bad)
    assert rule.code not in [finding.code for finding in compile_text(text).findings]
    assert compile_text(text).config == compile_text(rule.good).config


@pytest.mark.parametrize(
    ("written", "mended"),
    [
        ("k@l!ve", '"k@l!ve"'),
        ("pass#1", '"pass#1"'),
        ("123456789", "12345678"),
        ('"123456789"', '"12345678"'),
        ("abc!defgh", '"abc!defg"'),  # both mends
        ("12345678 # eight", "12345678 # eight"),
        ("1234 # the old one", "1234 # the old one"),
        ("1234#the old one", "1234#the old one"),  # a comment, most likely
        ("ünïcödé99", "ünïcödé99"),  # where would it be cut?
    ],
)
def test_a_password_is_quoted_or_cut_where_that_is_certain(fixed, written, mended):
    _, text = fixed(password(written))
    assert text == password(mended)


def test_a_definition_moves_above_its_use_with_its_comments(fixed):
    text = (
        f"# nodes\n{instance(CHECKED)}\n# is it there?\n{script('chk', 'weight -20')}\n\n{script('other')}\n"
    )
    _, new = fixed(text)
    assert new.startswith("# is it there?\nvrrp_script chk {\n")
    [track] = compile_text(new).config.instances[0].track_scripts
    assert (track.name, track.weight) == ("chk", -20)
    assert sorted(new.split()) == sorted(text.split())


@pytest.mark.parametrize(
    "text",
    [
        instance(CHECKED),  # defined nowhere
        f"{instance(CHECKED)}@lb1 {script()}\n",  # only for one node
        f"{instance(CHECKED)}{script()} {script('more')}\n",  # two blocks on one line
        f"{instance(CHECKED)}{script()}\n{script(command='/bin/false')}\n",  # which of them?
        f"{instance(CHECKED)}{script('chk', 'foo')}\n" + TYPO.replace("VI_1", "chk"),
    ],
)
def test_what_is_not_certain_is_left_alone(fixed, text):
    before = codes_of(text)
    _, new = fixed(text)
    assert new == text or codes_of(new) <= before


def codes_of(text):
    return {finding.code for finding in compile_text(text).findings}


PIECES = st.sampled_from(
    [
        instance(CHECKED),
        instance(CHECKED, name="VI_2"),
        script(),
        script("chk", "weight $W"),
        "$W=-20",
        "$W=-30",
        f"@lb1 {script()}",
        "# a comment",
        "! another\n",
        "vrrp_script chk { # of HAProxy\nscript /bin/true\n}",
        "vrrp_script chk\n{\nscript /bin/true\n}",
        "vrrp_script chk {\nscript /bin/true }",
        "}",
        "global_defs {",
        "vrrp_sync_group G {\n group {\n VI_1\n }\n}",
        password("k@l!ve"),
        password('"123456789"'),
        password("$W!x"),
        '"',
        "include more.conf",
        "\ufeff",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=7).map("\n".join))
def test_a_mend_changes_what_its_finding_is_about_and_nothing_else(text):
    texts = Texts({"a.conf": text})
    before = compile_text(text, file="a.conf")
    fixed = fixed_files(before.findings, texts, DEFAULT_DIALECT, None)
    for each in fixed.values():
        after = compile_text(each.new, file="a.conf")
        old, new = (Counter(one.code for one in done.findings) for done in (before, after))
        if not text.startswith("\ufeff"):
            assert not (new - old).keys() - {"VRRP311"}
            assert len(after.rows) == len(before.rows)
        assert (before.fatal, before.scripts) == (after.fatal, after.scripts) or text.startswith("\ufeff")


def test_a_definition_does_not_move_above_a_value_it_uses(fixed):
    text = f"{instance(CHECKED)}$W=-20\n{script('chk', 'weight $W')}\n"
    assert fixed(text)[1] == text


def test_a_text_in_another_encoding_is_left_alone(tmp_path):
    (tmp_path / "a.conf").write_bytes(password("123456789 # für").encode("latin-1"))
    main(["check", "--fix", str(tmp_path / "a.conf")])
    assert (tmp_path / "a.conf").read_bytes() == password("123456789 # für").encode("latin-1")


def test_line_ends_permissions_and_links_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real.conf").write_bytes(password("123456789").replace("\n", "\r\n").encode())
    (tmp_path / "real.conf").chmod(0o640)
    (tmp_path / "a.conf").symlink_to("real.conf")
    main(["check", "--fix", "a.conf"])
    assert (tmp_path / "real.conf").read_bytes() == password("12345678").replace("\n", "\r\n").encode()
    assert stat.S_IMODE((tmp_path / "real.conf").stat().st_mode) == 0o640
    assert (tmp_path / "a.conf").is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"a.conf", "real.conf"}


def test_an_ignored_finding_is_not_mended(fixed):
    assert fixed(password("123456789"), "--ignore", "VRRP311")[1] == password("123456789")


def test_an_included_file_is_mended_where_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "part.inc").write_text(password("123456789"))
    (tmp_path / "a.conf").write_text("include part.inc\n")
    main(["check", "--fix", "a.conf"])
    assert (tmp_path / "part.inc").read_text() == password("12345678")


def test_diff_shows_what_would_change_and_no_password(tmp_path, capsys):
    [a, b] = write(tmp_path, a=password("k@l!ve99x"), b=CLEAN)
    assert main(["check", "--diff", str(a), str(b)]) == 1
    shown = capsys.readouterr().out
    assert a.read_text() == password("k@l!ve99x")
    assert '-        auth_pass *********\n+        auth_pass "********"\n' in shown
    assert "k@l" not in shown
    assert main(["check", "--diff", str(b)]) == 0


def test_after_a_mend_nothing_is_left_to_mend(tmp_path):
    files = write(tmp_path, **{rule.code: rule.bad for rule in RULES.values() if rule.fixable})
    main(["check", "--fix", *map(str, files)])
    mended = [path.read_text() for path in files]
    main(["check", "--fix", *map(str, files)])
    assert mended == [path.read_text() for path in files]
    left = {code for path in files for code in codes(vrrpsim.check(path)) if RULES[code].fixable}
    assert left == set()
