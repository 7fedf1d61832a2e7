import pytest

from tests.host.federated.case import write_data


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """The samples of :mod:`tests.federated.case`."""
    return write_data(tmp_path_factory.mktemp("federated"))
