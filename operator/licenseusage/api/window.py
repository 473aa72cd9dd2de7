"""Which activity a product looks at when it counts, or lists, the users who are active.

A number of an instant (accounts, sessions, people signed in now) says nothing about a span of time
(MEASUREMENT §5): there is no window for it, and so no source.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from licenseusage.api.model import ApiModel, Rule, rules
from licenseusage.api.users import TimeZone

OF_SOURCE = (
    Rule(
        "!has(self.window) || !has(self.users) || !has(self.users.createdAt)",
        "users.createdAt is for lists with times: a list without them tells nothing of a creation; "
        "remove createdAt",
        reason="FieldValueForbidden",
        field_path=".users",
    ),
    Rule(
        "!has(self.window) || !has(self.guarantees) || !has(self.guarantees.removal) || "
        "self.guarantees.removal != 'ListedOnce'",
        "guarantees.removal ListedOnce is for lists with times: declare Never if nobody leaves the "
        "list before his activity has left the window, or Unknown",
        "'source ' + self.name + ': guarantees.removal ListedOnce is for lists with times: declare "
        "Never if nobody leaves the list before his activity has left the window, or Unknown'",
        field_path=".guarantees",
    ),
    Rule(
        "!has(self.window) || !has(self.guarantees) || !((has(self.guarantees.order) && "
        "self.guarantees.order == 'Activity') || has(self.guarantees.initialValue))",
        "guarantees.order Activity and initialValue are about times, and window is for answers "
        "without them: remove them",
        field_path=".guarantees",
    ),
    Rule(
        "!has(self.window) || !has(self.users) || !has(self.users.acrossPods) || "
        "self.users.acrossPods == 'Any'",
        "users.acrossPods Same is for lists with times: without them two lists that differ say "
        "nothing of which pod is behind; use acrossPods Any",
        reason="FieldValueForbidden",
        field_path=".users.acrossPods",
    ),
    Rule(
        "!has(self.window) || !has(self.users) || !has(self.window.type) || self.window.type != "
        "'Cycle'",
        "window.type Cycle is for numbers: a product that does not know the parameters of the "
        "request would list everybody, and nothing shows it; use a list with times",
        field_path=".window",
    ),
)
"""Of a source: what does not go with a window."""

WindowType = Literal["Rolling", "RollingCalendarMonth", "CalendarMonthToDate", "Cycle"]


class Window(ApiModel):
    """The span of time that the product looks at."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!(has(self.days) && has(self.hours))",
                "days and hours are both given: give the length of the window once",
            ),
            Rule(
                "!has(self.type) || self.type == 'Rolling' || !(has(self.days) || has(self.hours))",
                "days and hours belong to type Rolling",
                "'days and hours belong to type Rolling, not to type ' + self.type",
            ),
            Rule(
                "!has(self.type) || self.type in ['RollingCalendarMonth', 'CalendarMonthToDate'] "
                "|| !has(self.timeZone)",
                "timeZone belongs to types RollingCalendarMonth and CalendarMonthToDate: the "
                "others do not depend on a day's beginning",
                field_path=".timeZone",
            ),
        )
    )

    type: WindowType | None = Field(
        default=None,
        description="type is Rolling (the last days or hours), RollingCalendarMonth (since the "
        "same day of the month before), CalendarMonthToDate (since the first of the month) or "
        "Cycle (what the request asks for, by {{cycle.start}} and {{cycle.end}}). Required, unless "
        "the preset gives it.",
    )
    days: Annotated[int, Field(ge=1, le=366)] | None = Field(
        default=None, description="days is the length of the window in days of 24 hours (Rolling)."
    )
    hours: Annotated[int, Field(ge=1, le=8784)] | None = Field(
        default=None, description="hours is the length of the window in hours (Rolling)."
    )
    time_zone: TimeZone | None = Field(
        default=None,
        description="timeZone is the IANA time zone in which the product's months begin "
        "(RollingCalendarMonth, CalendarMonthToDate). Default: the preset's, otherwise UTC.",
    )
