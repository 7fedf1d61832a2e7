"""Energy tables: what a file may hold, and what counts cost."""

import json

import pytest

from trident.host.energy.counts import MEMORIES, OPERATIONS, Counts
from trident.host.energy.table import FOLDER, TABLES, EnergyTable
from trident.hw.errors import TridentError


@pytest.fixture
def values() -> dict:
    return json.loads((FOLDER / "neuromc.json").read_text())


def load(tmp_path, values) -> EnergyTable:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(values))
    return EnergyTable.load(path)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_that_comes_with_trident_is_complete(name):
    table = EnergyTable.load(name)
    assert (table.name, set(table.operations), set(table.memories)) == (name, set(OPERATIONS), set(MEMORIES))


def test_accesses_cost_their_share_of_a_port():
    table = EnergyTable.load("neuromc")
    counts = Counts()
    counts.do(10, "add", "select")
    counts.access("weights", 32, 8)
    energy = table.price(counts)
    assert energy == pytest.approx({"compute": 10 * (0.548 + 0.03425), "weights": 40 / 16 * 5.302477904})
    assert table.total(counts + counts) == pytest.approx(2 * sum(energy.values()))
    assert table.total(counts.scaled(3)) == pytest.approx(3 * sum(energy.values()))


def test_units_are_converted(tmp_path, values):
    picojoules = load(tmp_path, values)
    values["unit"] = "fJ"
    assert load(tmp_path, values).operations["add"] == pytest.approx(picojoules.operations["add"] / 1000)
    assert load(tmp_path, values).memories["dram"].read == pytest.approx(1.3)


def changed(*path, value=None):
    """A change of an entry, or its removal."""

    def change(values):
        for name in path[:-1]:
            values = values[name]
        if value is None:
            del values[path[-1]]
        else:
            values[path[-1]] = value

    return change


@pytest.mark.parametrize("change, message", [
    (changed("operations", "add"), "operations lacks add"),
    (changed("operations", "divide", value=1), "operations has an unknown entry 'divide': add, multiply"),
    (changed("operations", "add", value=-0.5), "operations.add is negative: -0.5"),
    (changed("operations", "add", value="0.5"), "operations.add must be a number, not '0.5'"),
    (changed("operations", "add", value=True), "operations.add must be a number, not True"),
    (changed("operations", "add", value=float("nan")), "operations.add must be a number, not nan"),
    (changed("operations", "add", value=float("inf")), "operations.add must be at most 1e+09, not inf"),
    (changed("operations", "add", value=10**400), "operations.add must be at most 1e+09, not 1000"),
    (changed("operations", "add", value=["a" * 100]), "operations.add must be a number, not [\"aaa"),
    (changed("operations", value=[]), "operations must be a mapping, not []"),
    (changed("memories", "weights"), "memories lacks weights"),
    (changed("memories", "weights", "read"), "memories.weights lacks read"),
    (changed("memories", "weights", "write", value=-1), "memories.weights.write is negative: -1"),
    (changed("memories", "weights", "port_bits", value=0), "memories.weights.port_bits must be a whole"),
    (changed("memories", "weights", "port_bits", value=16.0), "must be a whole number from 1 to 65536, not 16.0"),
    (changed("memories", "weights", "port_bits", value=10**400),
     "must be a whole number from 1 to 65536, not 1000"),
    (changed("memories", "weights", value=5), "memories.weights must be a mapping, not 5"),
    (changed("unit"), "the table lacks unit"),
    (changed("unit", value="W"), "unit 'W' is not known: fJ, pJ, nJ"),
    (changed("name", value=""), "name must be a line of text, not ''"),
    (changed("name", value="a\x1b[31m"), "name must be a line of text, not 'a\\x1b[31m'"),
    (changed("area", value=1), "the table has an unknown entry 'area'"),
])  # fmt: skip
def test_a_table_that_is_none_is_refused(tmp_path, values, change, message):
    change(values)
    with pytest.raises(TridentError) as caught:
        load(tmp_path, values)
    assert message in str(caught.value) and str(tmp_path) in str(caught.value) and len(str(caught.value)) < 400


def test_a_file_that_is_not_there_or_no_json_is_refused(tmp_path):
    with pytest.raises(TridentError, match="name a JSON file or one of .*neuromc"):
        EnergyTable.load("nowhere.json")
    (tmp_path / "text.json").write_text("{")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "octets.json").write_bytes(b"\xff")
    (tmp_path / "twice.json").write_text('{"unit": "fJ", "unit": "pJ"}')
    with pytest.raises(TridentError, match="'unit' is there twice"):
        EnergyTable.load(tmp_path / "twice.json")
    for name in ("text", "deep", "octets"):
        with pytest.raises(TridentError, match="is no JSON"):
            EnergyTable.load(tmp_path / f"{name}.json")
    with pytest.raises(TridentError, match="cannot be read .Is a directory"):
        EnergyTable.load(tmp_path)
