"""What Flower runs for every message to a worker."""

from trident.host.federated.flower.client_app import app

__all__ = ["app"]
