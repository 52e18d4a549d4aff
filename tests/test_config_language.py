"""What a config may say: short forms, constants, `extends`, `--set`, standard input; and that it is written back whole."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fitkit.config import Config, ConfigSource, load, plain_values, resolved
from fitkit.config.kinds import kind_name
from fitkit.errors import ConfigError, FitkitError
from fitkit.expressions import parse, parse_equation
from fitkit.losses import LOSSES
from fitkit.losses.huber import Huber
from fitkit.losses.mse import MeanSquaredError
from fitkit.models import FormulaModel, PythonModel
from fitkit.optimizers import Automatic
from fitkit.optimizers.adam import Adam
from fitkit.optimizers.sgd import StochasticGradientDescent
from fitkit.parameters import Parameter
from fitkit.readers import Data
from fitkit.uncertainty import Covariance, NoUncertainty
from fitkit.yaml_text import dump

BASE = "data: points.csv\nmodel: y ~ a * x + b\nparameters: {a: 1, b: 2}\n"


def read(text: str, *overrides: str) -> Config:
    return source(text, *overrides).config


def source(text: str, *overrides: str) -> ConfigSource:
    return load("-", overrides, stdin=io.StringIO(text))


def refusals(text: str, *overrides: str) -> list[tuple[str, str | None, int | None, int | None]]:
    with pytest.raises(ConfigError) as caught:
        load("-", overrides, stdin=io.StringIO(text))
    return [(d.code, d.file, d.line, d.column) for d in caught.value.diagnostics]


def test_the_smallest_config_has_every_default() -> None:
    config = read("data: ../d/Misra1a.csv\nmodel: y ~ b1 * (1 - exp(-b2 * x))\nparameters: {b1: 500, b2: 1e-4}\n")
    assert config == Config(
        name="stdin",
        data=Data(path="../d/Misra1a.csv"),
        model=FormulaModel(formula=parse_equation("y ~ b1 * (1 - exp(-b2 * x))")),
        parameters={"b1": Parameter(start=500.0), "b2": Parameter(start=1e-4)},
    )
    assert (config.loss, config.optimizer, config.uncertainty) == (MeanSquaredError(), Automatic(), Covariance())
    assert isinstance(config.parameters["b1"].start, float)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("loss: huber", "loss: {kind: huber}"),
        ("optimizer: adam", "optimizer: {kind: adam}"),
        ("uncertainty: none", "uncertainty: {kind: none}"),
        ("uncertainty: {level: 0.9}", "uncertainty: {kind: covariance, level: 0.9}"),
        ("seed: 1e3", "seed: 1000"),
        ("seed: 2*50", "seed: 100"),
        ("seed: 017", "seed: 17"),
        ("regularization: {l2: 1/2}", "regularization: {l2: 0.5}"),
        ("loss: {kind: huber, delta: log(e_)}".replace("e_", "2"), "loss: {kind: huber, delta: 0.6931471805599453}"),
        ("stopping: {max_steps: 0x10}", "stopping: {max_steps: 16}"),
        ("description: no", "description: 'no'"),
        ("description:", ""),
    ],
)
def test_two_ways_to_say_the_same(short: str, long: str) -> None:
    assert read(BASE + short) == read(BASE + long)


def test_sections_and_parameters_in_their_short_and_long_forms() -> None:
    long = "data: {path: points.csv}\nmodel: {kind: formula, formula: y ~ a * x + b}\nparameters: {a: {start: 1}, b: 4/2}\n"
    assert read(BASE) == read(long) == read(long.replace("kind: formula, ", ""))


def test_definitions_are_used_in_order() -> None:
    config = read(
        "data: p.csv\ndefinitions: {p: exp(-k * t), q: 2 * p}\nmodel: y ~ a * q\n"
        "parameters: {a: 1, k: 1, h: {equals: log(2) / k}}\nloss: {kind: residual, expression: (target - prediction) / q}\n"
    )
    assert isinstance(config.model, FormulaModel)
    p = parse("exp(-k * t)")
    assert config.model.formula == parse_equation("y ~ a * q", {"p": p, "q": parse("2 * p", {"p": p})})
    assert config.loss.names == {"k", "t"}


def test_data_in_full() -> None:
    data = read(
        "data: {path: d.txt, columns: {t: 'Time (s)'}, delimiter: ';', decimal: ',', comment: '%', skip: 2, weights: w,\n"
        "  where: t > 0.5 and state == 'treated', missing: drop}\nmodel: y ~ a * t\nparameters: {a: 1}\n"
    ).data
    assert data == Data(
        path="d.txt",
        columns={"t": "Time (s)"},
        delimiter=";",
        decimal=",",
        comment="%",
        skip=2,
        weights="w",
        where="t > 0.5 and state == 'treated'",
        missing="drop",
    )
    values = read(
        "data: {values: {x: [1, 2.5, null], s: [u, v, w]}, sigma: 1}\nmodel: x ~ a\nparameters: {a: 1}\n"
    ).data
    assert values == Data(values={"x": [1.0, 2.5, None], "s": ["u", "v", "w"]}, sigma=1.0)
    assert read(BASE.replace("points.csv", "{path: p.txt, columns: [x, y], sigma: e}")).data == Data(
        path="p.txt", columns=["x", "y"], sigma="e"
    )


def test_a_model_with_own_parameters_needs_no_starts() -> None:
    text = "data: p.csv\nmodel: {kind: linear, inputs: [x], target: y}\nparameters: {x: {min: 2}, intercept: %s}\n"
    assert read(text % "{min: 1, scale: log}").parameters["x"] == Parameter(min=2)


def test_an_objective() -> None:
    config = read("minimize: (1 - a)**2\nparameters: {a: 0}\n")
    assert config.minimize == parse("(1 - a)**2")
    assert (config.data, config.model) == (None, None)


def test_the_name_is_the_stem(tmp_path: Path) -> None:
    (tmp_path / "decay.v2.yaml").write_text(BASE)
    loaded = load(str(tmp_path / "decay.v2.yaml"))
    assert (loaded.config.name, loaded.base, loaded.shown) == ("decay.v2", tmp_path, str(tmp_path / "decay.v2.yaml"))


@pytest.mark.parametrize(
    ("overrides", "changes"),
    [
        (["optimizer=adam"], {"optimizer": Adam()}),
        (["optimizer.kind=adam", "optimizer.learning_rate=1e-2"], {"optimizer": Adam(learning_rate=0.01)}),
        (["optimizer=sgd", "optimizer.momentum=1/2"], {"optimizer": StochasticGradientDescent(momentum=0.5)}),
        (["loss={kind: huber, delta: 2}"], {"loss": Huber(delta=2.0)}),
        (["uncertainty=none"], {"uncertainty": NoUncertainty()}),
        (["seed= 7 "], {"seed": 7}),
        (["description=a: b # c"], {"description": "a: b # c"}),
        (["description='7'"], {"description": "7"}),
        (["description=x=y"], {"description": "x=y"}),
        (["parameters.b.min=0"], {"parameters": {"a": Parameter(start=1), "b": Parameter(start=2, min=0)}}),
        (["parameters.b=5"], {"parameters": {"a": Parameter(start=1), "b": Parameter(start=5)}}),
        (
            ["parameters.c={start: 1, min: 0}", "model=y ~ c * x"],
            {
                "parameters": {"a": Parameter(start=1), "b": Parameter(start=2), "c": Parameter(start=1, min=0)},
                "model": FormulaModel(formula=parse_equation("y ~ c * x")),
            },
        ),
        (["data.sigma=0.5"], {"data": Data(path="points.csv", sigma=0.5)}),
        (["data.columns=[u, v]", "data.columns.1=y"], {"data": Data(path="points.csv", columns=["u", "y"])}),
    ],
)
def test_overrides(overrides: list[str], changes: dict[str, Any]) -> None:
    found = read(BASE, *overrides)
    assert {key: getattr(found, key) for key in changes} == changes


@pytest.mark.parametrize(
    ("override", "code", "column"),
    [
        ("optimizer.learning_rat=0.1", "E104", 11),
        ("loss=hubber", "E107", 6),
        ("stopping.gtol=-1", "E109", 15),
        ("model=y ~ a * (x", "E203", 15),
        ("parameters.a={start: 1, mni: 0}", "E104", 25),
        ("loss={kind: huber", "E102", 6),
        ("seed", "E115", 1),
        ("=3", "E115", 1),
        ("seed.x=3", "E115", 6),
        ("data..x=3", "E115", 6),
        ("extends=b.yaml", "E115", 1),
        ("data.columns.2=z", "E115", 14),
        ("data.columns.x=z", "E115", 14),
        ("name=a/b", "E113", 6),
        ("seed=", "E108", 1),
    ],
)
def test_a_mistake_in_an_override_points_at_the_argument(override: str, code: str, column: int) -> None:
    text = "seed: 1\noptimizer: adam\n" + BASE.replace("points.csv", "{path: p.csv, columns: [x, y]}")
    assert refusals(text, override) == [(code, f"--set {override}", 1, column)]


def test_an_override_leaves_the_places_of_what_it_does_not_set() -> None:
    loaded = source(BASE, "parameters.b.start=5")
    assert loaded.diagnostic(("parameters", "b"), "E999", "found later").file == "-"
    assert loaded.diagnostic(("parameters", "b", "start"), "E999", "found later").file == "--set parameters.b.start=5"


def test_mistakes_of_the_config_come_first() -> None:
    found = refusals(BASE + "los: mse\n", "sed=1", "devise=cpu")
    assert [place[1] for place in found] == ["-", "--set devise=cpu", "--set sed=1"]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fits").mkdir()
    (tmp_path / "base.yaml").write_text(
        "data: {path: d/points.csv, sigma: e}\nmodel: y ~ a * x + b\nparameters: {a: {start: 1, min: 0}, b: 2}\n"
        "optimizer: {kind: adam, beta1: 0.5}\nloss: {kind: huber, delta: 2}\n"
    )
    return tmp_path


def extended(text: str, file: str = "fits/fit.yaml") -> Config:
    Path(file).write_text(text)
    return load(file).config


@pytest.mark.usefixtures("tree")
def test_maps_merge_and_the_rest_is_replaced() -> None:
    config = extended(
        "extends: base.yaml\nparameters: {b: {max: 9}, a: 3}\noptimizer: {learning_rate: 1}\nloss: {delta: 3}\n",
        "f.yaml",
    )
    assert config.parameters == {"a": Parameter(start=3, min=0), "b": Parameter(start=2, max=9)}
    assert list(config.parameters) == ["a", "b"]
    assert config.optimizer == Adam(beta1=0.5, learning_rate=1.0)
    assert config.loss == Huber(delta=3.0)
    assert config.data == Data(path="d/points.csv", sigma="e")


@pytest.mark.usefixtures("tree")
def test_a_component_of_another_kind_keeps_nothing() -> None:
    assert extended("extends: base.yaml\noptimizer: sgd\n", "f.yaml").optimizer == StochasticGradientDescent()
    assert extended("extends: base.yaml\nloss: mse\n", "f.yaml").loss == MeanSquaredError()


@pytest.mark.usefixtures("tree")
def test_a_parent_above_keeps_its_paths() -> None:
    data = extended("extends: ../base.yaml\n").data
    assert data is not None
    assert data.path == "../d/points.csv"


def failing(text: str, file: str = "fits/fit.yaml") -> tuple[str, str | None, int | None, int | None, str]:
    Path(file).write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    first = caught.value.diagnostics[0]
    return first.code, first.file, first.line, first.column, f"{first.message} | {first.help}"


@pytest.mark.usefixtures("tree")
def test_a_mistake_in_a_parent_points_at_the_parent() -> None:
    Path("base.yaml").write_text(BASE + "seed: -1\n")
    assert failing("extends: base.yaml\n", "f.yaml")[:4] == ("E109", "base.yaml", 4, 7)
    Path("base.yaml").write_text(BASE + "seed: [1\n")
    assert failing("extends: base.yaml\n", "f.yaml")[:4] == ("E102", "base.yaml", 4, 7)


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends: bse.yaml\n", "did you mean `base.yaml`?"),
        ("extends: fits\n", "folder"),
        ("extends: [base.yaml]\n", "one file"),
        ("extends:\n", "one file"),
        ("extends: f.yaml\n", "circle: f.yaml -> f.yaml"),
        ("extends: ../other.yaml\n", "own tree"),
        ("extends: /etc/passwd\n", "own tree"),
    ],
)
def test_a_parent_that_cannot_be(text: str, words: str) -> None:
    found = failing(text, "f.yaml")
    assert found[:3] == ("E114", "f.yaml", 1)
    assert words in found[4]


@pytest.mark.usefixtures("tree")
def test_a_link_does_not_lead_out_of_the_tree(tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.yaml"
    outside.write_text("seed: 1\n")
    Path("link.yaml").symlink_to(outside)
    assert "own tree" in failing("extends: link.yaml\n", "f.yaml")[4]


@pytest.mark.usefixtures("tree")
def test_a_parent_does_not_stand_in_a_folder_beside() -> None:
    Path("other").mkdir()
    Path("other/base.yaml").write_text(BASE)
    assert "own tree" in failing("extends: ../other/base.yaml\n")[4]


@pytest.mark.usefixtures("tree")
def test_parents_end_after_eight() -> None:
    Path("p0.yaml").write_text(BASE)
    for level in range(1, 10):
        Path(f"p{level}.yaml").write_text(f"extends: p{level - 1}.yaml\n")
    assert load("p8.yaml").config.data == Data(path="points.csv")
    with pytest.raises(ConfigError, match="more than 8"):
        load("p9.yaml")
    Path("p0.yaml").write_text("extends: p3.yaml\n")
    with pytest.raises(ConfigError, match=r"p3.yaml -> p2.yaml -> p1.yaml -> p0.yaml -> p3.yaml"):
        load("p3.yaml")


def test_later_stages_point_at_keys() -> None:
    text = "data: p.csv\nmodel: y ~ a * x\nparameters:\n  a: {start: 5, min: 0}\nloss: huber\n"
    loaded = source(text)
    places = {
        ("parameters", "a", "start"): (4, 7, 5),
        ("parameters", "a", "max"): (4, 3, 1),
        ("parameters", "b", "start"): (3, 1, 10),
        ("model", "formula"): (2, 8, 9),
        ("loss", "delta"): (5, 1, 4),
        ("stopping", "gtol"): (1, 1, 1),
    }
    for path, place in places.items():
        found = loaded.diagnostic(path, "E999", "found later")
        assert (found.line, found.column, found.length) == place, path
    value = loaded.diagnostic(("parameters", "a", "start"), "E999", "found later", value=True)
    assert (value.line, value.column) == (4, 14)


# ---- laws ----

numbers = st.floats(1e-3, 1e3).map(lambda x: float(f"{x:.6g}"))
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
parameter = st.one_of(
    numbers,
    st.fixed_dictionaries(
        {"start": numbers}, optional={"fixed": st.booleans(), "scale": st.sampled_from(["log", "linear"])}
    ),
    st.fixed_dictionaries({"start": st.just(5.0), "min": st.just(0), "max": st.just(2e3)}),
    st.just({"equals": "2 * a"}),
)
losses = st.one_of(
    st.sampled_from(["mse", "cauchy", {"kind": "soft_l1", "scale": 0.25}, {"kind": "huber", "delta": "1/3"}]),
    st.just({"kind": "residual", "expression": "(target - prediction) / sqrt(p)"}),
    st.just({"kind": "expression", "expression": "log(cosh(prediction - target))"}),
)
data = st.one_of(
    st.just("points.csv"),
    st.fixed_dictionaries(
        {"path": texts}, optional={"sigma": texts | numbers, "where": st.just("x > 1"), "skip": st.just(2)}
    ),
    st.fixed_dictionaries({"values": st.fixed_dictionaries({"x": st.lists(numbers | st.none() | texts, max_size=3)})}),
)
models = st.sampled_from(
    [
        "y ~ a * x + p",
        {"formula": "log(y) ~ a * x"},
        {"kind": "polynomial", "input": "x", "target": "y", "degree": 2},
        {"kind": "linear", "inputs": ["x", "z"], "target": "y", "intercept": False},
        {"kind": "python", "function": "m.py:f", "inputs": ["x"], "target": "y"},
    ]
)
configs = st.fixed_dictionaries(
    {"data": data, "model": models, "parameters": st.fixed_dictionaries({"a": numbers, "b": parameter})},
    optional={
        "description": texts,
        "definitions": st.just({"p": "exp(-x)", "q": "p ** 2"}),
        "loss": losses,
        "regularization": st.fixed_dictionaries({"l2": numbers}),
        "optimizer": st.sampled_from(["auto", "adam", {"kind": "sgd", "momentum": 0.5, "nesterov": True}]),
        "stopping": st.fixed_dictionaries({}, optional={"gtol": numbers, "allow_flat": st.booleans()}),
        "uncertainty": st.sampled_from(["none", {"level": 0.5}]),
        "seed": st.integers(0, 2**40),
        "precision": st.sampled_from(["auto", "float32"]),
    },
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(configs)
def test_what_is_resolved_loads_back_to_the_same(values: dict[str, Any]) -> None:
    if isinstance(values["model"], dict) and values["model"].get("kind") in {"polynomial", "linear"}:
        values["parameters"] = {}
    if isinstance(values["data"], dict) and isinstance(values.get("loss"), dict):
        values["data"].pop("sigma", None)  # the loss `expression` refuses it
    loaded = source(dump(values))
    assert read(resolved(loaded)) == loaded.config


def test_a_resolved_objective_loads_back() -> None:
    loaded = source("minimize: (1 - a)**2\nparameters: {a: 0}\n")
    assert read(resolved(loaded)) == loaded.config


def test_a_resolved_path_leads_to_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "fit.yaml").write_text(BASE)
    text = resolved(load(str(tmp_path / "fit.yaml")), tmp_path / "runs" / "fit")
    assert "path: ../../points.csv" in text


def test_a_loaded_function_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("def f(parameters, inputs):\n    return inputs['x']\n")
    model = PythonModel(function="m.py:f", inputs=("x",), target="y")
    assert plain_values(model.load(tmp_path)) == plain_values(model)
    assert set(plain_values(model)) == {"kind", "function", "inputs", "target"}


def test_every_loss_can_be_named() -> None:
    for loss in LOSSES:
        kind = kind_name(loss)
        words = {
            "residual": "expression: prediction",
            "expression": "expression: prediction",
            "gaussian_nll": "sigma: 2",
        }.get(kind, "")
        config = read(BASE + f"optimizer: adam\nloss: {{kind: {kind}, {words}}}\n")
        assert type(config.loss) is loss


KEYS = tuple(Config.__dataclass_fields__)
SCRAPS = (
    "start",
    "min",
    "p.csv",
    "a",
    "x",
    "mse",
    "1e-3",
    "huber",
    "values",
    "no",
    "null",
    "0",
    "-1",
    "columns",
    "where",
)
MARKS = ("[", "]", "{", "}", "'", '"', ":", "*a", "true", ".nan", "extends", "equals", "sigma")
words = st.sampled_from([*KEYS, *SCRAPS, *MARKS, "y ~ a * x", ": ", "\n", "\n  ", ", ", "- ", "&a ", "!t ", "9" * 30])


@settings(max_examples=400)
@given(st.lists(words, max_size=30).map("".join) | st.text(max_size=40))
def test_any_text_is_a_config_or_a_told_mistake(text: str) -> None:
    try:
        assert isinstance(read(text), Config)
    except FitkitError as error:
        error.render()


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["mse", "sgd", "a", "x", "1/0", "y ~ x", "", "*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["kind", "start", "path", "formula", "a", "inputs", "values", "columns", "x", "level", "equals"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=400)
@given(
    st.dictionaries(
        st.sampled_from([*Config.__dataclass_fields__, "extends", "matrix"]), anything, min_size=1, max_size=6
    )
)
def test_any_values_are_a_config_or_a_told_mistake(values: dict[str, Any]) -> None:
    try:
        assert isinstance(read(dump(values)), Config)
    except FitkitError as error:
        error.render()


@given(st.text(max_size=30) | st.lists(words, max_size=10).map("".join))
def test_any_override_is_taken_or_told(argument: str) -> None:
    try:
        read(BASE, argument)
    except FitkitError as error:
        error.render()
