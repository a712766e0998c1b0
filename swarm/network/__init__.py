"""How peers find and feed each other: signed shelves in a DHT, content-addressed blobs from peer to peer.

Reading order: `network.py` (what a node uses), `discovery.py` (what goes on meanwhile), `line.py` and `service.py`
(the two ends of a conversation), `directory.py` (the DHT), `daemon.py` (the libp2p process and its restarts).
"""

from swarm.network.network import Network
from swarm.network.settings import Arrival, Heard, NetworkSettings, NetworkStatus

__all__ = ["Arrival", "Heard", "Network", "NetworkSettings", "NetworkStatus"]
