"""The commands of mode-ssm, a file each; `mode_ssm.cli` finds them by name and imports none until it is called."""
