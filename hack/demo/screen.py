"""What the reader sees: steps while it prepares, then a live table with a line per event above it.

Where there is no terminal (CI, a pipe) the same words come as plain lines, without the table.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from hack.demo.plan import Plan
from hack.demo.watching import Snapshot

_QUIET_SECONDS = 5.0


class Screen:
    """Writes to the terminal; nothing else in the demo prints."""

    def __init__(self) -> None:
        """Write to standard output."""
        self.console = Console(highlight=False, soft_wrap=not Console().is_terminal)
        self._live: Live | None = None
        self._step = "starting"
        self._printed_at = time.monotonic()

    @property
    def current_step(self) -> str:
        """The step under way, for the message if it fails."""
        return self._step

    @contextmanager
    def step(self, title: str, *, quiet: bool = False) -> Iterator[None]:
        """Show that ``title`` is under way and, once it is done, how long it took.

        ``quiet``: what happens inside has much to say itself, so a title stands above it and no
        spinner turns.
        """
        self._step, begun = title, time.monotonic()
        if quiet:
            self.console.print(f"[bold]{escape(title)}[/]")
        spins = self.console.is_terminal and not quiet
        with self.console.status(f"{escape(title)} …") if spins else nullcontext():
            yield
        self.console.print(f"[green]✓[/] {escape(title)} [dim]{time.monotonic() - begun:.1f} s[/]")

    def command(self, argv: Sequence[str]) -> None:
        """Show a command that is run, so that the reader can do the same."""
        self.console.print(f"  [dim]$ {escape(' '.join(argv))}[/]", soft_wrap=True)

    def line(self, text: str = "") -> None:
        """Print a line of rich markup."""
        self.console.print(text)

    def plain(self, text: str) -> None:
        """Print text as it is."""
        self.console.print(Text(text), soft_wrap=True)  # a command that is wrapped cannot be pasted

    def event(self, at: float, text: str) -> None:
        """Print one line of what happened, with the simulated time."""
        clock = datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")
        self.console.print(f"[cyan]{clock}[/]  {text}")
        self._printed_at = time.monotonic()

    def alive(self, at: float, text: str) -> None:
        """Print how far things are where nothing else was printed for a while.

        Only without a terminal: there the live table moves.
        """
        if self._live is None and time.monotonic() - self._printed_at >= _QUIET_SECONDS:
            self.event(at, f"[dim]… {text}[/]")

    @contextmanager
    def table(self) -> Iterator[None]:
        """Keep a live table at the bottom while the block runs; see `show`."""
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, transient=True, refresh_per_second=4) as self._live:
            try:
                yield
            finally:
                self._live = None

    def show(self, renderable: RenderableType) -> None:
        """Replace the live table."""
        if self._live is not None:
            self._live.update(renderable)


def progress(snapshot: Snapshot, plan: Plan, now: float, sign_ins: int) -> str:
    """Return in one line where the clock is and what is counted so far."""
    left, status = plan.end - now, snapshot.status
    when = f"the cycle ends in {left:.0f} s" if left > 0 else f"the cycle ended {-left:.0f} s ago"
    provisioned, active = status.get("provisionedUsers"), status.get("activeUsers")
    counted = "counting begins"
    if provisioned is not None and active is not None:
        counted = f"{provisioned:,} provisioned, {active:,} active"
    return f"{when} · {counted} · {sign_ins} sign-ins since the start"


def overview(snapshot: Snapshot, plan: Plan, now: float, sign_ins: int) -> RenderableType:
    """Return the live table: where the clock is, the usage, the reports."""
    clock = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S")
    status, last = snapshot.status, snapshot.status.get("lastReport") or {}
    usage = Table("ACTIVE", "ENTITLED", "PROVISIONED", "LAST-CYCLE", "REPORTED", "READY")
    usage.add_row(
        str(status.get("activeText", "…")),
        str(status.get("maximumActiveUsers", "—")),
        str(status.get("provisionedUsers", "…")),
        str(snapshot.ended.get("activeText") or snapshot.ended.get("state") or "—"),
        str(last.get("acceptedTime") or "—"),
        str(snapshot.condition("Ready").get("status", "…")),
    )
    reports = Table("REPORT", "KIND", "ACTIVE", "DELIVERY")
    for name, report in snapshot.reports.items():
        spec, delivery = report["spec"], (report.get("status") or {}).get("delivery", "…")
        reports.add_row(name, spec["kind"], spec["activeText"], delivery)
    title = f"simulated time {clock} UTC · {progress(snapshot, plan, now, sign_ins)}"
    return Group(
        Spinner("dots", Text(title, style="bold")), usage, *([reports] if snapshot.reports else [])
    )
