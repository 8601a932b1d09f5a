"""import-url."""

from __future__ import annotations

from pathlib import Path

from tests.cli.commands import Commands

URL = (
    "https://www.mysurveylab.com/api.php?apiToken=k3h3k4h5k3h4&cId=8379821739721&email={{ticket.requester.email}}"
    "&crk={{ticket.id}}"
)
FRAGMENT = """\
connections:
- name: surveylab
  vendor: surveylab
  settings:
    origin: https://www.mysurveylab.com
    api_token: ${SURVEYLAB_API_TOKEN}
rules:
- name: surveylab
  when:
    events:
    - ticket.closed
  connection: surveylab
  call: add_respondent
  parameters:
    cId: '8379821739721'
    email: '{{ ticket.requester.email }}'
    crk: '{{ ticket.id }}'
"""


def test_a_url_is_printed_as_yaml_and_everything_else_told_beside_it(commands: Commands) -> None:
    done = commands.run("import-url", URL)

    assert done.stdout == FRAGMENT
    assert done.stderr.startswith("Warning: `crk` must be new for each invitation")
    assert "SURVEYLAB_API_TOKEN" in done.stderr
    assert "apply FILE --dry-run" in done.stderr
    assert "k3h3" not in done.output
    assert list(Path().iterdir()) == []


def test_a_url_can_be_kept_out_of_the_shell_s_history(commands: Commands) -> None:
    assert commands.run("import-url", "-", text=f"{URL}\n").stdout == FRAGMENT


def test_secrets_are_printed_on_demand_and_then_the_file_needs_nothing_more(commands: Commands) -> None:
    done = commands.run("import-url", URL, "--with-secrets", "--name", "Lab")
    Path("acme.yaml").write_text(f"tenant: acme\nname: Acme\n{done.stdout}", encoding="utf-8")

    applied = commands.run("apply", "acme.yaml").stdout

    assert "api_token: k3h3k4h5k3h4" in done.stdout
    assert "connection Lab" in applied


def test_a_url_of_nobody_ends_with_1_and_a_sentence(commands: Commands) -> None:
    refused = commands.run("import-url", "https://surveys.example.com/send?token=k3h3", code=1)

    assert refused.stdout == ""
    assert refused.stderr.startswith("No survey vendor here knows this URL. Known are: ")
    assert "`custom`" in refused.stderr
    assert "k3h3" not in refused.stderr
