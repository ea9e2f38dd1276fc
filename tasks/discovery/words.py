"""What columns are called, by what they hold; a name is a hint where contents leave a choice, and no proof."""

import re


def _listed(*words: str) -> frozenset[str]:
    return frozenset(" ".join(words).split())


TEXTS = _listed(
    "text body content contents message msg review reviewtext review_text comment comments sentence tweet title",
    "headline summary description question answer document utterance post abstract subject query phrase article news",
    "email narrative complaint feedback verbatim",
)
LABELS = _listed(
    "label labels class classes category categories target sentiment y intent polarity topic queue department rating",
    "overall stars star score emotion type tag language lang outcome stance verdict spam airline_sentiment class_index",
    "label_text",
)
TIMES = _listed(
    "time timestamp datetime date_time date day ds ts stamp when month year zeit datum dteday fecha quarter week",
    "period observed_at measured_at created_at utc_timestamp utc time_utc index",
)
STEPS = _listed("step steps t time index tick cycle frame instant timestep time_step n no")
IDS = _listed(
    "id ids series item_id store item sensor device station site unit machine patient subject sku product shop",
    "customer meter sequence series_id unique_id name symbol ticker asset pump plant location region",
)
CHANNELS = _listed("channel ch variable metric parameter measure measurement quantity attribute feature signal")
ANOMALIES = _listed(
    "anomaly anomalies is_anomaly is_anomalous anomalous outlier is_outlier fault faulty attack label labels failure"
)
KNOWN_AHEAD = _listed(
    "holiday is_holiday holidays workingday working_day is_working_day weekend is_weekend promo promotion onpromotion",
    "school_holiday stateholiday schoolholiday event event_flag open",
)
PARTS = {
    "year": _listed("year yr yyyy jahr"),
    "month": _listed("month mon mnth mm monat"),
    "day": _listed("day dd dom day_of_month tag"),
    "hour": _listed("hour hr hh h stunde"),
    "minute": _listed("minute min mi"),
}
# Parts of the calendar that a model derives from the time itself.
CALENDAR = _listed("season weekday dayofweek day_of_week dow week weekofyear quarter dayofyear doy").union(
    *PARTS.values()
)
ALL = TEXTS.union(
    LABELS,
    TIMES,
    STEPS,
    IDS,
    CHANNELS,
    ANOMALIES,
    KNOWN_AHEAD,
    CALENDAR,
    _listed("split fold set subset partition part dataset value values v"),
)


def folded(name: str) -> str:
    """A name as the lists above have it: `Review Text` and `review-text` are `review_text`."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^\w]+", "_", parted).strip("_").casefold()


def is_named(name: str, words: frozenset[str] = ALL) -> bool:
    """Whether a column is called by one of some words, perhaps with a number after it or with others before it."""
    plain = re.sub(r"_?\d+$", "", folded(name))
    return plain in words or plain.replace("_", "") in words or plain.rpartition("_")[2] in words
