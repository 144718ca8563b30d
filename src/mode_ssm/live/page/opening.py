"""The page of a network."""

from mode_ssm.data.channels import chosen_channels
from mode_ssm.errors import InputError
from mode_ssm.live.desk import Desk
from mode_ssm.live.page.server import PageSink
from mode_ssm.live.page.view import T15_CHANNELS, Panel, View, blocks_of, panels_of
from mode_ssm.recognition.checkpoint import Checkpoint


def open_page(port: int, checkpoint: Checkpoint, desk: Desk, *, button: bool) -> PageSink:
    """Serve it.

    Raises:
        InputError: when the port is taken.
    """
    return PageSink(port, View(checkpoint.labels.symbols, panels_of_network(checkpoint), button), desk)


def panels_of_network(checkpoint: Checkpoint) -> list[Panel]:
    """The channels that it reads, by array where they are T15's."""
    data, own = checkpoint.config.data, checkpoint.config.preprocessor.num_channels
    count = next(iter(checkpoint.participants.values()), own)
    try:
        kept = chosen_channels(data.channels or f"0:{T15_CHANNELS}", T15_CHANNELS)
    except InputError:  # channels that T15 does not have
        kept = []
    return panels_of(kept) if data.source == "t15" and len(kept) == count else blocks_of(count)
