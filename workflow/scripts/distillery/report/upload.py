"""The folder that goes to a hub: an export's files under second names, beside its model card, which is README.md there.

    upload.fill(Path("upload/manifest.json"), Path("hf/manifest.json"))

It is not the export's own folder, for that is made before there are scores, and anew as a whole. Weights take no room twice
(hard links), and a card never lies beside others than those it tells of: second names keep what a later export replaces.
"""

from __future__ import annotations

import os
from pathlib import Path

from distillery import digests, files, one_writer


def fill(manifest: Path, exported: Path) -> None:
    """Give an export's files names in the folder of `manifest`, which is the export's own; what else lies there stays.

    Args:
        exported: the export's manifest.

    Raises:
        Problem: a manifest that is not the one that was written; another process writes here.
    """
    wanted = [one.typed("name", str) for one in digests.read_json(exported).records("files")]
    folder, listing = manifest.parent, digests.beside(manifest)
    former = [*(digests.listed(listing) if listing.is_file() else ()), *folder.glob("*.safetensors")]
    for path in former:  # shards of other weights, a template that is no more
        if path.relative_to(folder).as_posix() not in wanted:
            files.remove(path)
    with digests.recorded(manifest) as others:
        for name in wanted:
            _second_name(exported.parent / name, folder / name)
        # bytes of its own: Snakemake touches a job's outputs one after the other, and the export's manifest is an input
        files.write_text(manifest, exported.read_text(encoding="utf-8"))
        # weights are told by their tensors' checksums, in the manifest: a digest of them takes as long as writing them
        others += [folder / name for name in wanted if not name.endswith(".safetensors")]


def _second_name(path: Path, name: Path) -> None:
    with one_writer.of(name):  # a killed run's lock goes, too, where its second name was made already
        if name.is_file() and name.samefile(path):
            return  # a rename of one name of a file over another would leave both
        _link(path, name)


def _link(path: Path, name: Path) -> None:
    with files.atomic(name) as partial:
        try:
            os.link(path, partial)
        except OSError:  # a disk without hard links; who uploads a folder follows the others
            partial.symlink_to(os.path.relpath(path, name.parent))
