"""From numbers that were read to samples, and what is worth saying about them."""

from dataclasses import dataclass

from licenseusage.metering.counts import Sample, sample
from licenseusage.metering.polled import Polled
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import SECOND_MS, EffectiveSource
from licenseusage.sources.failures import PollError
from licenseusage.sources.poll import CycleRequest, Target


@dataclass(frozen=True, slots=True)
class Reading:
    """One number, of one pod or of all that hold a part.

    Attributes:
        users: The number.
        polled: When it was asked for, widened by the clock skew.
        warm: The product has run long enough to have counted everybody again.
        label: The pod's name; "": several.
    """

    users: int
    polled: Polled
    warm: bool
    label: str = ""


def warm_targets(
    source: EffectiveSource, targets: tuple[Target, ...], now_ms: int
) -> tuple[Target, ...]:
    """Return the targets that may be asked: not those that have just begun to count again.

    Raises:
        PollError: ``PodsWarmingUp``: none is left, or a shard is missing for that.
    """
    warmup_ms = source.count.warmup_ms
    warm = tuple(
        target
        for target in targets
        if not warmup_ms or target.ready_ms is None or now_ms - target.ready_ms >= warmup_ms
    )
    cold = len(targets) - len(warm)
    if cold and (not warm or source.count.across_pods == "Shards"):
        raise PollError(
            Reason.PODS_WARMING_UP,
            f"{cold} of {len(targets)} pods have been ready for less than {warmup_ms // SECOND_MS} "
            "s (count.warmupSeconds): what they state right after a start may be too low. They are "
            "asked later.",
        )
    return warm


def whole_shards(source: EffectiveSource, pods: int) -> None:
    """Refuse to add the parts of more or fewer pods than those that hold one each.

    Raises:
        PollError: ``ShardsMissing``.
    """
    wanted = source.count.shards
    if wanted is not None and pods != wanted:
        raise PollError(
            Reason.SHARDS_MISSING,
            f"{pods} pods are ready, and count.shards says that {wanted} hold a part each: "
            "a sum of others is not the number. See the pods' state, or correct count.shards.",
        )


def added(readings: list[Reading]) -> Reading:
    """Return the sum of the parts."""
    return Reading(
        users=sum(reading.users for reading in readings),
        polled=Polled(
            min(reading.polled.began_ms for reading in readings),
            max(reading.polled.read_ms for reading in readings),
            complete=True,
        ),
        warm=all(reading.warm for reading in readings),
    )


def refuse_fresh_zero(reading: Reading) -> None:
    """Refuse a 0 of whom nobody knows how long it has been running.

    Raises:
        PollError: ``ZeroUnproved``.
    """
    if reading.users == 0 and not reading.warm:
        raise PollError(
            Reason.ZERO_UNPROVED,
            "the number is 0, as it is right after a start of many products, and it cannot be seen "
            "how long this one has been running. Ask its pods (pods.selector) in place of a "
            "Service or an endpoint.",
        )


def samples_of(
    source: EffectiveSource, request: CycleRequest, readings: list[Reading]
) -> tuple[Sample, ...]:
    """Return the samples of one cycle.

    Numbers of several pods that should be the same and are not: each counts people, and none is
    known to count them all (MEASUREMENT §5).
    """
    properties = source.count_properties(request.cycle)
    agree = len({reading.users for reading in readings}) == 1
    return tuple(
        sample(properties, reading.polled, reading.users, warm=reading.warm and agree)
        for reading in readings
    )


def notes_of(source: EffectiveSource, readings: list[Reading]) -> list[str]:
    """Return what is worth saying about numbers that were read."""
    notes = []
    numbers = [reading.users for reading in readings]
    if len(set(numbers)) > 1:
        notes.append(
            f"{len(numbers)} pods should state the same number, and state {min(numbers)} to "
            f"{max(numbers)} ({Reason.PODS_DISAGREE}): there is no upper bound. If each counts "
            "other users, declare count.acrossPods: Shards."
        )
    cap = source.count.saturates_at
    if cap is not None and max(numbers) >= cap:
        notes.append(
            f"the number has reached {cap} (count.saturatesAt), beyond which the product does not "
            f"count ({Reason.COUNT_SATURATED}): any number more may be active. Read a list of "
            "users instead."
        )
    return notes
