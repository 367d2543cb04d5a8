"""Engines of sim that draw their own samples keep the contract."""

import pytest

from qloom.contracts import Device
from qloom.devices.sim import create
from qloom.testing.device_contract import DeviceContract


class TestSimOnAer(DeviceContract):
    @pytest.fixture
    def device(self) -> Device:
        return create(engine="aer")


class TestSimOnDensityMatrices(DeviceContract):
    @pytest.fixture
    def device(self) -> Device:
        return create(method="density_matrix")
