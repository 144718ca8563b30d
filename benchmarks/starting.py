"""How a benchmark starts: wrong input ends it with one sentence, as it ends a command."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from mode_ssm.errors import InputError


def start(main: Callable[[], int | None]) -> NoReturn:
    try:
        sys.exit(main())
    except InputError as error:
        print(f"{Path(sys.argv[0]).stem}: {error}", file=sys.stderr)
        sys.exit(2)
