"""The same as `mode-ssm train`, for those who start scripts: python scripts/train.py key=value ..."""

import sys

from mode_ssm.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
