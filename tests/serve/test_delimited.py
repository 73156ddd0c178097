import io
from decimal import Decimal

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from serve.delimited import format_fractions, write_csv


def spelt(value):
    """Return the expected text of one number, by Python's own formatting."""
    text = f"{value:.12g}"
    return format(Decimal(text), "f") if "e" in text else text


@given(
    st.lists(
        st.one_of(st.none(), st.floats(0, 1), st.floats(-1e12, 1e12), st.floats(allow_nan=False))
    )
)
@example(
    [
        0.1 + 0.2,
        1234567.8910005,
        0.99999999999949,
        0.9999999999995,
        9999999999.99,
        1e10,
        1e-4,
        0.0,
        -0.0,
        -2.5,
    ]
)
def test_fractions_have_twelve_digits_and_no_exponent(values):
    assert format_fractions(pa.array(values, pa.float64())).to_pylist() == [
        v if v is None else spelt(v) for v in values
    ]


def test_csv_of_slice_holds_only_its_rows():
    table = pa.table({"a": pa.array(["x", None, "z,", 'say "hi"']), "n": pa.array([1, 2, None, 4])})
    file = io.BytesIO()
    write_csv(table.slice(1, 3), file)
    assert file.getvalue() == b'a,n\r\n,2\r\n"z,",\r\n"say ""hi""",4\r\n'
