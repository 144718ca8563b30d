"""`mode-ssm export`: what there is, in a form that other programs read."""

from pathlib import Path

from mode_ssm.commands.nwb_export import export_recordings
from mode_ssm.config import ExportConfig


def export(config: ExportConfig) -> None:
    """Recordings of any format as NWB, a file a session.

    Raises:
        InputError: when they cannot be read, or `out` cannot be written or holds something already.
    """
    export_recordings(config.data, Path(config.out))
