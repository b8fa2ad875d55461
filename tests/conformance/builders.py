"""The same Dockerfile built twice: by us in a root of our own, by buildah in a store of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.conformance.facts import Image, config_facts, facts_of_directory, facts_of_tar
from tests.fakes.product import BASE, clean_environment, needs

_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


class Buildah:
    """buildah as root, with a store, a run directory and a policy below one directory.

    The store is one of overlay mounts, as BuildKit's: it decides what becomes of hard links when a step writes to one name.
    """

    def __init__(self, place):
        self.place = Path(place)
        self.program = needs("buildah")
        self.place.mkdir()
        (self.place / "policy.json").write_text(_POLICY)
        (self.place / "tmp").mkdir()
        self.environment = {**clean_environment(self.place), "TMPDIR": str(self.place / "tmp")}

    def run(self, *words):
        """Run one command of buildah to its end; returns what it printed."""
        store = ["--root", self.place / "root", "--runroot", self.place / "run", "--storage-driver", "overlay"]
        line = [str(word) for word in (self.program, *store, *words)]
        done = subprocess.run(line, capture_output=True, text=True, check=False, env=self.environment, timeout=60)
        assert done.returncode == 0, f"buildah {words[0]}: {done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def close(self):
        """Take away the mounts of the storage driver: that over its own directory, and what a failed build left."""
        below = f"{self.place}/"
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for place in reversed([each for each in mounts if each.startswith(below)]):
            subprocess.run(["umount", place], check=True)

    def version(self):
        return self.run("--version").split()[2]

    def load(self, archive):
        """Take an image of a docker archive into the store, with its names."""
        self.run(
            "pull", "--policy", "never", "--signature-policy", self.place / "policy.json", f"docker-archive:{archive}"
        )

    def build(self, context, name, flags):
        words = (
            "--isolation",
            "chroot",
            "--format",
            "docker",
            "--pull-never",
            "--no-cache",
            "--layers",
            "--network",
            "host",
        )
        policy = ("--signature-policy", self.place / "policy.json")
        self.run("bud", *words, *policy, "-t", name, *flags, context)

    def image(self, name):
        """Return the files and the configuration of an image of the store."""
        config = json.loads(self.run("inspect", "--type", "image", name))["Docker"]["config"]
        if config.get("OnBuild"):  # "from" would run the triggers
            return Image(None, config_facts(config))
        container = self.run("from", "--pull-never", "--signature-policy", self.place / "policy.json", name)
        try:
            return Image(facts_of_directory(self.run("mount", container)), config_facts(config))
        finally:
            self.run("rm", container)


class Pair:
    """Both builders, with the same base image."""

    def __init__(self, product, place):
        self.product = product
        self.place = Path(place)
        self.buildah = Buildah(self.place / "buildah")
        base = self.place / "base.tar"
        product.cli("save", "-o", base, BASE).check()
        self.buildah.load(base)

    def build(self, context, name, flags, for_buildah=()):
        """Build with both and keep the image under the name in both; returns our tar of its files."""
        output = self.place / f"{name.replace(':', '-')}.tar"
        flags = [str(flag) for flag in flags]
        words = ("--no-cache", "--network", "none", "-t", name, "-o", f"type=tar,dest={output}")
        self.product.cli("build", *words, *flags, context).check()
        self.buildah.build(context, name, [*flags, *for_buildah])
        return output

    def images(self, name, output):
        """Return what buildah made of it, and what we made of it."""
        ours = Image(facts_of_tar(output), config_facts(self.product.config_of(name)))
        return self.buildah.image(name), ours
