import json
from dataclasses import replace

import pytest

from jettison.digest import DiffId
from jettison.errors import StoreError
from jettison.limits import Limits
from jettison.oci.config import HealthcheckConfig, HistoryEntry, ImageConfig, RuntimeConfig, parse_config, render_config
from jettison.platform import Platform

DIFF_ID = DiffId("sha256:" + "a" * 64)
FULL = ImageConfig(
    platform=Platform(os="linux", architecture="arm", variant="v7"),
    config=RuntimeConfig(
        user="1000:1000",
        exposed_ports=("53/udp", "80/tcp"),
        env=("PATH=/bin", "A=<&>"),
        entrypoint=("/bin/sh",),
        cmd=("-c", "true && false"),
        volumes=("/data",),
        working_dir="/app",
        labels=(("a", "1"), ("b", "2")),
        stop_signal="SIGQUIT",
        is_args_escaped=True,
        healthcheck=HealthcheckConfig(
            test=("CMD", "true"), interval_ns=5, timeout_ns=6, start_period_ns=7, start_interval_ns=8, retries=9
        ),
        shell=("/bin/bash", "-c"),
        on_build=("RUN true",),
        others={"Hostname": "x"},
    ),
    diff_ids=(DIFF_ID,),
    history=(
        HistoryEntry(created="2024-01-01T00:00:00Z", created_by="RUN x # buildkit", comment="buildkit.dockerfile.v0"),
    ),
    created="2024-01-01T00:00:00Z",
    author="someone",
    others={"os.version": "1", "x": {"y": [1, None, 2.5, True]}},
)


def test_config_survives_a_round_trip():
    data = render_config(FULL)
    assert parse_config(data) == FULL
    assert render_config(parse_config(data)) == data


def test_fields_come_in_dockers_order():
    assert render_config(FULL).decode() == (
        '{"architecture":"arm","author":"someone","config":{"User":"1000:1000","ExposedPorts":{"53/udp":{},"80/tcp":{}},'
        '"Env":["PATH=/bin","A=\\u003c\\u0026\\u003e"],"Entrypoint":["/bin/sh"],"Cmd":["-c","true \\u0026\\u0026 false"],'
        '"Volumes":{"/data":{}},"WorkingDir":"/app","Labels":{"a":"1","b":"2"},"StopSignal":"SIGQUIT","ArgsEscaped":true,'
        '"Healthcheck":{"Test":["CMD","true"],"Interval":5,"Timeout":6,"StartPeriod":7,"StartInterval":8,"Retries":9},'
        '"OnBuild":["RUN true"],"Shell":["/bin/bash","-c"],"Hostname":"x"},"created":"2024-01-01T00:00:00Z",'
        '"history":[{"created":"2024-01-01T00:00:00Z","created_by":"RUN x # buildkit","comment":"buildkit.dockerfile.v0"}],'
        '"os":"linux","os.version":"1","rootfs":{"type":"layers","diff_ids":["sha256:'
        + "a"
        * 64
        + '"]},"variant":"v7",'
        '"x":{"y":[1,null,2.5,true]}}'
    )


def test_empty_fields_are_absent():
    config = ImageConfig(platform=Platform(os="linux", architecture="amd64"))
    assert render_config(config) == (
        b'{"architecture":"amd64","config":{},"history":[],"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    )


def test_null_and_absent_mean_the_same():
    nulls = dict.fromkeys(
        ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "Labels", "OnBuild", "Healthcheck")
    )
    plain = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
    assert parse_config(json.dumps(plain | {"config": nulls, "history": None}).encode()) == parse_config(plain)


def test_text_that_is_no_unicode_becomes_the_replacement_character():
    config = replace(FULL, author="a\udcffb")
    assert "a\ufffdb" in render_config(config).decode()


def config_with(**fields):
    return json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}} | fields
    ).encode()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"a":1}{', id="garbage"),
        pytest.param(b'{"os":"\xff"}', id="not-utf-8"),
        pytest.param('{"os":"linux"}'.encode("utf-16"), id="utf-16"),
        pytest.param(b'\xef\xbb\xbf{"os":"linux"}', id="byte-order-mark"),
        pytest.param(b'{"x":NaN}', id="nan"),
        pytest.param(b'{"x":-Infinity}', id="infinity"),
        pytest.param(b'{"os":"linux","os":"windows"}', id="twice"),
        pytest.param(b'{"config":{"Env":[],"Env":["A=1"]}}', id="twice-below"),
        pytest.param(b'{"x":' + b"[" * 100 + b"]" * 100 + b"}", id="deep"),
        pytest.param(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="very-deep"),
        pytest.param(b'{"x":' + b"9" * 5000 + b"}", id="long-number"),
        pytest.param(b'{"x":1e999}', id="infinite"),
        pytest.param(b'{"x":[-1e999]}', id="infinite-below"),
        pytest.param(b'{"config":{"Labels":{"\\ud800":"a","\\ud801":"b"}}}', id="half-pairs-in-keys"),
        pytest.param(b'{"x":["\\uDFFF"]}', id="half-pair-in-a-text"),
        pytest.param(
            b"{" + b",".join(b'"%d":0' % number for number in range(100_000)) + b',"99999":0}', id="twice-of-many"
        ),
        pytest.param(config_with(os=1), id="os"),
        pytest.param(config_with(config=[]), id="config"),
        pytest.param(config_with(config={"Env": "A=1"}), id="env"),
        pytest.param(config_with(config={"Env": [1]}), id="env-item"),
        pytest.param(config_with(config={"Cmd": "sh"}), id="cmd"),
        pytest.param(config_with(config={"Labels": {"a": 1}}), id="label"),
        pytest.param(config_with(config={"ExposedPorts": ["80"]}), id="ports"),
        pytest.param(config_with(config={"ArgsEscaped": 1}), id="flag"),
        pytest.param(config_with(config={"Healthcheck": {"Retries": 1.5}}), id="retries"),
        pytest.param(config_with(config={"Healthcheck": {"Interval": 1 << 63}}), id="interval"),
        pytest.param(config_with(history={}), id="history"),
        pytest.param(config_with(history=["x"]), id="history-item"),
        pytest.param(config_with(rootfs={"type": "tar", "diff_ids": []}), id="rootfs-type"),
        pytest.param(config_with(rootfs={"type": "layers", "diff_ids": ["sha256:../../etc"]}), id="diff-id"),
        pytest.param(config_with(rootfs={"type": "layers", "diff_ids": ["sha512:" + "a" * 128]}), id="sha512"),
        pytest.param(config_with(rootfs={"type": "layers", "diff_ids": ["sha256:" + "a" * 64] * 501}), id="layers"),
    ],
)
def test_hostile_configs_are_refused(data):
    with pytest.raises(StoreError) as caught:
        parse_config(data)
    assert caught.value.slug == "image-config"


def test_whole_surrogate_pairs_are_text():
    config = parse_config(b'{"config":{"Labels":{"a":"\\ud83d\\ude80"}}}')
    assert config.config.labels == (("a", "\U0001f680"),)


def test_limits_hold_at_the_bound():
    data = b'{"x":[[1]]}'
    assert parse_config(data, limits=Limits(config_bytes=len(data), json_depth=4))
    for limits in (Limits(config_bytes=len(data) - 1), Limits(json_depth=3)):
        with pytest.raises(StoreError):
            parse_config(data, limits=limits)


def test_error_names_the_field():
    with pytest.raises(StoreError, match=r"'config\.Env' must be a list of texts"):
        parse_config(config_with(config={"Env": [None]}))
