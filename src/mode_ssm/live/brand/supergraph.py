"""The parameters of a node, which stand in the newest entry of the stream supergraph_stream."""

import json
from typing import TYPE_CHECKING, Any

from mode_ssm.config import NodeConfig
from mode_ssm.errors import InputError
from mode_ssm.live.streams.reader import newest_entry
from mode_ssm.settings import settings_from_file

if TYPE_CHECKING:
    from redis import Redis

SUPERGRAPH = "supergraph_stream"


def read_parameters(client: "Redis", nickname: str) -> NodeConfig:
    """What the graph that was loaded last says of a node.

    Raises:
        InputError: when no graph was loaded, it has no such node, or a parameter is none.
    """
    entry = newest_entry(client, SUPERGRAPH)
    if entry is None:
        raise InputError(f"{SUPERGRAPH} is empty; load a graph with the node {nickname} first.")
    try:
        nodes = json.loads(entry.fields[b"data"])["nodes"]
        parameters = _node_of(nodes, nickname)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"The newest entry of {SUPERGRAPH} holds no graph ({error!r}); load one again.") from None
    if parameters is None:
        raise InputError(f"The graph in {SUPERGRAPH} has no node {nickname}, but {', '.join(nodes) or 'none'}.")
    return settings_from_file(NodeConfig, json.dumps(parameters), f"The parameters of {nickname} in {SUPERGRAPH}")


def _node_of(nodes: dict[str, Any], nickname: str) -> dict[str, Any] | None:
    for name, node in nodes.items():
        if node.get("nickname", name) == nickname:
            return dict(node.get("parameters") or {})
    return None
