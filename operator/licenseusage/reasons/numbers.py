"""Reasons of bare numbers: what a product stated in place of a number of users, and of whom."""

from licenseusage.reasons.entries import Chapter, fault, note, passing
from licenseusage.reasons.vocabulary import Reason

NUMBERS = Chapter(
    title="Numbers in place of people",
    speaker="the operator",
    places="`Collected`, its event, `status.sources[].reason` and its message",
    entries={
        Reason.COUNT_MISSING: fault(
            "there is no number at `count.value`, which is not the same as 0",
            "Correct `count.value`; see whether the product counts users at all.",
        ),
        Reason.COUNT_INVALID: fault(
            "what stands there is no number of users: NaN, infinite, negative, a fraction, a text",
            "Correct `count.value` or `prometheus.metric`; some products say so that the number is "
            "not known.",
        ),
        Reason.COUNT_STALE: fault(
            "the metric says that its number is older than is declared, or of the future",
            "Declare `guarantees.ageSeconds`, or ask the product in place of a copy.",
        ),
        Reason.ZERO_UNPROVED: passing(
            "the number is 0, as right after a start, and it cannot be seen how long the product "
            "has been running",
            "Ask pods (`pods.selector`) in place of a Service or an endpoint.",
        ),
        Reason.ANSWER_NOT_METRICS: fault(
            "the answer is neither Prometheus text nor OpenMetrics, often a sign-in page",
            "Check `prometheus.path` and the credentials.",
        ),
        Reason.METRICS_INVALID: fault(
            "what the metrics say of the gauge cannot be read",
            "Correct the product, or choose another metric.",
        ),
        Reason.METRIC_NOT_FOUND: fault(
            "no series has this name and these labels, which is not the same as 0",
            "Check `prometheus.metric` and `matchLabels`, and whether the product states it.",
        ),
        Reason.METRIC_NOT_A_GAUGE: fault(
            "the metric is a counter, a histogram or a summary: it grows, whoever is active",
            "Choose a gauge of active users.",
        ),
        Reason.METRIC_AMBIGUOUS: fault(
            "several series fit, and it is not declared what that means",
            "Name one by `prometheus.matchLabels`, or declare `prometheus.reduce`.",
        ),
        Reason.METRIC_REPEATED: fault(
            "a series is there twice with the same labels, so that the answer says two things",
            "Correct the product, or the proxy that joins its metrics.",
        ),
        Reason.PODS_WARMING_UP: passing(
            "the pods have been ready for less than `count.warmupSeconds`, and may state too few",
            "Wait. If the product is quicker, lower `count.warmupSeconds`.",
        ),
        Reason.SHARDS_MISSING: passing(
            "another number of pods is ready than hold a part each, so that a sum is not the "
            "number",
            "See the pods' state, or correct `count.shards`.",
        ),
        Reason.PODS_DISAGREE: note(
            "pods that should state the same number do not, so that it is no upper bound",
            "If each counts other users, declare `count.acrossPods: Shards`.",
        ),
        Reason.COUNT_SATURATED: note(
            "the number has reached `count.saturatesAt`: any number more may be active",
            "Read a list of users instead.",
        ),
        Reason.COUNT_DISAGREES: note(
            "a number of the product and its list of users (or its event log) cannot both be true",
            "The statement rests on the list or log alone. Compare whom each of them counts; "
            "correct the guarantees of the one that is wrong.",
        ),
    },
)
