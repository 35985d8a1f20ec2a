from __future__ import annotations

from pathlib import Path

import pytest

from tts import ConfigError, Problem
from tts.prompts import Prompt, Prompts, check_template


def render(template: str, **variables: object) -> str:
    return Prompts([], {"role": template}).render("role", **variables).messages[0].content


@pytest.mark.parametrize("text", ["{{ 7 * 7 }}", "{% for x in y %}", "{# gone #}", "}}{{"])
def test_problem_text_is_never_a_template(text: str) -> None:
    assert render("{{ problem }}!", problem=Problem(text=text)) == f"{text}!"


@pytest.mark.parametrize(
    "template",
    [
        "{{ missing }}",
        "{{ 1 / 0 }}",
        "{{ 'a' + 1 }}",
        "{{ range(10 ** 9) }}",
        "{% for %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ problem.model_config.__class__.__base__.__subclasses__() }}",
    ],
)
def test_bad_template_is_a_config_error(template: str) -> None:
    with pytest.raises(ConfigError, match="prompt 'role'"):
        render(template, problem=Problem(text="q"))


@pytest.mark.parametrize(
    "template", ["{% for %}", "{{ oops }", "{{ a | none_such }}", "{% if x %}"]
)
def test_what_is_no_template_is_found_without_variables(template: str) -> None:
    with pytest.raises(ConfigError, match="not a template"):
        check_template(template)


def test_template_needs_no_variables_to_be_checked() -> None:
    check_template("{% for solution in solutions %}{{ solution }}{% endfor %}{{ 1 / 0 }}")
    with pytest.raises(ConfigError, match="not a template"):
        check_template("{% for solution in solutions %}")


def test_first_folder_wins_and_override_beats_all(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "solve.j2").write_text(f"{name}\n")
    folders = [tmp_path / "none", tmp_path / "one", tmp_path / "two"]
    assert Prompts(folders).render("solve") == Prompt.of("one", "solve")
    assert Prompts(folders, {"solve": "mine"}).render("solve") == Prompt.of("mine", "solve")


def test_missing_template_says_which_file_to_add(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"solve\.j2"):
        Prompts([tmp_path]).render("solve")
