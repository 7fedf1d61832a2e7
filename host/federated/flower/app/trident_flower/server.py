"""What Flower runs on the server."""

from host.federated.flower.server_app import app

__all__ = ["app"]
