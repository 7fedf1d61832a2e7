"""What Flower runs on the server."""

from trident.host.federated.flower.server_app import app

__all__ = ["app"]
