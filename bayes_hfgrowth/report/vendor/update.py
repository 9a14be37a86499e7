"""Fetch the plotting script that reports carry, as its makers published it.

python -m bayes_hfgrowth.report.vendor.update [--version VERSION]

Needs `npm`, which downloads the package from wherever it is set up to. Without a version, the
one in plotly.json is fetched again, and its digest must be the one written there.
"""

import argparse
import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from bayes_hfgrowth.support.errors import HFGrowthError, SourceError
from bayes_hfgrowth.support.files import whole_file

__all__ = ["LICENCE", "PACKAGE", "RECORD", "SCRIPT", "digest", "main", "unfit_for_a_page"]

PACKAGE = "plotly.js-basic-dist-min"
"""The smallest bundle of plotly.js with lines and filled areas: scatter, bar and pie."""

SCRIPT = "plotly-basic.min.js"
LICENCE = "LICENSE-plotly"
RECORD = "plotly.json"


def digest(content: bytes) -> str:
    """SHA-512 of a file, written as npm does."""
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def unfit_for_a_page(script: str) -> str | None:
    """Say what keeps a script from standing inside a ``<script>`` element; None if nothing."""
    lower = script.lower()
    return next((text for text in ("</script", "<script", "<!--") if text in lower), None)


def _fetch(version: str) -> tuple[bytes, dict[str, bytes]]:
    """Download the package; return the archive and the two files that are wanted."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", f"{PACKAGE}@{version}", "--pack-destination", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as failure:
            raise SourceError(f"npm cannot be run ({failure.strerror}); install it") from failure
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            reason = (done.stderr.strip().splitlines() or ["no archive arrived"])[0]
            raise SourceError(f"npm pack {PACKAGE}@{version} failed ({reason}); try again")
        archive = archives[0].read_bytes()
        with tarfile.open(archives[0]) as files:
            wanted = {}
            for name, member in ((SCRIPT, SCRIPT), (LICENCE, "LICENSE")):
                file = files.extractfile(f"package/{member}")
                assert file is not None
                wanted[name] = file.read()
    return archive, wanted


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--version", help="version to move to; by default the recorded one")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder")
    options = parser.parse_args(arguments)
    record = json.loads(Path(__file__).with_name(RECORD).read_text(encoding="utf-8"))
    version = options.version or record["version"]
    try:
        archive, wanted = _fetch(version)
        if version == record["version"] and digest(archive) != record["archive"]:
            raise SourceError(
                f"{PACKAGE} {version} is not what it was: its digest is {digest(archive)}, "
                f"{RECORD} says {record['archive']}; do not use it"
            )
        fault = unfit_for_a_page(wanted[SCRIPT].decode("utf-8"))
        if fault:
            raise SourceError(
                f"{SCRIPT} {version} holds {fault!r}, which would end the script in a page; "
                "take another version"
            )
        record = {
            "package": PACKAGE,
            "version": version,
            "licence": "MIT",
            "archive": digest(archive),
            SCRIPT: digest(wanted[SCRIPT]),
        }
        content = {**wanted, RECORD: (json.dumps(record, indent=2) + "\n").encode()}
        for name, data in content.items():
            with whole_file(options.out / name, SourceError) as temporary:
                temporary.write_bytes(data)
    except HFGrowthError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
