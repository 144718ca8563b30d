"""Pictures of a data root, simulated or recorded: one trial, or the features of a session."""

from pathlib import Path
from typing import TYPE_CHECKING

from mode_ssm.config import InspectConfig
from mode_ssm.data import open_source
from mode_ssm.errors import InputError
from mode_ssm.pictures.session import draw_session
from mode_ssm.pictures.trial import draw_trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110


def draw_picture(config: InspectConfig) -> Path:
    """Draw the trial or the session that is named, and return the picture's path.

    Raises:
        InputError: where not exactly one of both is named or it cannot be drawn, or the picture cannot be written.
    """
    source = open_source(config.data)
    if config.picture is None:
        raise InputError("A trial or session is drawn into a file; give picture=FILE.png.")
    path = Path(config.picture)
    _check_format(path)
    if (config.trial is None) == (config.session is None):
        raise InputError(
            f"picture={path} shows one trial or one session; give either trial={source.sessions[-1]}/val/trial_0000 or "
            f"session={source.sessions[-1]}, for instance."
        )
    session = str(config.session if config.trial is None else config.trial).partition("/")[0]
    roots = [Path(root) for root in config.data.roots or [config.data.data_root]]
    root = next((root for root in roots if (root / session).exists()), roots[0])
    if config.trial is not None:
        figure = draw_trial(source, root, config.trial)
    else:
        figure = draw_session(source, root, str(config.session))
    _save(figure, path)
    return path


def _check_format(path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    formats = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise InputError(f"picture={path} ends with no format that is known; write FILE.png, .pdf or .svg.")


def _save(figure: "Figure", path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=DPI)
    except OSError as error:
        raise InputError(f"picture={path} cannot be written ({error.strerror}); name another file.") from None
