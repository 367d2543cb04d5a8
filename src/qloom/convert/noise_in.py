"""Noise models of others, told apart: Qiskit Aer's, Qiskit backends', Amazon Braket's device properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qloom.noise import NoiseModel
from qloom.noise.text import parsed, read


def read_noise(source: object) -> NoiseModel:
    """Return the noise model that `source` holds.

    Args:
        source: a `NoiseModel`; its JSON as text, a dict, a `pathlib.Path` or a str that ends in `.json`; a Qiskit Aer
            `NoiseModel`; a Qiskit `Target`, or a backend that has one; the properties of a Braket device, as JSON in these
            same forms or as the schema's object.

    Raises:
        InvalidSetting: something else, or what cannot be converted, each part by name, and the file it is in.
        UnknownName: a name that the model does not have.
        MissingExtra: properties of a Braket device, and the package of their schema is not installed.

    >>> read_noise({"format": "qloom-noise", "version": 1}) == NoiseModel()
    True
    """
    if isinstance(source, NoiseModel):
        return source
    if isinstance(source, Path) or (isinstance(source, str) and source.endswith(".json")):
        return read(source, lambda written: _from_document(parsed(written)))
    if isinstance(source, str | bytes | dict):
        return _from_document(source if isinstance(source, dict) else parsed(source))
    return _from_object(source)


def _from_object(source: Any) -> NoiseModel:
    # Loaded by their first use: reading a circuit must not wait for them.
    home = (type(source).__module__ or "").partition(".")[0]
    if home == "qiskit_aer":
        from qloom.convert.noise_aer import noise_from_aer

        return noise_from_aer(source)
    if home == "braket":
        return _from_braket(source)
    from qloom.convert.noise_qiskit import noise_from_qiskit

    return noise_from_qiskit(source)


def _from_braket(source: Any) -> NoiseModel:
    from qloom.convert.noise_braket import noise_from_braket

    return noise_from_braket(source)


def _from_document(document: Any) -> NoiseModel:
    is_braket = isinstance(document, dict) and "braketSchemaHeader" in document
    return _from_braket(document) if is_braket else NoiseModel.from_json(document)
