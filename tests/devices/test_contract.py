"""Our devices keep the contract that other people's are held to."""

from pathlib import Path

import pytest

from qloom.contracts import Device
from qloom.devices.sim import create
from qloom.errors import MissingExtra
from qloom.testing.billing_device import BillingDevice
from qloom.testing.counting_device import CountingDevice
from qloom.testing.device_contract import DeviceContract


class TestSimOnLightning(DeviceContract):
    @pytest.fixture
    def device(self) -> Device:
        pytest.importorskip("pennylane_lightning.lightning_qubit_ops")
        return create(engine="lightning")


class TestSimOnQulacs(DeviceContract):
    @pytest.fixture
    def device(self) -> Device:
        return create(engine="qulacs")


class TestSimOnLightningGpu(DeviceContract):
    @pytest.fixture
    def device(self) -> Device:
        try:
            return create(engine="lightning_gpu")
        except MissingExtra as error:
            pytest.skip(str(error))


class TestSimOnAerGpu(DeviceContract):
    @pytest.fixture
    def device(self) -> Device:
        try:
            return create(engine="aer_gpu")
        except MissingExtra as error:
            pytest.skip(str(error))


class TestBillingDevice(DeviceContract):
    @pytest.fixture
    def device(self, tmp_path: Path) -> Device:
        return BillingDevice(tmp_path)


class TestCountingDevice(DeviceContract):
    @pytest.fixture
    def device(self, tmp_path: Path) -> Device:
        return CountingDevice(tmp_path / "calls.log")
