"""Ask the hubs and write the locks that a configuration names (`lock: config/locks/x.json`); `make lock`.

    python workflow/scripts/fetch_write_locks.py --configfile config/qwen2.5-math-7b.yaml

What an old lock knows must still be so, unless --anew says that a change is meant.
"""

import argparse
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, required=True, metavar="YAML")
    parser.add_argument("--anew", action="store_true", help="forget what the old locks say")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery import config
    from distillery.fetch import listing, locking, source_flags

    loaded = config.read(args.configfile)
    named = {
        name: source for name, source in source_flags.locked(loaded).items() if "lock" in source.settings
    }
    if not named:
        print(f"{args.configfile}: no source names a lock")
    for name, source in named.items():
        path = Path(source.settings["lock"])
        known = listing.read(path) if path.is_file() and not args.anew else None
        made = locking.lock(
            source_flags.asked(name, source),
            patterns=source_flags.patterns(source),
            endpoints=source.settings.get("endpoints", []),
            known=known,
            offline=loaded.offline,
        )
        listing.write(path, made)
        print(f"{path}: {len(made.files)} files of {made.repo} at {made.revision or 'no fixed revision'}")


if __name__ == "__main__":
    command.run(parser(), main)
