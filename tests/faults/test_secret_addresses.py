"""Addresses in every form, right and wrong: each is used or refused, and its secret never shown."""

import contextlib
import io
import sys
import traceback
from collections import Counter
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.errors import LeadscoreError
from configs.schema import load_project
from pipelines import cli, workspace
from pipelines.nightly import attempt
from tests.faults.conftest import is_full_attack

# Rare in messages and paths, so that a part of a password is recognised wherever it is.
LETTERS = "QZXJ"
SPECIAL = "@:/?#%[] '\"&=+;,|\\<>{}$!*()~^`.-_éж語"
LEADS = "id,born\n" + "".join(f"l{i},2024-01-{i:02}\n" for i in range(1, 20))
EVENT = {"entity_id": "lead", "event_time": "at", "event_type": "what"}
MARK = "\N{WHITE SQUARE}"  # stands for the password in a form of address

HOSTS = ("127.0.0.1:1", "[::1]:1", "localhost:1", "127.0.0.1:1,127.0.0.1:2", "", "%2Ftmp%2Fnone:1")
ODD_HOSTS = ("127.0.0.1:notaport", "127.0.0.1:99999", "127.0.0.1:", "[::1", "::1:5432", "a b")
QUERIES = (
    *("", "?sslmode=disable", "?host=%2Ftmp%2Fnone&port=1", f"?password={MARK}"),
    *(f"?sslpassword={MARK}", f"?sslkey={MARK}", f"?options={MARK}", f"?token={MARK}"),
    *(f"?credentials={MARK}", f"?private_key_file={MARK}", f"?ssl_ca={MARK}", f"?warehouse={MARK}"),
    *("?login_timeout=1s&request_timeout=1s", f"?private_key_passphrase={MARK}"),
    *(f"?sig={MARK}", f"#{MARK}", f"?{MARK}", "?sslmode=disable&sslmode=allow", f"?{MARK}=1"),
)
SCHEMES = (
    *("postgresql://", "postgres://", "postgresql+psycopg://", "POSTGRESQL://", " postgresql://"),
    *(
        "postgresql:/",
        "postgresql:///",
        "postgresql:",
        "postgresql//",
        "postgresql",
        "postgressql://",
    ),
    *(
        "duckdb:///",
        "duckdb:/",
        "duckdb://",
        "mysql://",
        "mysql:/",
        "mysql//",
        "mariadb+pymysql://",
    ),
    *(
        "jdbc:mysql://",
        "snowflake://",
        "snowflake:/",
        "grpc://",
        "grpc+tls://",
        "grpc:",
        "grpc+x://",
    ),
    *("bigquery://", "mssql://", "mssql+pyodbc://", "oracle://", "oracle:thin:"),
    *("psql://", "jdbc:postgresql://", "sqlite:///", "sqlite://", "sqlite:/", "file:"),
    *("file:///", "https://", "s3://", "", "//", "C:\\", "C:/", "sqlite+pysqlite:///", "://"),
)
USED = ("used", "refused", "unreachable")


def addresses():
    """Return a strategy of templates of addresses; MARK is where the password stands."""
    user = st.sampled_from(["u:", "", ":", "me@corp:", "u%40corp:"])
    host = st.sampled_from([*HOSTS, *HOSTS, *ODD_HOSTS])
    path = st.sampled_from(["/z", "/z", "", "/", "/a/b", "/z%20y", f"/{MARK}", "/x.csv"])
    server = st.builds(
        lambda scheme, user, host, path, query: f"{scheme}{user}{MARK}@{host}{path}{query}",
        *(st.sampled_from(SCHEMES), user, host, path, st.sampled_from(QUERIES)),
    )
    return st.one_of(server, server, st.sampled_from(ODD_FORMS))


ODD_FORMS = (
    f"host=127.0.0.1 port=1 user=u password={MARK} dbname=z",
    f"user=u password='{MARK}'",
    f"jdbc:postgresql://127.0.0.1:1/z?user=u&password={MARK}",
    f"postgresql://127.0.0.1:1/z?user=u&password={MARK}",
    f"sqlite:///{MARK}?password={MARK}",
    f"sqlite:///z.db?key={MARK}",
    f"sqlite:///z.db#{MARK}",
    f"u:{MARK}@127.0.0.1/z",
    f"postgresql ://u:{MARK}@127.0.0.1:1/z",
    f"Server=127.0.0.1;User Id=u;Password={MARK};",
    f"postgresql://u:{MARK}\n@127.0.0.1:1/z",
    f"s3://key:{MARK}@bucket/x.csv?token={MARK}",
    f"https://user:{MARK}@127.0.0.1:1/file.csv?sig={MARK}",
    f"bucket/x.csv?sig={MARK}",
    f"user:{MARK}@bucket/x.csv",
    f"mysql://u:{MARK}@127.0.0.1:1/z?read_default_file={MARK}",
    f"mssql+pyodbc://?odbc_connect=UID=u;PWD={MARK}",
    f"grpc+tls://127.0.0.1:1?token={MARK}",
    f"snowflake://u@{MARK}/z?token={MARK}&authenticator=oauth&login_timeout=1s",
    f"bigquery://{MARK}/z?credentials={MARK}",
    f"jdbc:snowflake://a.example/?user=u&password={MARK}",
    f"jdbc:oracle:thin:u/{MARK}@127.0.0.1:1/z",
    f"mysql -h 127.0.0.1 -u u -p{MARK}",
)


def passwords():
    """Return a strategy of passwords of 6 to 24 characters with any printable character."""
    atom = st.one_of(
        st.text(LETTERS, min_size=2, max_size=4),
        st.text(LETTERS, min_size=2, max_size=4),
        st.sampled_from([*SPECIAL, "%41", "%zz", "%", "://"]),
    )
    return st.lists(atom, min_size=3, max_size=8).map("".join).filter(is_recognisable)


def is_recognisable(password):
    return 6 <= len(password) <= 24 and len(set(password) & set(LETTERS)) >= 2


def parts_of(password):
    """Return the parts of 4 characters of a password, in all forms, that are nobody else's text."""
    forms = {password, unquote(password), quote(password, safe="")}
    parts = {form[i : i + 4] for form in forms for i in range(len(form) - 3)}
    # With fewer letters a part, such as “Z://”, may be an end and a beginning of other texts.
    return {part for part in parts if sum(part.count(letter) for letter in LETTERS) >= 2}


def run_command(*arguments):
    """Run the command line in this process; return its exit code and all that it printed."""
    out, err, code = io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        before, sys.argv = sys.argv, ["leadscore", *arguments]
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        finally:
            sys.argv = before
    return code, out.getvalue() + err.getvalue()


def write_company(folder, place, address):
    """Write a company whose address stands at a place of its config."""
    (folder / "leads.csv").write_text(LEADS)
    leads = {"path": "leads.csv", "entity_id": "id", "created_at": "born"}
    event = {"path": "events.csv"}
    if place == "path":
        event = {"path": address}
    elif place in ("source", "query"):
        event = {"database": address, "query": "SELECT 1"}
    raw = {
        "project": "p",
        "workspace": "w",
        "sources": {"leads": leads, "events": [{**event, **EVENT}]},
        "targets": {"win": {"outcome": "won", "horizon": "30d", "cutoffs": {"every": "7d"}}},
        "publish": {"database": address} if place == "publish" else {},
    }
    (folder / "company.yaml").write_text(yaml.safe_dump(raw, allow_unicode=True))


def open_published():
    """Open the scores database of the company; return how it ended, and all texts about it."""
    project, said = load_project("company.yaml"), io.StringIO()
    try:
        workspace.open_store(project, 0)
    except LeadscoreError as error:
        said.write("".join(traceback.format_exception(error)) + repr(vars(error)))
        return "unreachable" if error.exit_code != 2 else "refused", said.getvalue()
    finally:
        said.write(repr(project) + project.text + project.config_hash)
    return "used", said.getvalue()


def attack(place, address):
    """Read the company with an address; return the outcome and everything that was said."""
    write_company(Path(), place, address)
    code, said = run_command("check", "company.yaml", "--json")
    kind = {2: "refused", 3: "unreachable"}.get(code, f"exit code {code}")
    lines = [line for line in said.splitlines() if line.startswith(("config error", "data error"))]
    if kind == "refused" and not lines:
        kind = "refused without a message"
    if place == "publish" and (code == 3 and "events.csv" in said):
        kind, more = open_published()
        said += more
    return kind, said


def find_leaks(password, said, folder):
    """Return the parts of the password that were said, or that files hold in name or content."""
    names = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    files = [
        path.read_bytes().decode("utf-8", "replace")
        for path in folder.rglob("*")
        if path.is_file() and path.name != "company.yaml"
    ]
    text = "\n".join([said, *names, *files])
    return sorted(part for part in parts_of(password) if part in text)


@pytest.fixture
def company(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADSCORE_DEBUG", "1")
    for name in ("LEADSCORE_WORKSPACE", "MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


SIZE = 300 if is_full_attack() else 20
SETTINGS = settings(
    max_examples=SIZE,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize("place", ["source", "publish", "path"])
def test_address_of_any_form_hides_its_secret(company, record_attack, place):
    outcomes, faults = Counter(), []

    @SETTINGS
    @given(addresses(), passwords(), st.booleans())
    def try_address(template, password, encoded):
        folder_names = {path.name for path in company.iterdir()}
        address = template.replace(MARK, quote(password, safe="") if encoded else password)
        kind, said = attack(place, address)
        leaks = find_leaks(password, said, company)
        made = {path.name for path in company.iterdir()} - folder_names
        made -= {"leads.csv", "company.yaml", "w"}
        known = kind in USED
        outcomes[kind if known and not leaks and not made else "leaked or failed"] += 1
        if leaks or made or not known:
            faults.append((address, kind, leaks, made, said))

    try_address()
    record_attack(f"addresses with a secret in {place}", outcomes)
    assert faults == []


@pytest.mark.server
def test_server_that_repeats_a_password_does_not_make_it_known(
    company, flight_server, mariadb_server, capfd, monkeypatch, record_attack
):
    """Refused logins, and rows that break off, by commands that print tracebacks."""
    flight, outcomes = f"127.0.0.1:{flight_server.port}", Counter()
    monkeypatch.setattr(flight_server, "cut_after", 1)
    wrong, right = quote("QZXJ@/JXZQ", safe=""), quote("s3cret/word", safe="")
    monkeypatch.setenv("LEADSCORE_WAREHOUSE_TOKEN", "QZXJ@/JXZQ")
    for address, query in (
        (f"grpc://tester:{wrong}@{flight}", "SELECT 1"),
        (f"grpc://{flight}?token={wrong}", "SELECT 1"),
        (f"grpc://{flight}?token=${{LEADSCORE_WAREHOUSE_TOKEN}}", "SELECT 1"),
        (f"grpc+tls://tester:{wrong}@{flight}", "SELECT 1"),
        (f"grpc://tester:{right}@{flight}", "SELECT range FROM range(9000)"),
        (f"mysql://tester:{wrong}@127.0.0.1:{mariadb_server.port}/company", "SELECT 1"),
        (
            f"mysql://tester:{right}@127.0.0.1:{mariadb_server.port}/company",
            "SELECT 's3cret/word' x(",
        ),
    ):
        write_company(company, "source", address)
        text = (company / "company.yaml").read_text().replace("SELECT 1", query)
        (company / "company.yaml").write_text(text)
        for command in (
            ("check", "train") if is_full_attack() or "token=$" in address else ("check",)
        ):
            code, said = run_command(command, "company.yaml", "--json")
            said += "".join(capfd.readouterr())
            leaks = [*find_leaks("QZXJ@/JXZQ", said, company), *("word" * ("3cret" in said))]
            kind = {3: "refused"}.get(code, f"exit code {code}")
            outcomes["leaked" if leaks else kind] += 1
    record_attack("passwords that a server repeats", outcomes)
    assert set(outcomes) == {"refused"}


def test_password_of_the_environment_reaches_the_driver(company, monkeypatch, record_attack):
    outcomes = Counter()

    @SETTINGS
    @given(passwords(), st.booleans())
    def try_password(password, encoded):
        monkeypatch.setenv(
            "LEADSCORE_DB_PASSWORD", quote(password, safe="") if encoded else password
        )
        write_company(company, "publish", "postgresql://u:${LEADSCORE_DB_PASSWORD}@127.0.0.1:1/z")
        project = load_project("company.yaml")
        is_right = project.publish.database.password in (
            {password} if encoded or "%" not in password else {password, unquote(password)}
        )
        _, said = open_published()
        leaks = find_leaks(password, said, company)
        outcomes["used" if is_right and not leaks else "misread or leaked"] += 1

    try_password()
    record_attack("passwords of the environment in an address", outcomes)
    assert set(outcomes) == {"used"}


def test_ledger_redacts_what_a_library_quotes(company, monkeypatch):
    monkeypatch.setenv("PLACE_TOKEN", "QZXJ/plain-secret")
    written = []

    class Ledger:
        def start(self, run):
            pass

        def finish(self, run_id, status, message, *_):
            written.append(message)

    run = type("Run", (), {"run_id": "r"})()
    text = "no answer from https://me:QZXJ@w@h/x?sig=QZXJsig, QZXJ/plain-secret, or\n"
    text += "from postgresql://u:QZXJ/p@h"
    with pytest.raises(RuntimeError), attempt.record_attempt(Ledger(), run):
        raise RuntimeError(text)
    assert "no answer" in written[0]
    assert "QZXJ" not in written[0]


def test_unexpected_error_and_its_causes_are_redacted(company, monkeypatch):
    def fail(path):
        try:
            raise OSError("cannot open s3://key:QZXJQZ@bucket/x.csv?token=QZXJQZ")
        except OSError as error:
            raise RuntimeError("HTTP 403 for https://u:QZXJQZ@h/x?sig=QZXJQZ") from error

    write_company(company, "path", "x.csv")
    monkeypatch.setattr("configs.schema.load_project", fail)
    code, said = run_command("check", "company.yaml", "--json")
    assert code == 1
    assert "bucket" in said
    assert "HTTP 403" in said
    assert "QZXJ" not in said


@pytest.mark.parametrize("name", ["LEADSCORE_DB_PASSWORD", "PLACE", "S3_KEY"])
def test_value_of_the_environment_in_a_path_stays_a_name(company, monkeypatch, name):
    monkeypatch.setenv(name, "QZXJQZXJ")
    for path in (f"data/${{{name}}}/x.csv", f"${{{name}}}", f"data/x${{{name}}}*.csv"):
        write_company(company, "path", path)
        code, said = run_command("check", "company.yaml", "--json")
        assert code == 3
        assert "QZXJ" not in said
        assert f"{{{name}}}" in said or "***" in said


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        (variable, address)
        for variable in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL")
        for address in (
            *("http:/u:QZXJQZ@h/api", "https://u:QZXJQZ@h:notaport/api", "QZXJQZ", "u:QZXJQZ@h/z"),
            *("htps://u:QZXJQZ@h/api", "http:u:QZXJQZ@h", "postgresql:/u:QZXJQZ@h/z", "QZXJQZ/x"),
        )
    ],
)
def test_servers_with_an_odd_address_are_refused(company, monkeypatch, variable, address):
    write_company(company, "path", "x.csv")
    monkeypatch.setenv(variable, address)
    is_mlflow = variable.startswith("MLFLOW")
    command = ("promote", "--target", "win") if is_mlflow else ("train", "--prefect")
    before = set(company.iterdir())
    code, said = run_command(command[0], "company.yaml", *command[1:])
    assert code == 2
    assert variable in said
    assert "fix: " in said
    assert "QZXJ" not in said
    assert set(company.iterdir()) - before <= {company / "w"}
