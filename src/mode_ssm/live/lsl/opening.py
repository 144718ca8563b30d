"""Sources and sinks of LSL by their names; pylsl is asked for here alone, and said where it is not installed."""

from importlib.util import find_spec

from mode_ssm.config import LslConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import Labels
from mode_ssm.live.events import LiveSource
from mode_ssm.live.sinks import Sink


def require_pylsl() -> None:
    """
    Raises:
        InputError: where pylsl is not installed.
    """
    if find_spec("pylsl") is None:
        raise InputError("LSL needs the Python package pylsl, which is not installed: pip install 'mode-ssm[lsl]'.")


def open_lsl_source(name: str, channels: int, config: LslConfig, *, said_elsewhere: bool) -> LiveSource:
    """The stream of that name; `said_elsewhere` is when someone speaks, by the network or on the page.

    Raises:
        InputError: when it is not there or does not fit, nothing says when someone speaks, or pylsl is not installed.
    """
    if config.markers is None and not said_elsewhere:
        raise InputError(
            f"source=lsl:{name} does not say when someone speaks; give lsl.markers=NAME, a stream of markers that "
            "does, listen=true, to find it in the features, or talk=button, to say it on the page."
        )
    require_pylsl()
    from mode_ssm.live.lsl.source import LslSource

    source = LslSource(name, channels, config)
    print(f"Source: lsl:{name}, from here on", flush=True)
    return source


def open_lsl_sink(name: str, labels: Labels, has_posteriors: bool) -> Sink:
    """What writes to the streams NAME_words and NAME_posteriors.

    Raises:
        InputError: where pylsl is not installed.
    """
    require_pylsl()
    from mode_ssm.live.lsl.sink import LslSink

    return LslSink(name, labels, has_posteriors)
