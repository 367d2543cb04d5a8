"""Noise models as JSON: exact round trips, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.circuits import Circuit
from qloom.circuits.gates import CHANNELS, GATES, kraus_parameters
from qloom.errors import InvalidSetting, StorageFailed, UnknownName
from qloom.noise import ErrorChannel, GateNoise, NoiseModel, QubitNoise

small = st.floats(0, 0.3)
times = st.floats(1e-9, 1e-2)
OTHER_NAMES = {"measure": 1, "reset": 1, "default:1": 1, "default:2": 2}
names = st.sampled_from(sorted({name for name, row in GATES.items() if row.num_qubits} | OTHER_NAMES.keys()))
DAMPING = kraus_parameters([[[1, 0], [0, 0.8]], [[0, 0.6j], [0, 0]]])


@st.composite
def errors(draw: st.DrawFn, qubits: int) -> ErrorChannel:
    name = draw(st.sampled_from([name for name, (size, _) in CHANNELS.items() if size <= qubits]))
    size = CHANNELS[name][0] or 1
    values = DAMPING if name == "kraus" else tuple(draw(small) for _ in range(CHANNELS[name][1]))
    return ErrorChannel(name, values, tuple(draw(st.permutations(range(qubits)))[:size]))


@st.composite
def gate_entries(draw: st.DrawFn, name: str) -> dict[Any, GateNoise]:
    size = OTHER_NAMES.get(name) or GATES[name].num_qubits
    places = st.one_of(st.just("default"), st.permutations(range(4)).map(lambda order: tuple(order[:size])))
    entries = st.builds(
        GateNoise, st.one_of(st.just(0.0), times), st.lists(errors(size), max_size=2).map(tuple), relaxation=st.booleans()
    )
    return draw(st.dictionaries(places, entries, min_size=1, max_size=2))


@st.composite
def qubit_entries(draw: st.DrawFn) -> QubitNoise:
    t1, t2 = draw(st.none() | times), draw(st.none() | times)
    readout = draw(st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)))
    return QubitNoise(t1, t2 if t1 is None or t2 is None else min(t2, 2 * t1), draw(small) if t1 else 0.0, readout)


@st.composite
def models(draw: st.DrawFn) -> NoiseModel:
    native = draw(st.none() | st.lists(st.sampled_from(["x", "cx", "rz"])))
    return NoiseModel(
        gates={name: draw(gate_entries(name)) for name in draw(st.sets(names, max_size=3))},
        qubits=draw(st.dictionaries(st.one_of(st.just("default"), st.integers(0, 200)), qubit_entries(), max_size=3)),
        name=draw(st.text(max_size=5)),
        calibration_id=draw(st.text(max_size=5)),
        schedule=draw(st.sampled_from(["alap", "asap", "none"])),
        dt_s=draw(st.none() | times),
        native_gates=native,
        strict=native is not None and draw(st.booleans()),
        notes=draw(st.lists(st.text(max_size=5), max_size=2)),
    )


@settings(max_examples=80)
@given(models())
def test_text_is_read_back_equal_in_every_part(model: NoiseModel) -> None:
    again = NoiseModel.from_text(model.to_text())
    assert again == model
    assert (again.digest, hash(again), again.to_text()) == (model.digest, hash(model), model.to_text())
    assert (again.gates, again.qubits, again.needs(), again.notes) == (model.gates, model.qubits, model.needs(), model.notes)
    assert model.replace() == model


@settings(max_examples=30)
@given(models(), models())
def test_digests_are_equal_where_models_are(first: NoiseModel, second: NoiseModel) -> None:
    assert (first == second) == (first.digest == second.digest)


def test_minus_zero_is_zero() -> None:
    assert NoiseModel.depolarizing(-0.0, 0.1).digest == NoiseModel.depolarizing(0.0, 0.1).digest


def test_the_entries_of_all_others_are_told_from_those_of_one() -> None:
    one = NoiseModel(qubits={0: QubitNoise(readout=(0.1, 0.2))})
    every = NoiseModel(qubits={"default": QubitNoise(readout=(0.1, 0.2))})
    assert one.digest != every.digest
    assert (one.readout(1), every.readout(1)) == (None, (0.1, 0.2))


GOOD: dict[str, Any] = {
    "format": "qloom-noise",
    "version": 1,
    "name": "two qubits",
    "calibration_id": "2025-11-03",
    "dt_s": 1e-9,
    "native_gates": ["rz", "sx", "cz"],
    "qubits": {
        "0": {"t1_s": 8e-5, "t2_s": 6e-5, "readout": {"p1_given_0": 0.01, "p0_given_1": 0.03}},
        "1": {"t1_s": 7e-5, "t2_s": 9e-5, "excited_population": 0.01},
    },
    "gates": {
        "sx": {"default": {"duration_s": 35e-9, "errors": [{"channel": "depolarizing", "parameters": [2e-4]}]}},
        "cz": {"0-1": {"duration_s": 1e-7, "errors": [{"channel": "two_qubit_depolarizing", "parameters": [5e-3]}]}},
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(GOOD))
    *parents, last = path.split("/")
    inner: Any = document
    for key in parents:
        inner = inner[int(key) if isinstance(inner, list) else key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return document


def test_a_calibration_is_read_as_it_is_written() -> None:
    model = NoiseModel.from_json(GOOD)
    assert (model.calibration_id, model.readout(0), model.readout(1)) == ("2025-11-03", (0.01, 0.03), None)
    assert model.gate("cz", (0, 1)).errors[0].on == (0, 1)
    assert model.gate("cz", (1, 0)) == GateNoise()
    assert model.has(1)
    assert not model.has(2)


@pytest.mark.parametrize(
    ("path", "value", "error", "said"),
    [
        ("format", "qloom", InvalidSetting, 'has "format": "qloom-noise", got'),
        ("version", 2, InvalidSetting, "version 1, got 2"),
        ("version", True, InvalidSetting, "version 1, got True"),
        ("version", ..., InvalidSetting, "version 1, got nothing"),
        ("qbits", {}, UnknownName, "did you mean 'qubits'"),
        ("schedule", "last", UnknownName, "alap"),
        ("dt_s", -1e-9, InvalidSetting, "dt_s is a time"),
        ("native_gates", ["rzz", "cnott"], UnknownName, "did you mean 'cnot'"),
        ("native_gates", "rz", InvalidSetting, "native_gates is a list"),
        ("qubits/0/t1", 5e-5, UnknownName, r"qubits\.0: no field of a qubit called 't1'; did you mean 't1_s'"),
        ("qubits/0/t1_s", -8e-5, InvalidSetting, r"qubits\.0: t1_s is a time in seconds"),
        ("qubits/0/t1_s", "8e-5", InvalidSetting, r"qubits\.0: t1_s is a number"),
        ("qubits/0/t2_s", 17e-5, InvalidSetting, r"qubits\.0: t2_s is 0.00017, over twice"),
        (
            "qubits/0/readout/p1_given_0",
            1.01,
            InvalidSetting,
            r"qubits\.0: readout p\(1\|0\) is a probability.*got 1.01",
        ),
        ("qubits/0/readout/p0_given_1", ..., InvalidSetting, "p0_given_1 is a number, got nothing"),
        ("qubits/1/excited_population", 2, InvalidSetting, r"qubits\.1: excited_population"),
        ("qubits/q1", {}, InvalidSetting, "qubits are written as 3 or 0-1"),
        ("qubits/01", {}, InvalidSetting, "qubits are written as 3 or 0-1"),
        ("gates/ssx", {}, UnknownName, "did you mean"),
        ("gates/sx/default/duration", 1, UnknownName, r"gates\.sx\.default: .* did you mean 'duration_s'"),
        ("gates/sx/default/duration_s", -1, InvalidSetting, "duration_s is a time"),
        ("gates/sx/default/errors/0/channel", "depolarising", UnknownName, "did you mean 'depolarizing'"),
        ("gates/sx/default/errors/0/parameters", [1.5], InvalidSetting, r"gates\.sx\.default: .*0 to 1"),
        ("gates/sx/default/errors/0/parameters", [0.1, 0.1], InvalidSetting, "takes 1 parameter"),
        ("gates/sx/default/errors/0/on", [1], InvalidSetting, "0 to 0"),
        ("gates/cz/0-1-2", {}, InvalidSetting, "cz acts on 2 different qubits"),
        ("gates/cz/1-1", {}, InvalidSetting, "cz acts on 2 different qubits"),
        ("gates/cz/0-1/errors/0/parameters", None, InvalidSetting, "parameters is a list"),
        ("gates", [], InvalidSetting, "gates is an object"),
    ],
)
def test_what_a_calibration_cannot_say_is_refused_with_its_place(
    path: str, value: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        NoiseModel.from_json(changed(path, value))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is JSON, and this is not"),
        ("[1]", "an object with named fields"),
        ('{"format": "qloom-noise", "format": "qloom-noise"}', "'format' stands twice"),
        ('{"dt_s": NaN}', "NaN is no number"),
        ("[" * 100_000, "nested far deeper"),
        (b"\xff", "is JSON, and this is not"),
        ('{"dt_s": ' + "1" * 5_000 + "}", "is JSON, and this is not: Exceeds the limit"),
    ],
)
def test_what_is_no_json_is_refused(text: str | bytes, said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        NoiseModel.from_text(text)


def test_a_file_is_read_back_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path, model = tmp_path / "calibration.json", NoiseModel.from_json(GOOD)
    model.save(path)
    model.save(path)
    assert NoiseModel.load(str(path)) == model
    assert list(tmp_path.iterdir()) == [path]


def test_errors_of_a_file_name_it(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    with pytest.raises(InvalidSetting, match=r"there is no noise model file .*calibration\.json"):
        NoiseModel.load(path)
    path.write_text(json.dumps(changed("qubits/0/t1", 1)))
    with pytest.raises(UnknownName, match=r"calibration\.json: qubits\.0: no field"):
        NoiseModel.load(path)
    with pytest.raises(InvalidSetting, match="cannot be read"):
        NoiseModel.load(tmp_path)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="cannot be written"):
        NoiseModel().save(tmp_path / "missing" / "calibration.json")


def test_usual_models_put_noise_on_every_gate() -> None:
    noise = NoiseModel.depolarizing(0.01, 0.02, readout=(0.1, 0.2))
    steps = noise.apply(Circuit(2).h(0).gate("rzz", 0, 1, angles=[0.5])).instructions
    assert [(step.name, step.parameters) for step in steps[1::2]] == [
        ("depolarizing", (0.01,)),
        ("two_qubit_depolarizing", (0.02,)),
    ]
    assert noise.readout(7) == (0.1, 0.2)
    assert noise.needs() == {"depolarizing", "two_qubit_depolarizing"}


def test_the_file_in_the_documentation_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "noise-model.md").read_text(encoding="utf-8")
    model = NoiseModel.from_text(page.split("```json calibration.json")[1].split("```")[0])
    assert (model.name, model.gate("sx", (1,)).errors[0].parameters) == ("two transmons", (9e-4,))
