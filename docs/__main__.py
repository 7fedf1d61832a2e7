"""``python -m docs``: write the generated pages and pictures."""

from pathlib import Path

from docs.dataflow import dataflow_svg
from docs.program import fill_listing
from docs.protocol import protocol
from docs.vector import vector

FOLDER = Path(__file__).parent


def generated() -> dict[Path, str]:
    """What every generated file must hold."""
    page = FOLDER / "dataflow.md"
    return {
        FOLDER / "protocol.md": protocol(),
        FOLDER / "vector.md": vector(),
        FOLDER / "dataflow.svg": dataflow_svg(),
        page: fill_listing(page.read_text()),
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text)
        print(f"Written: docs/{path.name}")
