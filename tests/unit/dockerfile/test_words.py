"""Expansion: every form, both escape characters, errors with the very characters at fault."""

from __future__ import annotations

import pytest

from jettison.dockerfile.nodes import Word
from jettison.dockerfile.words import expand, expand_heredoc
from jettison.errors import DockerfileError
from jettison.limits import DEFAULT_LIMITS
from jettison.span import SourceFile, Span

VARIABLES = {
    "A": "one",
    "EMPTY": "",
    "PATHS": "/usr/local/bin/tool.tar.gz",
    "TWO": "80 443",
    "DOTS": "a.b.c",
    "STARS": "a*b?c\\d",
    "_x9": "under",
    "größe": "groß",
    "MULTI": "l1\nl2",
    "COST": "$A",
}


def a_word(text: str) -> Word:
    return Word(text=text, span=Span(source=SourceFile(name="t", text=text), start=0, end=len(text)))


def value(text: str, *, escape: str = "\\") -> str:
    return expand(a_word(text), VARIABLES, escape=escape).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param("$A", "one", id="bare"),
        pytest.param("x${A}y", "xoney", id="braced"),
        pytest.param("$A.b", "one.b", id="name ends at a dot"),
        pytest.param("$_x9-", "under-", id="underscore and digits"),
        pytest.param("$größe", "groß", id="letters of any script"),
        pytest.param("${NONE}", "", id="unset is empty"),
        pytest.param("$", "$", id="lone dollar"),
        pytest.param("a$ b$", "a$ b$", id="dollar before blank"),
        pytest.param("$/x", "$/x", id="dollar before slash"),
        pytest.param("$COST", "$A", id="values are not expanded again"),
        pytest.param("${NONE:-d}", "d", id="default when unset"),
        pytest.param("${EMPTY:-d}", "d", id="default when empty"),
        pytest.param("${EMPTY-d}", "", id="no colon keeps empty"),
        pytest.param("${NONE-d}", "d", id="no colon default"),
        pytest.param("${A:-d}", "one", id="default unused"),
        pytest.param("${A:+d}", "d", id="alternative when set"),
        pytest.param("${EMPTY:+d}", "", id="alternative when empty"),
        pytest.param("${EMPTY+d}", "d", id="alternative when set but empty"),
        pytest.param("${NONE+d}", "", id="alternative when unset"),
        pytest.param("${A:?needed}", "one", id="required and there"),
        pytest.param("${EMPTY?needed}", "", id="required may be empty"),
        pytest.param("${NONE:-${A}}", "one", id="nested"),
        pytest.param("${NONE:-${NIL:-$A}}!", "one!", id="nested twice"),
        pytest.param("${NONE:-a b}", "a b", id="blank in the word"),
        pytest.param("${NONE:-'}'}", "}", id="quoted brace"),
        pytest.param('${NONE:-"}$A"}', "}one", id="double-quoted brace"),
        pytest.param("${NONE:-\\}}", "}", id="escaped brace"),
        pytest.param("${NONE:-}", "", id="empty word"),
        pytest.param("'$A'", "$A", id="single quotes"),
        pytest.param("'a\\'", "a\\", id="nothing escapes in single quotes"),
        pytest.param('"$A b"', "one b", id="double quotes"),
        pytest.param('"\\$A \\" \\\\ \\n"', '$A " \\ \\n', id="escapes in double quotes"),
        pytest.param("\\$A", "$A", id="escaped dollar"),
        pytest.param("a\\ b\\n", "a bn", id="escape keeps any character"),
        pytest.param("a\\", "a", id="escape at the end"),
        pytest.param("a''b\"\"", "ab", id="empty quotes"),
        pytest.param("$1$@$*$#$?$-$!$0x$12", "x", id="special names are empty"),
        pytest.param("$$", "", id="the name dollar"),
        pytest.param("${#}${?:-q}${12}", "q", id="special names in braces"),
    ],
)
def test_expand(text: str, expected: str) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("${PATHS#*/}", "usr/local/bin/tool.tar.gz", id="shortest prefix"),
        pytest.param("${PATHS##*/}", "tool.tar.gz", id="longest prefix"),
        pytest.param("${PATHS%.*}", "/usr/local/bin/tool.tar", id="shortest suffix"),
        pytest.param("${PATHS%%.*}", "/usr/local/bin/tool", id="longest suffix"),
        pytest.param("${PATHS#nothing}", "/usr/local/bin/tool.tar.gz", id="no match"),
        pytest.param("${PATHS%}", "/usr/local/bin/tool.tar.gz", id="empty pattern"),
        pytest.param("${DOTS#?.}", "b.c", id="question mark"),
        pytest.param("${DOTS%%?}", "a.b.", id="question mark at the end"),
        pytest.param("${STARS#a\\*}", "b?c\\d", id="escaped star"),
        pytest.param("${STARS#*\\?}", "c\\d", id="escaped question mark"),
        pytest.param("${STARS##*\\\\}", "d", id="escaped backslash"),
        pytest.param("${STARS%\\\\d}", "a*b?c", id="escaped backslash in a suffix"),
        pytest.param("${NONE#x}", "", id="unset"),
        pytest.param("${A#$A}", "", id="variable in the pattern"),
        pytest.param("${A#'o'}", "ne", id="quotes in the pattern"),
        pytest.param('${STARS#"a\\*"}', "a*b?c\\d", id="a backslash in double quotes is itself"),
        pytest.param("${MULTI#*2}", "l1\nl2", id="star stays on its line"),
        pytest.param("${MULTI#l?\n}", "l2", id="line end as text"),
        pytest.param("${DOTS/./-}", "a-b.c", id="first"),
        pytest.param("${DOTS//./-}", "a-b-c", id="all"),
        pytest.param("${DOTS//[.]/-}", "a.b.c", id="no classes"),
        pytest.param("${PATHS//\\//:}", ":usr:local:bin:tool.tar.gz", id="escaped slash"),
        pytest.param("${DOTS//./\\/}", "a\\/b\\/c", id="the replacement keeps its backslash"),
        pytest.param("${DOTS/.*./X}", "aXc", id="longest match"),
        pytest.param("${DOTS/x/y}", "a.b.c", id="no match to replace"),
        pytest.param("${DOTS//./}", "abc", id="removed"),
        pytest.param("${DOTS///-}", "-a-.-b-.-c-", id="empty pattern matches between characters"),
        pytest.param("${DOTS//*/X}", "X", id="star takes all once"),
        pytest.param("${DOTS//./$A}", "aonebonec", id="variable in the replacement"),
        pytest.param("${DOTS//./'<$0>'}", "a<.>b<.>c", id="match in the replacement of all"),
        pytest.param("${DOTS//./'$$${0}$1${x}$.'}", "a$.$.b$.$.c", id="template of all"),
        pytest.param("${DOTS/./'$0'}", "a$0b.c", id="no template in the replacement of one"),
        pytest.param("${NONE/a/b}", "", id="unset to replace"),
    ],
)
def test_expand_patterns(text: str, expected: str) -> None:
    assert value(text) == expected


def test_backtick_escapes_and_backslash_does_not() -> None:
    assert value('c:\\dir\\$A`$A`` `"', escape="`") == 'c:\\dir\\one$A` "'
    assert value('"`$A \\$A `x"', escape="`") == "$A \\one `x"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a", ("a",)),
        ("", ()),
        ("$TWO", ("80", "443")),
        ('"$TWO"', ("80 443",)),
        ("x$TWO/y", ("x80", "443/y")),
        ("$EMPTY", ()),
        ('""', ()),
        ("a\\ b c", ("a b", "c")),
        (" a  b ", ("a", "b")),
        ("a\u00a0b\x1cc", ("a", "b\x1cc")),
    ],
)
def test_words_split_at_unquoted_blanks(text: str, words: tuple[str, ...]) -> None:
    assert expand(a_word(text), VARIABLES).words == words


def test_looked_up_names_are_told() -> None:
    expansion = expand(a_word("$A ${NONE:-$NIL} $NONE ${A+x} '$Q'"), VARIABLES)
    assert expansion.undefined == ("NIL", "NONE")
    assert expansion.defined == ("A",)


def test_heredoc_keeps_quotes_and_unescapes_with_backslash() -> None:
    span = Span(source=SourceFile(name="t", text="x"), start=0, end=1)
    expansion = expand_heredoc('\'$A\' "${NONE:-"}" \\$A \\n `$A\n', VARIABLES, span=span)
    assert expansion.text == '\'one\' """ $A n `one\n'
    assert expansion.undefined == ("NONE",)


@pytest.mark.parametrize(
    ("text", "slug", "shown"),
    [
        pytest.param("a'b", "unclosed-quote", "'b", id="single quote"),
        pytest.param('a"b$A', "unclosed-quote", '"b$A', id="double quote"),
        pytest.param('"b\\', "unclosed-quote", '"b\\', id="double quote with escape at the end"),
        pytest.param("x${", "unclosed-brace", "${", id="nothing in braces"),
        pytest.param("x${A", "unclosed-brace", "${A", id="no brace"),
        pytest.param("x${A:-b", "unclosed-brace", "${A:-b", id="no brace after a word"),
        pytest.param("x${A:", "unclosed-brace", "${A:", id="colon at the end"),
        pytest.param("${A/b/c", "unclosed-brace", "${A/b/c", id="no brace after a replacement"),
        pytest.param("${A:-${B}", "unclosed-brace", "${A:-${B}", id="outer brace"),
        pytest.param("x${}y", "bad-substitution", "${}", id="empty braces"),
        pytest.param("${{A}}", "bad-substitution", "${{A}", id="two braces"),
        pytest.param("${:-x}", "bad-substitution", "${:-x}", id="colon first"),
        pytest.param("${+x", "bad-substitution", "${+x", id="no name"),
        pytest.param("a${A:0:3}", "unsupported-modifier", "${A:0", id="substring"),
        pytest.param("a${A=b}", "unsupported-modifier", "${A=", id="assignment"),
        pytest.param("a${A:#b}", "unsupported-modifier", "${A:#", id="colon and hash"),
        pytest.param("a${A^^}", "unsupported-modifier", "${A^", id="upper case"),
        pytest.param("a${A/b}", "unclosed-pattern", "${A/b}", id="no second slash"),
        pytest.param("a${A/${}/x}", "bad-substitution", "${}", id="fault inside a pattern"),
        pytest.param("a${A#\\x}", "invalid-pattern", "\\x", id="escape of an ordinary character"),
        pytest.param("a${A//\\x/y}", "invalid-pattern", "\\x/y", id="escape in a replacement's pattern"),
        pytest.param("a${NONE:?}", "variable-required", "${NONE:?}", id="required"),
        pytest.param("a${NONE?why $A}b", "variable-required", "${NONE?why $A}", id="required with a reason"),
        pytest.param("a${EMPTY:?}", "variable-required", "${EMPTY:?}", id="required and empty"),
    ],
)
def test_expand_refuses(text: str, slug: str, shown: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        value(text)
    assert (caught.value.slug, caught.value.span.text if caught.value.span else None) == (slug, shown)
    assert caught.value.hint


def test_required_variable_says_why() -> None:
    with pytest.raises(DockerfileError, match=r"^variable 'NONE' must be set: give one$"):
        value("${NONE:?give one}")
    with pytest.raises(DockerfileError, match=r"^variable 'EMPTY' must not be empty$"):
        value("${EMPTY:?}")


def test_error_shows_whole_word_when_it_was_rewritten() -> None:
    source = SourceFile(name="t", text="--chown='$'{")
    word = Word(text="${", span=Span(source=source, start=8, end=12))
    with pytest.raises(DockerfileError) as caught:
        expand(word, {})
    assert caught.value.span == word.span


@pytest.mark.parametrize("text", ["$BIG", '"$BIG"', "${X//x/$BIG}", "'" + "y" * DEFAULT_LIMITS.expansion_chars + "'"])
def test_expansion_is_bounded(text: str) -> None:
    bound = DEFAULT_LIMITS.expansion_chars
    variables = {"BIG": "x" * (bound + 1), "X": "x"}
    if "BIG" not in text:
        assert len(expand(a_word(text), {}).text) == bound
        text += "z"
    with pytest.raises(DockerfileError) as caught:
        expand(a_word(text), variables)
    assert caught.value.slug == "expansion-too-large"


def test_plain_word_is_bounded() -> None:
    bound = DEFAULT_LIMITS.expansion_chars
    assert expand(a_word("x" * bound), {}).words
    with pytest.raises(DockerfileError):
        expand(a_word("x" * (bound + 1)), {})


def test_nesting_is_bounded() -> None:
    depth = DEFAULT_LIMITS.expansion_depth
    assert value("${N:-" * depth + "x" + "}" * depth) == "x"
    with pytest.raises(DockerfileError) as caught:
        value("${N:-" * (depth + 1) + "x" + "}" * (depth + 1))
    assert caught.value.slug == "expansion-too-deep"
