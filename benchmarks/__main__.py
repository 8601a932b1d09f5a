"""Run benchmarks: `python -m benchmarks [accept] [deliver]`; all of them when none is named."""

import sys

from benchmarks import accept, deliver

BENCHMARKS = {"accept": accept.main, "deliver": deliver.main}


def main() -> None:
    wanted = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in wanted if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}.")
    for name in wanted:
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
