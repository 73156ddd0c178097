"""Columns of the table of web visitors."""

from __future__ import annotations

import pyarrow as pa

from features.contracts import make_field

# Days from the first visit within which a visitor must be identified, or become a customer.
CONTACT_DAYS, CUSTOMER_DAYS = 30, 90

# One row per segment, with those of most visitors first. A visitor is what a browser is until it is
# linked to a lead; all visitors of one lead are one.
WEB_FUNNEL = pa.schema(
    [
        make_field(
            "segment_by",
            pa.string(),
            "`all`, landing_page, channel (both of the first visit) or call_to_action",
        ),
        make_field("segment", pa.string(), "the page, channel or call to action, or `all`"),
        make_field("visitors", pa.int64(), "visitors; of a call to action, those who clicked it"),
        make_field("contacts", pa.int64(), "visitors who are linked to a lead by now"),
        make_field("never_identified", pa.float64(), "share of visitors who are not"),
        make_field(
            "mature", pa.int64(), f"visitors first seen at least {CONTACT_DAYS} days before"
        ),
        make_field(
            "contacts_30d",
            pa.float64(),
            f"share of the mature ones who were linked within {CONTACT_DAYS} days",
            nullable=True,
        ),
        make_field("contacts_30d_low", pa.float64(), "lower end of its 90 % interval", True),
        make_field("contacts_30d_high", pa.float64(), "upper end of its 90 % interval", True),
        make_field(
            "days_to_contact",
            pa.float64(),
            "median days from first visit to link, of contacts",
            True,
        ),
        make_field(
            "followed",
            pa.int64(),
            f"visitors first seen at least {CUSTOMER_DAYS} days before the observation date",
        ),
        make_field(
            "customers_mature",
            pa.int64(),
            f"those of the followed ones who became customers within {CUSTOMER_DAYS} days",
        ),
        make_field(
            "value",
            pa.float64(),
            "value of the outcomes of these within that time; null where outcomes have none",
            nullable=True,
        ),
    ]
)
