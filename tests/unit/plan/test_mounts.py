import pytest
from tests.fakes.plans import plan_of

from jettison.errors import DockerfileError
from jettison.plan.ops import BindMount, CacheMount, ContextRoot, OpRoot, RunOp, SecretMount, TmpfsMount


def mount_of(options, *, before="WORKDIR /w\n", **others):
    plan = plan_of(f"FROM a AS stage\nFROM a\n{before}RUN --mount={options} x\n", **others)
    (op,) = [op for op in plan.ops if isinstance(op, RunOp)]
    return op.mounts[0]


def refusal(options, before=""):
    with pytest.raises(DockerfileError) as found:
        mount_of(options, before=before)
    return found.value


@pytest.mark.parametrize(
    ("options", "mount"),
    [
        ("target=/m", BindMount(target="/m", root=ContextRoot(), source="/")),
        ("target=m,source=../src/.", BindMount(target="/w/m", root=ContextRoot(), source="/src")),
        ("source=x", BindMount(target="/w", root=ContextRoot(), source="/x")),
        ("target=/m,from=stage,rw", BindMount(target="/m", root=OpRoot(op=0), source="/", is_read_only=False)),
        ("target=/m,from=a", BindMount(target="/m", root=OpRoot(op=0), source="/")),
        ("target=/m,from=scratch", BindMount(target="/m", root=OpRoot(op=None), source="/")),
        ("target=/m,ro=false", BindMount(target="/m", root=ContextRoot(), source="/", is_read_only=False)),
        ("type=cache,target=/c", CacheMount(target="/c", id="/c")),
        ("type=cache,target=c//d/../e/", CacheMount(target="/w/c/e", id="c/e")),
        ("type=cache,target=/a/../../c", CacheMount(target="/c", id="/c")),
        ("type=cache,target=../c", CacheMount(target="/c", id="../c")),
        ("type=cache", CacheMount(target="/w", id=".")),
        (
            "type=cache,target=/c,id=mine,sharing=locked,mode=0700,uid=1,gid=2,ro",
            CacheMount(target="/c", id="mine", sharing="locked", mode=0o700, uid=1, gid=2, is_read_only=True),
        ),
        (
            "type=cache,target=/c,from=stage,source=/seed,mode=0700,uid=1",
            CacheMount(target="/c", id="/c", seed=OpRoot(op=0), seed_path="/seed"),
        ),
        ("type=tmpfs,target=/t", TmpfsMount(target="/t")),
        ("type=tmpfs,target=/t,size=64m", TmpfsMount(target="/t", size_bytes=64 << 20)),
        ("type=secret,id=s", SecretMount(id="s", target="/run/secrets/s")),
        ("type=secret,id=a/s", SecretMount(id="a/s", target="/run/secrets/s")),
        ("type=secret,source=s", SecretMount(id="s", target="/run/secrets/s")),
        ("type=secret,target=/x/key", SecretMount(id="key", target="/x/key")),
        ("type=secret,id=s,target=rel", SecretMount(id="s", target="/w/rel")),
        ("type=secret,id=s,env=TOKEN", SecretMount(id="s", env="TOKEN")),
        ("type=secret,id=s,env=", SecretMount(id="s", env="s")),
        (
            "type=secret,id=s,env=T,target=/t,required,mode=0440,uid=5,gid=6",
            SecretMount(id="s", target="/t", env="T", is_required=True, mode=0o440, uid=5, gid=6),
        ),
    ],
)
def test_mounts_get_their_defaults(options, mount):
    assert mount_of(options) == mount


def test_options_are_expanded():
    before = "ARG t=/m s=/s\nARG id=i\n"
    assert mount_of("target=$t,source=${s}/x", before=before) == BindMount(
        target="/m", root=ContextRoot(), source="/s/x"
    )
    assert mount_of("type=cache,target=$t,id=$id,mode=07$nothing", before=before) == CacheMount(
        target="/m", id="i", mode=0o7
    )


def test_undefined_variable_in_an_option_is_a_warning():
    plan = plan_of("FROM a\nRUN --mount=target=/m$nothing x\n")
    assert [each.message for each in plan.warnings] == ["usage of undefined variable '$nothing'"]


def test_cache_ids_are_put_below_their_namespace():
    mount = mount_of("type=cache,target=/c", build_args={"BUILDKIT_CACHE_MOUNT_NS": "ci"})
    assert mount.id == "ci//c"


@pytest.mark.parametrize(
    ("options", "slug", "message"),
    [
        ("target=/", "invalid-mount", "a mount can't cover the root directory"),
        ("source=x", "invalid-mount", "a mount can't cover the root directory"),
        ("type=secret,id=s,target=/x/..", "invalid-mount", "a mount can't cover the root directory"),
        ("type=secret,target=/", "invalid-mount", "a secret mount needs an id"),
        ("type=cache,target=/c,mode=17777", "invalid-mount", "'17777' is no file mode"),
        ("type=tmpfs,target=/t,ro", "unsupported-feature", "a read-only tmpfs is not supported yet"),
    ],
)
def test_wrong_mounts_are_refused(options, slug, message):
    error = refusal(options)
    assert (error.slug, error.message) == (slug, message)
    assert error.hint
    assert error.span.line == 3


def test_unexpanded_kind_may_turn_out_as_any():
    assert mount_of("type=$k,target=/t", before="ARG k=tmpfs\n") == TmpfsMount(target="/t")
