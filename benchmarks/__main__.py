"""``python -m benchmarks [NAME...]``: run the benchmarks and exit with 1 if one is beyond its limit."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import engine, startup
from benchmarks.ratio import Ratio

BENCHMARKS: dict[str, Callable[[], Ratio]] = {
    "estimate": startup.estimate,
    "help": startup.help_text,
    "rows": engine.million_rows,
    "sizes": engine.large_and_small,
}


def main(names: list[str]) -> int:
    """Run the benchmarks of those names, or all."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    ratios = []
    for name in names or BENCHMARKS:
        ratios.append(BENCHMARKS[name]())
        print(ratios[-1], flush=True)
    return 0 if all(ratio.holds for ratio in ratios) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
