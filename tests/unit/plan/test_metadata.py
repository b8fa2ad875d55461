import pytest
from tests.fakes.plans import PATH, an_image, plan_of

from jettison.errors import DockerfileError
from jettison.oci.config import HealthcheckConfig

BASE = an_image(
    "base",
    env=(f"PATH={PATH}", "A=base"),
    cmd=("base-cmd",),
    entrypoint=("base-entry",),
    user="me",
    labels=(("l", "base"),),
    exposed_ports=("80/tcp",),
    volumes=("/v",),
    stop_signal="SIGINT",
    healthcheck=HealthcheckConfig(test=("CMD", "x")),
    shell=("/bin/bash", "-c"),
    working_dir="/w",
)


def config_of(text, *, base="base"):
    return plan_of(f"FROM {base}\n{text}\n", BASE).config.config


def history_of(text):
    return [line.created_by for line in plan_of(f"FROM a\n{text}\n").history]


def refusal(text):
    with pytest.raises(DockerfileError) as found:
        plan_of(f"FROM a\n{text}\n")
    return found.value


def test_everything_is_inherited():
    assert config_of("") == BASE.config.config


def test_env_replaces_in_place_and_appends():
    assert config_of("ENV A=new B=2").env == (f"PATH={PATH}", "A=new", "B=2")


def test_env_sees_the_values_before_the_instruction():
    config = config_of("ENV A=1 B=$A\nENV C=$A")
    assert config.env[1:] == ("A=1", "B=base", "C=1")


def test_env_expands_names():
    assert config_of("ENV n=X\nENV $n=1").env[-1] == "X=1"


def test_env_history_shows_expanded_pairs():
    assert history_of("ENV A=1 B='2 3'") == ["ENV A=1 B=2 3"]


@pytest.mark.parametrize("text", ["ENV $nothing=1", "LABEL $nothing=1", "ARG $nothing=1"])
def test_blank_names_are_refused(text):
    error = refusal(text)
    assert (error.slug, error.message) == ("blank-name", "a name is blank: '$nothing'")


def test_arg_history_shows_the_value_in_effect():
    plan = plan_of(
        "ARG G=global\nFROM a\nARG G\nARG D=def O=def\nARG U\nARG E=\n", build_args={"O": "given", "HTTP_PROXY": "p"}
    )
    assert [line.created_by for line in plan.history] == ["ARG G=global", "ARG D=def O=given", "ARG U", "ARG E="]


def test_arg_sees_those_before_it_in_its_own_instruction():
    assert history_of("ARG a=1 b=$a") == ["ARG a=1 b=1"]


def test_default_is_not_expanded_when_a_build_argument_is_given():
    plan = plan_of("FROM a\nARG x=${y?needed}\n", build_args={"x": "1"})
    assert plan.history[0].created_by == "ARG x=1"


def test_args_never_reach_the_config():
    assert config_of("ARG A=arg").env == BASE.config.config.env


def test_cmd_shell_form_takes_the_shell():
    config = config_of("CMD run it")
    assert config.cmd == ("/bin/bash", "-c", "run it")
    assert config.is_args_escaped is True
    assert history_of("CMD run it") == ['CMD ["/bin/sh" "-c" "run it"]']


def test_cmd_exec_form_is_taken_as_it_is():
    assert config_of('CMD ["a", "b c"]').cmd == ("a", "b c")
    assert config_of("CMD []").cmd == ()
    assert history_of('CMD ["a", "b c"]') == ['CMD ["a" "b c"]']


def test_entrypoint_clears_an_inherited_cmd():
    config = config_of('ENTRYPOINT ["e"]')
    assert (config.entrypoint, config.cmd) == (("e",), None)
    assert config.is_args_escaped is False


def test_entrypoint_keeps_a_cmd_of_its_own_stage():
    assert config_of('CMD ["c"]\nENTRYPOINT ["e"]').cmd == ("c",)


def test_entrypoint_clears_a_cmd_of_its_base_stage():
    plan = plan_of('FROM a AS x\nCMD ["c"]\nFROM x\nENTRYPOINT ["e"]\n')
    assert plan.config.config.cmd is None


def test_empty_entrypoint_is_none():
    assert config_of("ENTRYPOINT []").entrypoint is None
    assert history_of("ENTRYPOINT []") == ["ENTRYPOINT []"]


def test_shell_is_stored_and_used():
    config = config_of('SHELL ["/bin/ash", "-e", "-c"]\nENTRYPOINT go')
    assert config.shell == ("/bin/ash", "-e", "-c")
    assert config.entrypoint == ("/bin/ash", "-e", "-c", "go")
    assert history_of('SHELL ["/bin/ash", "-c"]') == ["SHELL [/bin/ash -c]"]


def test_labels_are_merged_and_sorted():
    assert config_of("LABEL z=1 a=$A").labels == (("a", "base"), ("l", "base"), ("z", "1"))


def test_user_is_expanded():
    assert config_of("USER $A:1").user == "base:1"
    assert history_of("USER 1:2") == ["USER 1:2"]


def test_exposed_ports_are_split_sorted_and_joined():
    config = config_of('ENV P="9000 53/udp"\nEXPOSE 443 $P')
    assert config.exposed_ports == ("443/tcp", "53/udp", "80/tcp", "9000/tcp")
    assert history_of("EXPOSE 90 443") == ["EXPOSE [443/tcp 90/tcp]"]


def test_wrong_port_points_to_its_word():
    error = refusal("EXPOSE 80 web")
    assert (error.slug, error.span.text) == ("invalid-port", "web")


def test_volumes_are_words_or_json():
    assert config_of("VOLUME /b $A").volumes == ("/b", "/v", "base")
    assert config_of('VOLUME ["/x y"]').volumes == ("/v", "/x y")
    assert history_of("VOLUME /b /a") == ["VOLUME [/b /a]"]


def test_blank_volume_is_refused():
    assert refusal("VOLUME $nothing").slug == "blank-volume"


@pytest.mark.parametrize("signal", ["SIGTERM", "term", "9", "RTMIN+3"])
def test_stop_signal_is_stored_as_written(signal):
    assert config_of(f"STOPSIGNAL {signal}").stop_signal == signal


def test_stop_signal_is_checked_after_expansion():
    error = refusal("ENV s=SIGNOT\nSTOPSIGNAL $s")
    assert (error.slug, error.message, error.span.text) == ("invalid-signal", "no signal is named 'SIGNOT'", "$s")


def test_healthcheck_forms():
    assert config_of("HEALTHCHECK NONE").healthcheck == HealthcheckConfig(test=("NONE",))
    assert config_of("HEALTHCHECK CMD curl x").healthcheck == HealthcheckConfig(test=("CMD-SHELL", "curl x"))
    check = config_of('HEALTHCHECK --interval=5m --timeout=3s --retries=2 CMD ["curl", "x"]').healthcheck
    assert check == HealthcheckConfig(
        test=("CMD", "curl", "x"), interval_ns=300_000_000_000, timeout_ns=3_000_000_000, retries=2
    )


def test_maintainer_is_the_author():
    plan = plan_of("FROM a\nMAINTAINER me <me@x>\n")
    assert plan.config.author == "me <me@x>"
    assert plan.history[0].created_by == "MAINTAINER me <me@x>"


def test_metadata_has_no_layer():
    plan = plan_of("FROM a\nENV a=1\nCMD x\n")
    assert [line.op for line in plan.history] == [None, None]
    assert {line.comment for line in plan.history} == {"buildkit.dockerfile.v0"}
