"""Settings: from `key=value` words and YAML files to one checked, typed configuration of `mode_ssm.config`, and back.

All are read in one way, by the types, bounds and choices that stand in `mode_ssm.config`:

1. `yaml_text` reads YAML to a tree of texts: no number, no date, nothing guessed;
2. `words` cuts the words of a command; `reading` puts words and files in their order of precedence;
3. `assigning` follows each key through the configuration and sets the value there, or says why it cannot;
4. `values` turns a text to the type that the setting has.
"""

from mode_ssm.settings.assigning import walk
from mode_ssm.settings.reading import read_settings, settings_from_file
from mode_ssm.settings.yaml_text import dump_settings

__all__ = ["dump_settings", "read_settings", "settings_from_file", "walk"]
