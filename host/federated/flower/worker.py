"""``python -m trident.host.federated.flower.worker NUMBER FOLDER OPTIONS``: a worker for a Flower node here.

It listens at the Unix socket ``FOLDER/workerNUMBER``, with the key in ``FOLDER/key``, which is made if it is not there,
until it is ended. OPTIONS: the run's, as JSON, see :meth:`FederatedSpec.make`.
"""

import json
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path

import click

from trident.host.federated.serve import FATAL, listen
from trident.hw.errors import TridentError


def key_of(folder: Path) -> Path:
    """The file of the key in ``folder``, readable by the owner only; made with a new key if it is not there."""
    path = folder / "key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        own = folder / f"key.{os.getpid()}"
        own.touch(mode=0o600)
        own.write_bytes(secrets.token_bytes(32))
        with suppress(FileExistsError):  # another worker was faster
            path.hardlink_to(own)
        own.unlink()
    return path


@click.command()
@click.argument("number", type=int)
@click.argument("folder", type=Path)
@click.argument("options", default="{}")
def worker(number: int, folder: Path, options: str):
    """Answer the tasks that a Flower node passes on."""
    address = folder / f"worker{number}"
    try:
        key = key_of(folder).read_bytes()
        address.unlink(missing_ok=True)  # of a worker that was killed
        listen(json.loads(options), number, str(address), key, lambda: click.echo(f"worker {number} is ready"))
    except json.JSONDecodeError:
        _refuse("the options are not JSON")
    except (TridentError, OSError, *FATAL) as fault:
        _refuse(str(fault))


def _refuse(sentence: str):
    click.echo(f"error: {sentence}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    worker()
