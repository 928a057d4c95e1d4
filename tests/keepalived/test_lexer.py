"""The lexical rules LX-1 … LX-18 of keepalived.md §6.1, one by one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrpsim.findings import Place, did_you_mean
from vrrpsim.keepalived.arguments import split_command
from vrrpsim.keepalived.lexer import MAX_FILE_BYTES, Lexer, Statement, Word, flatten


def lex(text: str, *, config_id: str | None = None, seed: int = 0) -> Lexer:
    lexer = Lexer(config_id, seed)
    if lexer.read_text(text, "k.conf", None):
        lexer.finish()
    return lexer


def words(text: str, **kwargs) -> list[str]:
    return [" ".join(word.text for word in row.words) for row in lex(text, **kwargs).rows]


def rules(lexer: Lexer) -> list[str]:
    return [finding.code for finding in lexer.findings]


# --- LX-1 … LX-6: lines, comments, quotes, braces


def test_lx1_blanks_and_carriage_returns_are_stripped():
    assert words("\t state  BACKUP \r\n\r\n") == ["state BACKUP"]


def test_lx1_a_very_long_line_is_reported_and_a_longer_one_dropped():
    assert rules(lex("a " * 600)) == ["VRRP003"]
    dropped = lex("a " * 6000 + "\nb")
    assert rules(dropped) == ["VRRP002"]
    assert len(dropped.rows) == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("priority 150!x", "priority 150"),
        ("auth_pass S3cr!t", "auth_pass S3cr"),
        ("interface eth0 # comment", "interface eth0"),
    ],
)
def test_lx2_comments_begin_anywhere_even_inside_words(line, expected):
    assert words(line) == [expected]


def test_lx2_a_glued_comment_is_marked_and_a_separate_one_is_not():
    assert [row.cut for row in lex("a 150!x\nb 1 !x\nc {# d\n}#").rows] == [True, False, False, False, False]


def test_lx3_quotes_protect_comment_characters_blanks_and_braces():
    row = lex('auth_pass "ab#c!d { e"').rows[0]
    assert row.words[1] == Word("ab#c!d { e", Place("k.conf", 1, 11), True)


def test_lx3_an_unterminated_quote_is_an_error_and_its_word_is_dropped():
    lexer = lex('\nfoo "bar')
    assert [row.words[0].text for row in lexer.rows] == ["foo"]
    assert str(lexer.findings[0]) == "k.conf:2:5: error: VRRP104 unterminated quote"


def test_lx4_an_escaped_comment_character_is_cut_all_the_same():
    row = lex(r"auth_pass ab\#cd").rows[0]
    assert row.words[1].text == "ab"
    assert row.cut


def test_lx4_other_backslashes_are_kept():
    assert words(r"script a\nb") == [r"script a\nb"]


def test_lx5_braces_are_tokens_wherever_they_stand():
    assert words("a { b }") == ["a", "{", "b", "}"]
    assert words("vrrp_instance X{ interface eth0\n.21 }") == [
        "vrrp_instance X", "{", "interface eth0", ".21", "}",
    ]  # fmt: skip


def test_lx5_extra_and_missing_braces_are_errors_with_place():
    assert str(lex("a\n  }").findings[0]) == "k.conf:2:3: error: VRRP101 extra '}' found"
    assert lex("a {\n b {\n c }").findings[0].message == "1 '}' missing at the end of the configuration"


def test_every_word_knows_its_place():
    row = lex('\n  priority   "100"').rows[0]
    assert [str(word.place) for word in row.words] == ["k.conf:2:3", "k.conf:2:14"]


# --- LX-13 … LX-15: definitions


def test_lx13_a_reference_needs_a_delimiter_or_braces():
    text = '$N=20\na $N\nb 192.168.50.$N/24\nc 192.168.50.${N}/24\nd ($N)\ne $N,1\nf "$N"\ng $M'
    assert words(text) == [
        "a 20",
        "b 192.168.50.$N/24",
        "c 192.168.50.20/24",
        "d (20)",
        "e 20,1",
        "f $N",
        "g $M",
    ]


def test_lx13_substitution_is_late_and_recursive_and_redefinition_counts_from_there():
    assert words("$A=${B}x\n$B=1\np $A\n$B=2\np $A") == ["p 1x", "p 2x"]


def test_lx13_no_blank_before_the_equals_sign():
    assert words("$A = 1\np $A") == ["$A = 1", "p $A"]


def test_lx13_substituted_words_keep_the_place_of_the_reference():
    row = lex("$A=x y\np  $A z").rows[0]
    assert [(word.text, word.place.col) for word in row.words] == [("p", 1), ("x", 4), ("y", 4), ("z", 7)]


def test_lx14_multi_line_definitions():
    assert words("$X=abc \\\n  def \\\n  ghi\nfoo $X") == ["foo abc", "def", "ghi"]


def test_lx14_a_reference_must_end_its_line():
    assert rules(lex("$X=a \\\n b\nfoo $X bar")) == ["VRRP017"]


def test_lx14_conditions_and_repetitions_inside_are_evaluated_at_expansion():
    text = "$X=a \\\n@me b \\\n@you c \\\n~SEQ(i, 2) d$i\n$X"
    assert words(text, config_id="me") == ["a", "b", "d1", "d2"]


def test_lx14_nested_definitions():
    assert words("$I=b \\\n c\n$O=a \\\n $I\n$O") == ["a", "b", "c"]


def test_lx15_predefined_names(tmp_path: Path):
    conf = tmp_path / "k.conf"
    conf.write_text('a ${_PWD}\nb ${_INSTANCE}\nc "x${_HASH}y${_BANG}"\nd x${_HASH}y')
    lexer = Lexer("lb1")
    lexer.read_file(conf)
    assert [row.words[1].text for row in lexer.rows] == [str(tmp_path), "lb1", "x#y!", "x"]


def test_lx15_random_is_in_range_and_the_same_for_the_same_seed():
    text = "\n".join(["r ${_RANDOM 3 5}"] * 20 + ["s ${_RANDOM}"])
    assert words(text, seed=1) == words(text, seed=1) != words(text, seed=2)
    assert set(words(text)[:-1]) == {"r 3", "r 4", "r 5"}


# --- LX-16 … LX-18: conditions, repetition, includes


def test_lx16_conditional_lines():
    text = "@lb1 priority 101\n@lb2 priority 100\n@^lb2 x\n@lb1\n@lb1 $A=1\n@lb2 $A=2\np $A"
    assert words(text, config_id="lb1") == ["priority 101", "x", "p 1"]
    assert words(text, config_id="lb2") == ["priority 100", "p 2"]
    assert words("@a x\n@^a y", config_id=None) == ["y"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("~SEQ(i, 3) s$i", ["s1", "s2", "s3"]),
        ("~SEQ(i, 3, 1) s${i}x", ["s3x", "s2x", "s1x"]),
        ("~SEQ(i, 0, 10, 25) s$i", ["s0", "s10", "s20"]),
        ("~SEQ(i, -2) s$i", ["s-1", "s-2"]),
        ("~SEQx(i, 9, 11) s$i", ["s9", "sa", "sb"]),
        ("~SEQ(i, 1, 2) ~SEQ(j, 2) ${i}$j", ["11", "12", "21", "22"]),
        ("~LST(a, x, y) l$a", ["lx", "ly"]),
        ("~LST({a,b}, {1,2}, {3}) l${a}-$b", ["l1-2", "l3-"]),
    ],
)
def test_lx17_repetition(line, expected):
    assert words(line) == expected


@pytest.mark.parametrize("line", ["~SEQ(i, 1, 0, 3) x", "~SEQ(i", "~SEQ(1, 2) x", "~SEQ(i, a) x", "~LST() x"])
def test_lx17_nonsense_is_an_error(line):
    assert rules(lex(line)) == ["VRRP016"]


@pytest.mark.parametrize(
    "bomb",
    [
        "$A=${A}x\nb $A",
        "$A=$A \\\n $A\n$A",
        "~SEQ(i, 999999999) x",
        "~SEQ(i, 9999999) ~SEQ(j, 9999999) @nobody x",
        "\n".join(f"$A{i}=${{A{i + 1}}}${{A{i + 1}}}" for i in range(60)) + "\nb $A0",
    ],
)
def test_expansion_bombs_end_in_one_finding(bomb):
    begin = time.process_time()
    assert rules(lex(bomb)) == ["VRRP002"]
    assert time.process_time() - begin < 30  # and not for ever


def test_lx18_includes_are_relative_to_the_including_file_and_may_nest(tmp_path: Path):
    (tmp_path / "d").mkdir()
    (tmp_path / "k.conf").write_text("$A=1\ninclude d/{a,b}*.conf\nz $B")
    (tmp_path / "d" / "a1.conf").write_text("a $A\ninclude inner.conf")
    (tmp_path / "d" / "b1.conf").write_text("$B=2\nb")
    (tmp_path / "d" / "inner.conf").write_text("i")
    executable = tmp_path / "d" / "a2.conf"
    executable.write_text("never")
    executable.chmod(0o755)
    lexer = Lexer()
    assert lexer.read_file(tmp_path / "k.conf")
    assert [row.words[0].text for row in lexer.rows] == ["a", "i", "b", "z"]
    assert str(lexer.rows[1].words[0].place) == f"{tmp_path}/d/inner.conf:1:1"


@pytest.mark.parametrize(
    ("keyword", "code"), [("include", "VRRP013"), ("includer", "VRRP014"), ("includea", "VRRP014")]
)
def test_lx18_a_missing_file_is_an_error_only_where_asked(tmp_path: Path, keyword, code):
    (tmp_path / "k.conf").write_text(f"{keyword} nothing.conf")
    lexer = Lexer()
    lexer.read_file(tmp_path / "k.conf")
    assert [f.code for f in lexer.findings] == [code]


def test_lx18_a_file_that_includes_itself_is_reported_once(tmp_path: Path):
    (tmp_path / "a.conf").write_text("include b.conf\na")
    (tmp_path / "b.conf").write_text("include *.conf\nb")
    lexer = Lexer()
    lexer.read_file(tmp_path / "a.conf")
    assert [row.words[0].text for row in lexer.rows] == ["b", "a"]
    assert rules(lexer) == ["VRRP015", "VRRP015"]


def test_n35_an_include_behind_a_condition_is_not_processed():
    assert rules(lex("@lb1 include x.conf", config_id="lb1")) == ["VRRP011"]


# --- unusable files


@pytest.mark.parametrize(
    "data", [b"\x00\x01\x02", b"vrrp_instance V {\x00}", b"\x7fELF\xff\xfe", bytes(range(256))]
)
def test_binary_files_give_one_error(tmp_path: Path, data):
    (tmp_path / "k.conf").write_bytes(data)
    lexer = Lexer()
    assert not lexer.read_file(tmp_path / "k.conf")
    assert [finding.severity.value for finding in lexer.findings] == ["error"]


def test_latin_1_comments_are_read(tmp_path: Path):
    (tmp_path / "k.conf").write_bytes("# für alle\nx".encode("latin-1"))
    lexer = Lexer()
    assert lexer.read_file(tmp_path / "k.conf")
    assert len(lexer.rows) == 1


def test_a_huge_file_is_refused_at_once(tmp_path: Path):
    (tmp_path / "k.conf").write_bytes(b"a b c\n" * (10 * MAX_FILE_BYTES // 6))
    begin = time.process_time()
    lexer = Lexer()
    assert not lexer.read_file(tmp_path / "k.conf")
    assert len(lexer.findings) == 1
    assert time.process_time() - begin < 2


def test_a_directory_and_a_missing_file_are_errors(tmp_path: Path):
    assert not Lexer().read_file(tmp_path)
    assert not Lexer().read_file(tmp_path / "nothing")


# --- LX-19 and statements


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a "b c" d', ["a", "b c", "d"]),
        ("a 'b \"c\"' d", ["a", 'b "c"', "d"]),
        ("ab\" c d\"'e f'", ["ab c de f"]),
        (r"a\x41\102\n\cA\q", ["aAB\n\x01q"]),
        (r"a\ b \"c", ["a b", '"c']),
        ("a ''", ["a", ""]),
    ],
)
def test_lx19_script_strings(text, expected):
    assert split_command(text) == expected


def test_statements_give_the_rows_of_the_same_text():
    place = Place("s.yaml", 3, 5)
    inner = Statement((Word("script", place), Word("pkill -0 x", place)))
    rows, findings = flatten([Statement((Word("vrrp_script", place), Word("c", place)), (inner,))])
    assert not findings
    assert [[word.text for word in row.words] for row in rows] == [
        ["vrrp_script", "c"], ["{"], ["script", "pkill -0 x"], ["}"],
    ]  # fmt: skip
    assert [row.brace for row in rows] == ["", "{", "", "}"]


def test_did_you_mean():
    assert did_you_mean("prioity", ["priority", "state"]) == "; did you mean 'priority'?"
    assert did_you_mean("zzz", ["priority"]) == ""


@given(st.text(alphabet=st.sampled_from("ab{}\"'#!\\$@~()=,_ \n\t1SEQLST^"), max_size=200))
def test_no_text_makes_the_lexer_raise(text):
    lex(text, config_id="a")


@pytest.mark.parametrize("text", ["$IF=${IF}\n${IF}\n", "$A=${B}\n$B=${A}\nx ${A}\n"])
def test_a10_lx13_a_definition_that_brings_itself_ends_at_once(text):
    begin = time.process_time()
    assert any("refers to itself" in finding.message for finding in lex(text).findings)
    assert time.process_time() - begin < 0.5


def test_a10_lx18_the_bytes_of_all_includes_are_bounded(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("vrrpsim.keepalived.lexer.MAX_INCLUDED_BYTES", 1000)
    (tmp_path / "more.conf").write_text("a\n" * 100)
    (tmp_path / "k.conf").write_text("include more.conf\n" * 900)
    lexer = Lexer()
    lexer.read_file(tmp_path / "k.conf")
    assert any("more than 1000 bytes of included files" in finding.message for finding in lexer.findings)
    assert len(lexer.rows) == 500
