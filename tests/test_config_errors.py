"""Mistakes in a config: all at once, each with its code, its line and column, and a way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fitkit.config import load
from fitkit.errors import ConfigError, Diagnostic

Refuse = Callable[[str], list[Diagnostic]]
BASE = "data: points.csv\nmodel: y ~ a * x + b\nparameters: {a: 1, b: 2}\n"


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refuse:
    monkeypatch.chdir(tmp_path)

    def refuse(text: str) -> list[Diagnostic]:
        Path("fit.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load("fit.yaml")
        for diagnostic in caught.value.diagnostics:
            assert diagnostic.line is None or (diagnostic.column is not None and diagnostic.file == "fit.yaml")
        return list(caught.value.diagnostics)

    return refuse


def one(found: list[Diagnostic]) -> tuple[str, int | None, int | None, str]:
    assert len(found) == 1, [diagnostic.message for diagnostic in found]
    return found[0].code, found[0].line, found[0].column, f"{found[0].message} | {found[0].help}"


def test_five_mistakes_are_five_messages(refuse: Refuse) -> None:
    found = refuse("""\
data: {path: points.csv, sigm: e}
model: y ~ a * exp(-b * t
parameters:
  a: {start: 5, min: 0, max: 1}
  b: 1e-3
optimizer:
  kind: sgd
  momentum: 1.5
  learning_rat: 0.1
""")
    assert [(d.code, d.line, d.column, d.length) for d in found] == [
        ("E104", 1, 26, 4),
        ("E203", 2, 19, 1),
        ("E112", 4, 14, 1),
        ("E109", 8, 13, 3),
        ("E104", 9, 3, 12),
    ]
    assert found[3].message == "`momentum` must be below 1, not 1.5"
    assert (
        found[4].render()
        == """\
error[E104]: unknown key `learning_rat` for optimizer `sgd`
 --> fit.yaml:9:3
   |
9  |   learning_rat: 0.1
   |   ^^^^^^^^^^^^
   = help: did you mean `learning_rate`?"""
    )


def test_more_than_twenty_mistakes_are_cut(refuse: Refuse) -> None:
    found = refuse(BASE + "".join(f"key_{index}: 1\n" for index in range(25)))
    assert len(found) == 25
    assert ConfigError(*found).render().endswith("... and 5 more")


@pytest.mark.parametrize(
    ("line", "code", "column", "words"),
    [
        ("fitkit: 2", "E107", 9, "version 1"),
        ("los: mse", "E104", 1, "did you mean `loss`?"),
        ("learning_rate: 1", "E104", 1, "it is a key of `optimizer`"),
        ("loss: hubber", "E107", 7, "did you mean `huber`?"),
        ("loss: {delta: 2}", "E105", 1, "`loss` needs `kind`"),
        ("loss: {kind: huber, delta: 0}", "E109", 28, "`delta` must be above 0, not 0"),
        ("loss: {kind: huber, delta: no}", "E209", 28, "`no`"),
        ("loss: {kind: huber, delta: true}", "E108", 28, "must be a number, not true"),
        ("loss: {kind: huber, delta: .inf}", "E108", 28, "must be a finite number, not .inf"),
        ("loss: {kind: huber, delta: .nan}", "E108", 28, "must be a finite number, not .nan"),
        ("loss: {kind: huber, delta: 1e999}", "E108", 28, "must be a finite number"),
        ("loss: {kind: huber, delta: [1]}", "E108", 28, "must be a number, not a list"),
        ("loss: {kind: huber, delta: 1/0}", "E207", 28, ""),
        ("loss: {kind: residual}", "E105", 1, "`loss` needs `expression`"),
        ("loss: {kind: expression, expression: log(cosh(prediction - )}", "E203", 60, ""),
        ("loss: [mse]", "E108", 7, "a kind or a map"),
        ("loss:", "E108", 1, "is empty"),
        ("optimizer: {kind: lm, epochs: 5}", "E104", 23, "it is a key of `sgd` and `adam`"),
        ("optimizer: {kind: 3}", "E108", 19, "must be a word, not 3"),
        ("optimizer: {kind: [lm]}", "E108", 19, "must be a word, not a list"),
        ("optimizer: {kind: }", "E108", 13, "is empty"),
        ("fitkit: true", "E108", 9, "whole number"),
        ("optimizer: {kind: adam, epochs: 2.5}", "E108", 33, "must be a whole number, not 2.5"),
        ("optimizer: {kind: adam, epochs: true}", "E108", 33, "must be a whole number, not true"),
        ("optimizer: {kind: adam, epochs: 0}", "E109", 33, "must be at least 1, not 0"),
        ("optimizer: {kind: adam, batch_size: 99999999999999999999}", "E108", 37, "2**63"),
        ("optimizer: {kind: sgd, nesterov: yes}", "E108", 34, "must be true or false, not `yes`"),
        ("optimizer: {kind: sgd, nesterov: true}", "E111", 24, "momentum"),
        ("stopping: {gtol: -1}", "E109", 18, "at least 0"),
        ("stopping: 5", "E108", 11, "must be a map, not 5"),
        ("uncertainty: {level: 1}", "E109", 22, "must be below 1, not 1"),
        ("precision: floot32", "E107", 12, "did you mean `float32`?"),
        ("device: 3", "E107", 9, "one of `auto`, `cpu`, `gpu`, `tpu`"),
        ("seed: -1", "E109", 7, "at least 0"),
        ("name: 12", "E108", 7, "quote it"),
        ("name: a/b", "E113", 7, "folder"),
        ("name: ..", "E113", 7, "folder"),
        ("definitions: {exp: 3}", "E113", 15, "function"),
        ("definitions: {a: x}", "E113", 15, "both a definition and a parameter"),
        ("definitions: {p: q, q: x}", "E113", 18, "defined below"),
        ("definitions: {p: p + 1}", "E113", 18, "itself"),
        ("definitions: {p: x +}", "E203", 20, ""),
        ("definitions: [1]", "E108", 14, "must be a map of names"),
        ("minimize: (1 - a)**2", "E111", None, "exclude"),
    ],
)
def test_a_mistake_in_one_section(refuse: Refuse, line: str, code: str, column: int | None, words: str) -> None:
    found = refuse(BASE + line + "\n")
    if column is None:
        assert [(d.code, d.line) for d in found] == [(code, 1), (code, 2)]
    else:
        assert one(found)[:3] == (code, 4, column)
    assert words in f"{found[0].message} | {found[0].help}"


@pytest.mark.parametrize(
    ("entry", "code", "column", "words"),
    [
        ("{}", "E112", 3, "needs a `start`"),
        ("", "E108", 3, "is empty"),
        ("true", "E108", 6, "not true"),
        ("{strat: 1}", "E104", 7, "did you mean `start`?"),
        ("{start: 5, max: 1}", "E112", 14, "above its `max` 1"),
        ("{start: -5, min: -1}", "E112", 14, "below its `min` -1"),
        ("{start: 1, min: 2, max: 2}", "E112", 17, "nothing lies between"),
        ("{start: 0, scale: log}", "E112", 14, "above 0, not 0"),
        ("{start: 1, min: -1, scale: log}", "E112", 22, "0 or above, not -1"),
        ("{start: 1, scale: lgo}", "E107", 24, "did you mean `log`?"),
        ("{fixed: true}", "E112", 7, "fixed"),
        ("{equals: 2*a, start: 1}", "E111", 20, "exclude"),
        ("{equals: 2*a, fixed: true}", "E111", 20, "exclude"),
        ("{equals: 2*x}", "E120", 17, "not a parameter"),
        ("{equals: c + 1}", "E112", 7, "tied to itself"),
        ("{start: log(-1)}", "E207", 14, ""),
        ("{start: 'log(pi, 2, 3)'}", "E204", 15, ""),
    ],
)
def test_a_mistake_in_one_parameter(refuse: Refuse, entry: str, code: str, column: int, words: str) -> None:
    found = refuse(f"data: p.csv\nmodel: y ~ a * x + c\nparameters:\n  a: 1\n  c: {entry}\n")
    assert one(found)[:3] == (code, 5, column)
    assert words in f"{found[0].message} | {found[0].help}"


def test_a_comma_that_ends_a_formula_is_explained(refuse: Refuse) -> None:
    found = refuse(BASE + "definitions: {p: maximum(a, 2)}\n")
    assert [(d.code, d.line, d.column) for d in found] == [("E203", 4, 25), ("E113", 4, 29)]
    assert all(d.help is not None and "quote" in d.help for d in found)


@pytest.mark.parametrize("name", ["sin", "1a", "a b", "é", "not"])
def test_names_that_are_not_allowed(refuse: Refuse, name: str) -> None:
    assert one(refuse(BASE.replace("{a: 1", f"{{{name}: 1, a: 1")))[:3] == ("E113", 3, 14)


def test_circular_ties_are_named(refuse: Refuse) -> None:
    text = "minimize: a\nparameters:\n  a: 1\n  b: {equals: c}\n  c: {equals: b}\n"
    code, line, column, words = one(refuse(text))
    assert (code, line, column) == ("E112", 4, 7)
    assert "b -> c -> b" in words


@pytest.mark.parametrize(
    ("data", "code", "column", "words"),
    [
        ("{sigma: 1}", "E105", 1, "neither `path` nor `values`"),
        ("{path: p.csv, values: {x: [1], y: [2]}}", "E111", 21, "exclude"),
        ("{path: p.csv, sigma: e, weights: w}", "E111", 31, "exclude"),
        ("{path: p.csv, sigma: 0}", "E109", 28, "above 0"),
        ("{path: p.csv, sigma: [1]}", "E108", 28, "a text or a number, not a list"),
        ("{path: p.csv, skip: 1.5}", "E108", 27, "whole number"),
        ("{path: p.csv, delimiter: ab}", "E108", 32, "one character"),
        ("{path: p.csv, decimal: x}", "E107", 30, "one of `.`, `,`"),
        ("{path: p.csv, columns: 3}", "E108", 30, "a map or a list, not 3"),
        ("{path: p.csv, columns: {t: 3}}", "E108", 34, "must be a text, not 3"),
        ("{path: p.csv, where: x >}", "E203", 30, ""),
        ("{values: {x: [1, true], y: [1, 2]}}", "E108", 24, "entry 2 of `x`"),
        ("{values: {x: [1], y: [2]}, skip: 2}", "E111", 34, "`values` is none"),
        ("3", "E108", 7, "must be a map, not 3"),
    ],
)
def test_a_mistake_in_the_data(refuse: Refuse, data: str, code: str, column: int, words: str) -> None:
    found = refuse(f"data: {data}\nmodel: y ~ a * x\nparameters: {{a: 1}}\n")
    assert one(found)[:3] == (code, 1, column)
    assert words in f"{found[0].message} | {found[0].help}"


@pytest.mark.parametrize(
    ("rest", "code", "line", "words"),
    [
        ("model: {kind: linear, inputs: [x], target: y}\nparameters: {interceptt: 1}", "E120", 3, "mean `intercept`?"),
        ("model: {kind: linear, inputs: x, target: y}", "E108", 2, "must be a list, or `*` for all columns, not `x`"),
        ("model: {kind: linear, inputs: [x]}", "E105", 2, "needs `target`"),
        ("model: {kind: polynomial, input: x, target: y, degree: 61}", "E109", 2, "at most 60"),
        ("model: {kind: python, function: 'm.py:f', inputs: [x], target: y}", "E105", 2, "needs `parameters`"),
        ("model: {kind: linear, inputs: [], target: y}", "E105", 2, "`inputs` is empty"),
        ("model: {kind: linear, inputs: [x, x], target: y}", "E106", 2, "twice"),
        ("model: {kind: linear, inputs: [x, y], target: y}", "E111", 2, "both the target and an input"),
        ("model: {kind: linear, inputs: [intercept], target: y}", "E113", 2, "constant term"),
        ("model: {kind: polynomial, input: y, target: y, degree: 1}", "E111", 2, "both the target and an input"),
        ("model: {kind: linear, inputs: [x], target: y}\nparameters: {x: {scale: log}}", "E112", 3, "no logarithm"),
        ("model: {kind: linear, inputs: [x], target: y}\nparameters: {x: {fixed: true}}", "E112", 3, "is fixed"),
        ("model: {kind: formular}", "E107", 2, "did you mean `formula`?"),
        ("model: y = a * x", None, 2, "~"),
        ("model: [y, x]", "E108", 2, "must be a kind or a map"),
    ],
)
def test_a_mistake_in_the_model(refuse: Refuse, rest: str, code: str | None, line: int, words: str) -> None:
    found = refuse(f"data: p.csv\n{rest}\n")
    assert one(found)[1] == line
    assert code is None or found[0].code == code
    assert words in f"{found[0].message} | {found[0].help}"


def test_a_fit_needs_data_and_a_model_or_an_objective(refuse: Refuse) -> None:
    assert one(refuse("model: y ~ x\n"))[:3] == ("E105", 1, 1)
    assert "`data` and no `model`" in one(refuse("name: empty\n"))[3]
    assert one(refuse("just words\n"))[0] == "E108"


@pytest.mark.parametrize("loss", ["poisson", "binary_cross_entropy", "{kind: expression, expression: prediction}"])
def test_sigma_means_nothing_under_some_losses(refuse: Refuse, loss: str) -> None:
    found = refuse(BASE.replace("points.csv", "{path: p.csv, sigma: e}") + f"loss: {loss}\n")
    assert one(found)[:3] == ("E111", 1, 21)


@pytest.mark.parametrize("rest", ["loss: poisson", "loss: {kind: expression, expression: prediction - target}"])
def test_lm_needs_residuals(refuse: Refuse, rest: str) -> None:
    found = refuse(BASE + f"{rest}\noptimizer: lm\n")
    assert one(found)[:3] == ("E111", 5, 12)
    assert "`lbfgs`" in one(found)[3]


@pytest.mark.parametrize("rest", ["loss: mae", "loss: quantile", "regularization: {l1: 0.1}"])
def test_newton_needs_a_smooth_objective(refuse: Refuse, rest: str) -> None:
    found = refuse(BASE + f"{rest}\noptimizer: newton\n")
    assert one(found)[:3] == ("E111", 5, 12)
    assert "`lbfgs`" in one(found)[3]


def test_lm_does_not_minimize_an_objective(refuse: Refuse) -> None:
    assert one(refuse("minimize: a**2\nparameters: {a: 1}\noptimizer: lm\n"))[:3] == ("E111", 3, 12)


def test_batches_need_rows(refuse: Refuse) -> None:
    found = refuse("minimize: a**2\nparameters: {a: 1}\noptimizer: {kind: adam, batch_size: 3}\n")
    assert one(found)[:3] == ("E111", 3, 25)


def test_yaml_mistakes_and_others_are_told_together(refuse: Refuse) -> None:
    found = refuse(BASE + "loss: &x mse\nname: *x\nname: a\nseed: !int 3\nstoping: {}\n")
    assert [(d.code, d.line) for d in found] == [("E103", 4), ("E103", 5), ("E106", 6), ("E103", 7), ("E104", 8)]


def test_the_caret_stands_inside_a_formula_of_several_lines(refuse: Refuse) -> None:
    found = refuse(
        "data: p.csv\nmodel:\n  kind: formula\n  formula: >\n    y ~ a * x +\n    b * * 2\nparameters: {a: 1}\n"
    )
    assert one(found)[1:3] == (6, 9)


@pytest.mark.parametrize("path", ["absent.yaml", ".", "absent/fit.yaml", "f\0.yaml"])
def test_a_config_that_cannot_be_read(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.diagnostics[0].code == "E100"


def test_names_are_checked_beside_other_mistakes(tmp_path: Path) -> None:
    text = "data: {values: {x: [1, 2], y: [1, 2]}}\nmodel: y ~ slope * X + offset\nloss: msee\n"
    text += "parameters: {slop: 1, offset: 0}\n"
    (tmp_path / "fit.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(str(tmp_path / "fit.yaml"))
    told = [(d.code, d.line, d.column, d.help) for d in caught.value.diagnostics]
    assert told == [
        ("E120", 2, 12, "did you mean `slop`?"),
        ("E120", 2, 20, "did you mean `x`?"),
        ("E107", 3, 7, "did you mean `mse`?"),
    ]
