"""The experiment presets, one YAML file each; every other default stands in mode_ssm.config."""
