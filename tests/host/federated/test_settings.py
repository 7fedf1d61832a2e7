"""What a federated run may be, and the sentences that refuse what it may not."""

import pytest

from tests.host.federated.case import options_of, spec_of
from trident.host.federated.settings import FederatedSettings
from trident.host.federated.spec import FederatedSpec
from trident.hw.errors import TridentError
from trident.snn.network.files import dumps
from trident.snn.network.network import Network
from trident.snn.network.norms import with_norm


@pytest.mark.parametrize(("change", "sentence"), [
    ({"workers": 0}, "workers must be a whole number within 1 to 256, not 0"),
    ({"rounds": 1.5}, "rounds must be a whole number of at least 1"),
    ({"local_epochs": True}, "local epochs must be"),
    ({"split": "dirichlet"}, "split must be iid, dirichlet:ALPHA"),
    ({"split": "dirichlet:-1"}, "split must be"),
    ({"split": "dirichlet:inf"}, "split must be"),
    ({"strategy": "fedprox"}, "strategy must be fedavg or fedprox:MU"),
    ({"strategy": "fedavg:1"}, "strategy must be"),
    ({"fraction": 0}, "fraction must be above 0"),
    ({"timeout": float("nan")}, "timeout must be a finite number"),
    ({"min_workers": 6}, "min_workers of 6 is more than the 5 workers"),
    ({"fraction": 0.4, "min_workers": 3}, "more than the 2 workers"),
])  # fmt: skip
def test_wrong_settings_are_refused(change, sentence):
    with pytest.raises(TridentError, match=sentence):
        FederatedSettings(**change)


def test_defaults_follow_from_the_workers():
    assert FederatedSettings().min_workers == 2 and FederatedSettings(workers=1).min_workers == 1
    assert FederatedSettings(fraction=0.5).participants == 2 and FederatedSettings(fraction=0.01).participants == 1
    assert FederatedSettings(strategy="fedprox:0.5").mu == 0.5 and FederatedSettings().mu == 0


@pytest.mark.parametrize(("change", "sentence"), [
    ({"target": "serial"}, "needs ports"),
    ({"ports": ["/dev/a"]}, "ports are for the target serial, not for rtl"),
    ({"target": "serial", "ports": ["/dev/a", "/dev/a"]}, "must be those of different boards"),
    ({"target": "serial", "ports": ["/dev/a", "/dev/b", "/dev/c", "/dev/d"]}, "at most 3 workers"),
    ({"baud": 9600}, "a baud rate is for the targets serial and sim-link"),
    ({"colour": 1}, "unknown option 'colour'"),
    ({"workers": 30}, "fewer than a minibatch of 4"),
    ({"split": "by-class", "workers": 4}, "4 workers cannot share 3 classes"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(data, change, sentence):
    with pytest.raises(TridentError, match=sentence):
        spec_of(data, **change)


def test_standardised_weights_are_refused(data, tmp_path):
    network = with_norm(Network.parse("6-5-3"), "ws")
    (tmp_path / "net.toml").write_text(dumps(network))
    with pytest.raises(TridentError, match="'linear1' has standardised weights: those of workers cannot be averaged"):
        spec_of(data, net=str(tmp_path / "net.toml"))


def test_a_misspelt_setting_is_refused(data):
    options = options_of(data)
    options["federated"]["epochs"] = 3
    with pytest.raises(TridentError, match="unknown setting 'epochs'"):
        FederatedSpec.make(options)


def test_boards_come_first_and_simulated_chips_fill_up(data):
    targets = spec_of(data, target="serial", ports=["/dev/a", "/dev/b"]).targets
    assert [(target.kind, target.port) for target in targets] == [
        ("serial", "/dev/a"), ("serial", "/dev/b"), ("rtl", None),
    ]  # fmt: skip


def test_the_digest_is_of_what_decides_the_result(data):
    one = spec_of(data)
    assert one.digest == spec_of(data, rounds=9, timeout=1.0, min_workers=1).digest
    changes = {"seed": 4, "split": "by-class", "strategy": "fedprox:1", "fraction": 0.7, "local_epochs": 2}
    for name, value in changes.items():
        assert spec_of(data, **{name: value}).digest != one.digest, name


def test_participants_are_drawn_with_the_seed(data):
    spec = spec_of(data, fraction=0.67)
    drawn = [spec.participants(number) for number in range(1, 30)]
    assert drawn == [spec_of(data, fraction=0.67).participants(number) for number in range(1, 30)]
    assert all(len(set(round_)) == 2 and round_ == sorted(round_) for round_ in drawn)
    assert {worker for round_ in drawn for worker in round_} == {0, 1, 2}
    assert spec_of(data).participants(1) == [0, 1, 2]
