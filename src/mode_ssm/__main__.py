"""python -m mode_ssm is mode-ssm."""

from mode_ssm.cli import main

if __name__ == "__main__":
    main()
