import pytest

from jettison.dockerfile.nodes import Word
from jettison.dockerfile.parser import parse_dockerfile
from jettison.plan.step_names import StepCounter, join_lines, makes_layer, show_expanded, show_run, summarize
from jettison.span import SourceFile, Span

SPAN = Span(source=SourceFile(name="Dockerfile", text="x"), start=0, end=1)


def instruction(text, index=1):
    return parse_dockerfile(SourceFile(name="Dockerfile", text=text)).instructions[index]


def test_counter_numbers_from_one_in_the_width_of_the_total():
    counter = StepCounter(label="build", total=10)
    assert counter.name("RUN a") == "[build  1/10] RUN a"
    assert counter.name("RUN b", is_trigger=True) == "[build  2/10] ONBUILD RUN b"


def test_counter_without_label_has_numbers_alone():
    assert StepCounter(label="", total=3).name("RUN a") == "[1/3] RUN a"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("RUN a && \\\n    b\n", "RUN a &&     b", id="continuation keeps blanks"),
        pytest.param("RUN a \\\n# comment\n\n  # more\n b\n", "RUN a  b", id="comments and blank lines go"),
        pytest.param("  run  a\n", "run  a", id="leading blanks go"),
        pytest.param("RUN a\\\\\n", "RUN a\\\\", id="an escaped escape continues nothing"),
        pytest.param("RUN --network=none a\n", "RUN --network=none a", id="flags stay"),
        pytest.param("RUN <<EOF\na\nEOF\n", "RUN <<EOF", id="heredoc bodies go"),
        pytest.param("RUN a \\\n", "RUN a", id="nothing after the last escape"),
        pytest.param("RUN a \\  \r\n b\r\n", "RUN a  b", id="blanks and carriage returns after the escape"),
    ],
)
def test_joined_line_is_the_instruction_as_written(text, line):
    assert join_lines(instruction("FROM a\n" + text), escape="\\") == line


def test_joined_line_knows_the_other_escape():
    text = "# escape=`\nFROM a\nRUN a `\n b\n"
    assert join_lines(instruction(text), escape="`") == "RUN a  b"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("run echo $A", "RUN echo one"),
        ("RUN echo ${A}", "RUN echo one"),
        ("RUN echo $B ${B} $1 $(x) $", "RUN echo $B ${B} $1 $(x) $"),
        ("RUN echo '$A'", "RUN echo '$A'"),
        ('RUN echo "$A"', 'RUN echo "one"'),
        ("RUN echo \\$A", "RUN echo $A"),
        ('RUN echo "\\$A \\" \\n"', 'RUN echo "$A " \\n"'),
        ("RUN echo ${A:-x} ${E:-x} ${E-x} ${B:-x}", "RUN echo one x  ${B:-x}"),
        ("RUN echo 'open $A", "RUN echo 'open $A"),
        ("RUN it\\'s $A", "RUN it's one"),
        ('RUN "it\'s" $A', 'RUN "it\'s" one'),
    ],
)
def test_run_shows_known_variables(line, shown):
    assert show_run(line, {"A": "one", "E": ""}, escape="\\") == shown


def test_other_lines_show_all_variables_without_quotes():
    word = Word(text="x", span=SPAN)
    assert show_expanded('copy "$A b" $B /', {"A": "a"}, word, escape="\\") == "COPY a b  /"


def test_lines_that_do_not_expand_are_shown_as_written():
    word = Word(text="x", span=SPAN)
    assert show_expanded("COPY 'a /", {}, word, escape="\\") == "COPY 'a /"


def test_summary_is_the_first_line():
    assert summarize("\n  one\n") == "one"
    assert summarize("one\r\ntwo\n") == "one..."


def test_files_directories_and_commands_make_layers():
    text = "FROM a\nRUN x\nCOPY a b\nADD a b\nWORKDIR /\nENV a=1\n"
    assert [makes_layer(instruction(text, index)) for index in range(6)] == [False, True, True, True, True, False]
