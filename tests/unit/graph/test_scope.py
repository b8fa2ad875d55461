from jettison.dockerfile.nodes import Arg, Pair, Word
from jettison.graph.scope import Platforms, Scope, builtin_arguments, global_scope, proxy_variables
from jettison.platform import Platform
from jettison.span import SourceFile, Span

SPAN = Span(source=SourceFile(name="Dockerfile", text="ARG"), start=0, end=3)
PLATFORMS = Platforms(
    target=Platform(os="linux", architecture="arm", variant="v7"), build=Platform(os="linux", architecture="amd64")
)


def arg(*pairs):
    def word(text):
        return None if text is None else Word(text=text, span=SPAN)

    return Arg(
        span=SPAN,
        keyword="ARG",
        keyword_span=SPAN,
        pairs=tuple(Pair(key=word(key), value=word(value), span=SPAN) for key, value in pairs),
    )


def scope(**build_args):
    return Scope(globals={"G": "global", "TARGETVARIANT": ""}, build_args=build_args)


def test_builtins_describe_both_platforms():
    assert builtin_arguments(PLATFORMS, "web", {}) == {
        "BUILDPLATFORM": "linux/amd64",
        "BUILDOS": "linux",
        "BUILDOSVERSION": "",
        "BUILDARCH": "amd64",
        "BUILDVARIANT": "",
        "TARGETPLATFORM": "linux/arm/v7",
        "TARGETOS": "linux",
        "TARGETOSVERSION": "",
        "TARGETARCH": "arm",
        "TARGETVARIANT": "v7",
        "TARGETSTAGE": "web",
    }


def test_build_arg_overrides_a_builtin():
    assert builtin_arguments(PLATFORMS, "", {"TARGETARCH": "mine"})["TARGETARCH"] == "mine"


def test_target_stage_without_name_is_default():
    assert builtin_arguments(PLATFORMS, "", {})["TARGETSTAGE"] == "default"


def test_global_args_see_those_before_them():
    values, undefined = global_scope([arg(("a", "1"), ("b", "$a$os"))], {"os": "linux"}, {}, escape="\\")
    assert values == {"os": "linux", "a": "1", "b": "1linux"}
    assert undefined == ()


def test_global_arg_without_value_stays_unset():
    values, _ = global_scope([arg(("a", None))], {}, {}, escape="\\")
    assert values == {}


def test_build_arg_fills_a_declared_global_only():
    values, _ = global_scope([arg(("a", "$nope"))], {}, {"a": "2", "b": "3"}, escape="\\")
    assert values == {"a": "2"}


def test_global_use_of_undefined_variable_is_told():
    _, undefined = global_scope([arg(("a", "$nope"))], {}, {}, escape="\\")
    assert [(word.text, name) for word, name in undefined] == [("$nope", "nope")]


def test_build_arg_wins_over_default_and_global():
    assert scope(G="given").with_arg("G", "default").declared == (("G", "given"),)
    assert scope().with_arg("G", "default").declared == (("G", "default"),)
    assert scope().with_arg("G", None).declared == (("G", "global"),)


def test_arg_without_any_value_stays_unset():
    after = scope().with_variables([("X", "env")]).with_arg("X", None)
    assert after.variables == {"X": "env"}
    assert after.declared == (("X", None),)


def test_empty_values_are_set():
    assert scope().with_arg("X", "").variables == {"X": ""}
    assert scope().with_arg("TARGETVARIANT", None).variables == {"TARGETVARIANT": ""}


def test_arg_after_env_hides_it_and_moves_to_the_end():
    after = scope().with_variables([("X", "env")]).with_variables([("Y", "1")]).with_arg("X", "arg")
    assert tuple(after.variables.items()) == (("Y", "1"), ("X", "arg"))


def test_config_env_is_applied_again_in_a_child():
    parent = scope().with_variables([("X", "env")]).with_arg("X", "arg").with_arg("A", "1")
    child = parent.with_variables([("X", "env")])
    assert tuple(child.variables.items()) == (("A", "1"), ("X", "env"))


def test_last_value_of_a_name_counts_and_stands_where_it_was_set():
    after = scope().with_variables([("A", "1"), ("B", "2"), ("A", "3")])
    assert tuple(after.variables.items()) == (("B", "2"), ("A", "3"))


def test_control_arguments_never_become_variables():
    after = scope(BUILDKIT_SBOM_SCAN_STAGE="true").with_arg("BUILDKIT_SBOM_SCAN_STAGE", None)
    assert after.variables == {}
    assert after.history_arguments == (("BUILDKIT_SBOM_SCAN_STAGE", "true"),)


def test_history_shows_each_argument_once_with_the_value_in_effect():
    after = scope().with_arg("A", "1").with_arg("B", None).with_arg("A", "2").with_variables([("A", "3")])
    assert after.history_arguments == (("A", "3"), ("B", ""))


def test_proxies_come_in_both_spellings():
    assert proxy_variables({"http_proxy": "p", "NO_PROXY": "n", "OTHER": "x"}) == (
        ("HTTP_PROXY", "p"),
        ("NO_PROXY", "n"),
        ("http_proxy", "p"),
        ("no_proxy", "n"),
    )
