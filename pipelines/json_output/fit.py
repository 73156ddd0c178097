"""What `fit` prints."""

from __future__ import annotations

from models.fit.schemas import FIT_ACCOUNTS, FIT_BASIS, FIT_CLASSES, FIT_GRID, FIT_PROFILE
from pipelines.json_output.shared import JsonObject, create_row_model, make_key

ProfileRowJson = create_row_model(
    "ProfileRowJson", "A value with which accounts bring more, or less, than others.", FIT_PROFILE
)
FitClassJson = create_row_model("FitClassJson", "What accounts of a class brought.", FIT_CLASSES)
FitCellJson = create_row_model(
    "FitCellJson", "What became of accounts of a class and an engagement.", FIT_GRID
)
FitAccountJson = create_row_model("FitAccountJson", "How an open account fits.", FIT_ACCOUNTS)
FitBasisJson = create_row_model("FitBasisJson", "What the fit was learned on.", FIT_BASIS)
ProfileRows = list[ProfileRowJson]  # type: ignore[valid-type]
FitClasses = list[FitClassJson]  # type: ignore[valid-type]
FitCells = list[FitCellJson]  # type: ignore[valid-type]
FitAccounts = list[FitAccountJson]  # type: ignore[valid-type]


class RefusedAttributeJson(JsonObject):
    """An attribute that seems to have been written after the entry."""

    attribute: str = make_key("its name")
    evidence: str = make_key("the evidence, with numbers")


class FitOutput(JsonObject):
    """The ideal customer profile, and how the open accounts fit it."""

    profile: ProfileRows = make_key("rows of the profile, the highest lift first; may be empty")
    classes: FitClasses = make_key("A, B and C")
    grid: FitCells = make_key("A1 to C3; empty without times")
    accounts: FitAccounts = make_key("open accounts, the white space first, then the best fit")
    white_space: FitAccounts = make_key("those of them that fit and are silent")
    refused: list[RefusedAttributeJson] = make_key("attributes that are not used, by name")
    basis: FitBasisJson = make_key(  # type: ignore[valid-type]
        "accounts, horizon, and the limits of the profile"
    )
