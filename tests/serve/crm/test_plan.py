import pytest

from configs.errors import ConfigError
from models.customers.schemas import CUSTOMERS
from serve.crm.plan import LEAD_FIELDS, TARGET_FIELDS
from serve.export.export import EXPORT_SCHEMA
from tests.serve.crm.samples import FORMS, KEYS, a_plan
from tests.serve.crm.validators import NAMES


@pytest.mark.parametrize("form", FORMS)
def test_default_columns_change_only_with_the_lead(form):
    plan = a_plan(form, targets=("buy", "close-won"))
    sources = [column.source for column in plan.columns]
    expected = [
        "score",
        "grade",
        "evidence",
        *(f"{side}_{n}" for side in ("reason", "against") for n in (1, 2, 3)),
    ]
    assert sources == [
        f"{target}.{name}" for target in ("buy", "close-won") for name in expected
    ] + [
        "as_of",
        "status",
    ]
    assert plan.key == KEYS.get(form, "entity_id")
    names = [plan.key, *(column.name for column in plan.columns)]
    assert not NAMES.get(form, lambda _: [])(names)


def test_column_names_follow_style_of_vendor():
    firsts = {form: a_plan(form, targets=("close-won",)).columns[3].name for form in FORMS}
    assert firsts == {
        "csv": "close-won_reason_1",
        "jsonl": "close-won_reason_1",
        "parquet": "close-won_reason_1",
        "salesforce": "Close_Won_Reason_1__c",
        "hubspot": "close_won_reason_1",
        "dynamics": "Close won reason 1",
        "amocrm": "Close won reason 1",
        "bitrix24": "UF_CRM_CLOSE_WON_REASON_1",
    }


def test_plan_can_map_all_export_columns():
    columns = {
        f"c{n}": name if name in LEAD_FIELDS else f"buy.{name}"
        for n, name in enumerate({*LEAD_FIELDS, *TARGET_FIELDS})
    }
    assert len(a_plan(columns=columns).columns) == len(columns)
    assert {*LEAD_FIELDS, *TARGET_FIELDS} == {
        *set(EXPORT_SCHEMA.names) - {"target"},
        *("status", "entity_type", "reasons"),
    }


@pytest.mark.parametrize(
    ("source", "fix"),
    [
        ("buy.scor", "buy.score"),
        ("bye.score", "buy.score"),
        ("score", "buy.score"),
        ("acount_id", "account_id"),
    ],
)
def test_misspelled_source_gets_suggestion(source, fix):
    with pytest.raises(ConfigError, match=f"{source}.*\n.*did you mean {fix}") as caught:
        a_plan(columns={"S": source})
    assert "company.yaml: publish.exports.crm.columns.S" in str(caught.value)


def test_unknown_target_is_an_error_that_lists_targets():
    with pytest.raises(ConfigError, match=r"'lead.engagement'\n.*the targets are buy, close"):
        a_plan(columns={"S": "lead.engagement"})


def test_columns_of_a_table_are_its_own():
    plan = a_plan(columns={"S": "buy.score", "T": "customers.state"}, tables=("customers",))
    assert (plan.targets, plan.tables) == (["buy", "customers"], ["customers"])
    assert plan.columns[1].field == CUSTOMERS.field("state")
    with pytest.raises(ConfigError, match=r"did you mean customers\.state"):
        a_plan(columns={"T": "customers.stat"}, tables=("customers",))
    with pytest.raises(ConfigError, match="nights of this config have no table customers: add"):
        a_plan(columns={"T": "customers.state"})


def test_target_with_the_name_of_a_table_is_the_target():
    plan = a_plan(
        columns={"S": "customers.score"}, targets=("customers",), tables=("customers", "stuck")
    )
    assert (plan.targets, plan.tables) == (["customers"], [])
    assert plan.columns[0].field == TARGET_FIELDS["score"]


def test_days_of_silence_alone_make_no_lead_due():
    columns = {"T": "customers.state", "D": "customers.silent_days"}
    plan = a_plan(columns=columns, delta=True, tables=("customers",))
    assert plan.compared_columns == [0]


def test_wrong_columns_are_counted():
    with pytest.raises(ConfigError, match=r"2, such as 'buy.scor'"):
        a_plan(columns={"S": "buy.scor", "T": "buy.grade", "U": "buy.garde"})


@pytest.mark.parametrize(
    "columns", [{"Lead_Score_c": "buy.score"}, {"S__c": "buy.score", "Lead_Score_c": "buy.grade"}]
)
def test_salesforce_name_with_single_underscore_gets_suggestion(columns):
    with pytest.raises(ConfigError, match=r"Lead_Score_c.*\n.*did you mean Lead_Score__c"):
        a_plan("salesforce", columns=columns)
    with pytest.raises(ConfigError, match="did you mean Lead_External_Id__c"):
        a_plan("salesforce", key="Lead_External_Id_c")


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("salesforce", "1Score__c"),
        ("salesforce", "My Score__c"),
        ("salesforce", "My__Score__Two__c"),
        ("salesforce", "Score___c"),
        ("salesforce", "S" * 41 + "__c"),
        ("hubspot", "x" * 101),
        ("hubspot", "a,b"),
        ("dynamics", ' "score"'),
        ("bitrix24", "Score of the lead"),
        ("bitrix24", "1_SCORE"),
        ("csv", "=score"),
        ("csv", "line\nbreak"),
    ],
)
def test_invalid_column_name_is_rejected(form, name):
    with pytest.raises(ConfigError, match=r"invalid column name for .*1, such as"):
        a_plan(form, columns={name: "buy.score"})


@pytest.mark.parametrize(
    "name", ["Score__c", "acme__Score__c", "Rating", "S" * 40 + "__c", "Score_2__c"]
)
def test_salesforce_api_names_are_accepted(name):
    assert a_plan("salesforce", columns={name: "buy.score"}).columns[0].name == name


@pytest.mark.parametrize("form", KEYS)
def test_vendor_format_requires_key(form):
    with pytest.raises(ConfigError, match=f"no key\n.*such as {KEYS[form]}"):
        a_plan(form, key=None)


@pytest.mark.parametrize(
    "columns",
    [{"Score__c": "buy.score", "SCORE__c": "buy.grade"}, {"Lead_External_Id__c": "buy.score"}],
)
def test_duplicate_column_names_are_rejected(columns):
    with pytest.raises(ConfigError, match="duplicate column names"):
        a_plan("salesforce", columns=columns)


def test_too_many_columns_are_rejected():
    with pytest.raises(ConfigError, match=r"too many columns for hubspot.*1001"):
        a_plan("hubspot", columns={f"c{n}": "buy.score" for n in range(1000)})
    with pytest.raises(ConfigError, match="too many columns for salesforce"):
        a_plan("salesforce", columns={f"{'C' * 34}{n}__c": "buy.score" for n in range(1000)})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"changes": ["buy.grade"]}, "delta: true"),
        ({"changes": ["buy.grad"], "delta": True}, "did you mean buy.grade?"),
        ({"changes": ["buy.listed"], "delta": True}, "not a column of this file"),
        ({"changes": ["as_of"], "delta": True}, "changes every night"),
    ],
)
def test_invalid_changes_are_rejected(more, message):
    with pytest.raises(ConfigError) as caught:
        a_plan(**more)
    assert message in str(caught.value) and "publish.exports.crm.changes" in str(caught.value)


def test_plan_without_target_column_is_rejected():
    with pytest.raises(ConfigError, match="no column of a target"):
        a_plan(columns={"night": "as_of"})
