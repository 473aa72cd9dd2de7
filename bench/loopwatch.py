"""``python -m bench.loopwatch FILE operator``: the operator, with a watch on its event loop.

The hooks are installed from outside, in the process that is measured; the product knows nothing of
them. They only record: a heartbeat that is due every few milliseconds on the loop, how late each
was, what the loop ran meanwhile, and in which lines a sampling thread found it. At the end it is
written to FILE as JSON (`Recording`).

How late a heartbeat is has three parts. The loop's thread computed (``cpu``); it was ready and the
machine ran something else (``queued``: no defect of the operator); or it waited (``waited``) for
the interpreter's lock, or for a file. As long as other threads of the process computed meanwhile
(``others``), it was the lock; beyond that the machine did not run the thread that held it, or the
loop waited for a file, and then the samples are many and name one line.
"""

import asyncio
import gc
import json
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

BEAT_SECONDS = 0.005
STALL_SECONDS = 0.05
_SAMPLE_SECONDS = 0.004
_MOST_STALLS = 2000
_FRAMES = 7
_OWN = str(Path(__file__))


@dataclass(slots=True)
class Stall:
    """A heartbeat that came too late; times in seconds.

    Attributes:
        at: Since the start of the process's loop.
        late: How late it was.
        cpu, queued, waited, others: What the process did meanwhile (see above).
        callbacks: What ran, and for how long, longest first.
        stacks: Where the loop's thread was found, and how often, most often first.
        elsewhere: Where the other threads were found meanwhile.
    """

    at: float
    late: float
    cpu: float
    queued: float
    waited: float
    others: float
    callbacks: list[tuple[float, str]]
    stacks: list[tuple[int, str]]
    elsewhere: list[tuple[int, str]]


@dataclass(slots=True)
class Recording:
    """What was recorded.

    Attributes:
        seconds: For how long.
        beats: Heartbeats.
        histogram: Lateness in whole ms -> heartbeats.
        stalls: Those that were later than `STALL_SECONDS`.
    """

    seconds: float = 0.0
    beats: int = 0
    histogram: dict[int, int] = field(default_factory=dict)
    stalls: list[Stall] = field(default_factory=list)


class _Watch:
    """Records one loop, which runs in the thread that makes this object."""

    def __init__(self) -> None:
        self.recording = Recording()
        self._began = time.monotonic()
        self._thread = threading.get_ident()
        self._stat = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").open("rb")
        self._ran: deque[tuple[float, float, str]] = deque(maxlen=4000)
        self._seen: deque[tuple[float, str, Counter[str]]] = deque(maxlen=4000)
        self._due = self._collecting = 0.0
        self._last = self._spent()
        gc.callbacks.append(self._collected)
        threading.Thread(target=self._sample, daemon=True, name="loopwatch").start()

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Time every callback of a loop, and begin its heartbeat."""
        run, watched, ran = asyncio.Handle._run, self._thread, self._ran

        def timed(handle: asyncio.Handle) -> None:
            started = time.monotonic()
            try:
                run(handle)
            finally:
                ended = time.monotonic()
                if ended - started > 0.001 and threading.get_ident() == watched:
                    ran.append((started, ended, _named(handle)))

        asyncio.Handle._run = timed  # type: ignore[method-assign]
        self._due = time.monotonic() + BEAT_SECONDS
        loop.call_later(BEAT_SECONDS, self._beat, loop)

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        """Note a run of the garbage collector, in whichever thread: it holds all of them up."""
        now = time.monotonic()
        if phase == "start":
            self._collecting = now
        elif now - self._collecting > 0.001:
            name = f"garbage collector, generation {info['generation']}"
            self._ran.append((self._collecting, now, name))

    def _spent(self) -> tuple[float, float, float]:
        """Return the processor time of the loop's thread and of the process, and the time ready."""
        self._stat.seek(0)
        cpu, queued, _ = self._stat.read().split()
        return int(cpu) / 1e9, time.process_time(), int(queued) / 1e9

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now, due = time.monotonic(), self._due
        spent, last = self._spent(), self._last
        late, recording = max(0.0, now - due), self.recording
        recording.beats += 1
        ms = int(late * 1000)
        recording.histogram[ms] = recording.histogram.get(ms, 0) + 1
        if late > STALL_SECONDS and len(recording.stalls) < _MOST_STALLS:
            passed = [now_spent - before for now_spent, before in zip(spent, last, strict=True)]
            recording.stalls.append(self._stall(due, now, *passed))
        recording.seconds = now - self._began
        self._last, self._due = self._spent(), time.monotonic() + BEAT_SECONDS
        loop.call_later(BEAT_SECONDS, self._beat, loop)

    def _stall(self, due: float, now: float, cpu: float, process: float, queued: float) -> Stall:
        callbacks = sorted(
            (
                (min(ended, now) - max(started, due), name)
                for started, ended, name in self._ran
                if ended > due
            ),
            reverse=True,
        )
        mine: Counter[str] = Counter()
        elsewhere: Counter[str] = Counter()
        for at, stack, other in list(self._seen):
            if due <= at <= now:
                mine[stack] += 1
                elsewhere.update(other)
        return Stall(
            at=due - self._began,
            late=now - due,
            cpu=cpu,
            queued=queued,
            waited=max(0.0, now - due - cpu - queued),
            others=max(0.0, process - cpu),
            callbacks=callbacks[:5],
            stacks=[(times, stack) for stack, times in mine.most_common(3)],
            elsewhere=[(times, stack) for stack, times in elsewhere.most_common(3)],
        )

    def _sample(self) -> None:
        """Note where all threads are, as often as a heartbeat is late."""
        me = threading.get_ident()
        while True:
            time.sleep(_SAMPLE_SECONDS)
            now = time.monotonic()
            if not self._due or now < self._due + 2 * _SAMPLE_SECONDS:
                continue
            frames = sys._current_frames()
            other = Counter(
                _stack(frame)
                for thread, frame in frames.items()
                if thread not in (me, self._thread)
            )
            self._seen.append((now, _stack(frames[self._thread]), other))


def _named(handle: asyncio.Handle) -> str:
    """Return what a callback belongs to: its task, or its own name."""
    callback = handle._callback  # type: ignore[attr-defined]
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        code = getattr(task.get_coro(), "cr_code", None) or getattr(task.get_coro(), "gi_code", "")
        return f"{task.get_name()}: {getattr(code, 'co_qualname', code)}"
    return str(getattr(callback, "__qualname__", callback))


def _stack(frame: FrameType | None) -> str:
    """Return the innermost lines of a stack, innermost first."""
    return " < ".join(_lines(frame))


def _lines(frame: FrameType | None) -> Iterator[str]:
    left = _FRAMES
    while frame is not None and left:
        code = frame.f_code
        if code.co_filename != _OWN:
            yield f"{'/'.join(Path(code.co_filename).parts[-2:])}:{frame.f_lineno} {code.co_name}"
            left -= 1
        frame = frame.f_back


def main() -> None:
    """Run the command line with a watched loop; write what was recorded when it ends."""
    out = Path(sys.argv.pop(1))
    watches: list[_Watch] = []
    new_event_loop = asyncio.new_event_loop

    def watched() -> asyncio.AbstractEventLoop:
        loop = new_event_loop()
        if not watches and threading.current_thread() is threading.main_thread():
            watches.append(_Watch())
            loop.call_soon(watches[0].install, loop)
        return loop

    asyncio.events.new_event_loop = watched
    from licenseusage.cli import main as licenseusage

    try:
        licenseusage()
    finally:
        if watches:
            out.write_text(json.dumps(asdict(watches[0].recording)))


def read(path: Path) -> Recording:
    """Return what `main` has written."""
    raw = json.loads(path.read_text())
    stalls = [Stall(**stall) for stall in raw.pop("stalls")]
    histogram = {int(ms): beats for ms, beats in raw.pop("histogram").items()}
    return Recording(**raw, histogram=histogram, stalls=stalls)


if __name__ == "__main__":
    main()
