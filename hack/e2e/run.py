"""One run: choose the cluster, claim it, tell the story of each way, leave nothing behind."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hack.controlplane import find as find_kubernetes
from hack.e2e import claim, supply, vendor
from hack.e2e.chart import Chart
from hack.e2e.commands import Commands
from hack.e2e.errors import Ended, Missing, Refused
from hack.e2e.evidence import collected
from hack.e2e.installation import ROOT, Release, Way
from hack.e2e.outcome import Outcome
from hack.e2e.overlay import Overlay
from hack.e2e.plan import Plan
from hack.e2e.product import Product
from hack.e2e.reports import Reports
from hack.e2e.settings import Settings
from hack.e2e.story import Story
from hack.e2e.target import Target, chosen
from hack.helm import find as find_helm
from hack.programs import NoProgram

_WAYS: Final = {"overlay": Overlay, "chart": Chart}


def reached(settings: Settings, folder: Path) -> tuple[Target, Commands]:
    """Return the chosen cluster, and programs that reach it and no other.

    Raises:
        Refused: It may not be used.
        Missing: A program is not there, or the kubeconfig cannot be read.
    """
    installed = shutil.which("kubectl")
    kubectl = Path(installed) if installed is not None else find_kubernetes().kubectl
    # The caller's kubeconfig is read twice and never written.
    view = [str(kubectl), "config", "view"]
    target = chosen(json.loads(_printed([*view, "--output", "json"])), settings.context)
    kubeconfig = folder / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(
        _printed([*view, "--raw", "--minify", "--flatten", "--context", target.context])
    )
    helm = None
    if "chart" in settings.ways and not settings.clean:
        try:
            helm = find_helm()
        except NoProgram as missing:
            raise Missing(f"{missing}. Or leave the chart out: ARGS='--only overlay'") from None
    return target, Commands(kubectl, helm, kubeconfig, folder)


def run(
    settings: Settings, target: Target, commands: Commands, folder: Path, outcome: Outcome
) -> None:
    """Bring the image, then install, use, break, upgrade and remove it in each way.

    Raises:
        Ended: At the first step that failed; what the run made is removed, unless it is to be kept.
    """
    plan_of_image = supply.decided(target, settings.supply, image_given=settings.image_given)
    claim.take(commands, datetime.now(UTC))
    with _released(settings, commands, outcome):
        outcome.step("", "the image", lambda: supply.bring(plan_of_image, target, settings.image))
        for name in settings.ways:
            with _removed(settings, commands, outcome, name):
                _story(settings, commands, folder / name, outcome, name).play()


def clean(commands: Commands, outcome: Outcome) -> None:
    """Remove what an earlier run left.

    Raises:
        Refused: No run was here.
        Ended: It cannot be removed.
    """
    if claim.look(commands).claim is None:
        raise Refused(f"there is no namespace {claim.CLAIM}, so no run has left anything here")
    outcome.step("", "remove what an earlier run left", lambda: claim.clean(commands))
    claim.release(commands)


def _story(
    settings: Settings, commands: Commands, folder: Path, outcome: Outcome, name: str
) -> Story:
    folder.mkdir(parents=True)
    claim.make_namespaces(commands)
    plan = Plan(datetime.now(UTC).date())
    way: Way = _WAYS[name](commands, folder / "way")
    tree, image = settings.from_tree or ROOT, settings.from_image or settings.image
    seller = vendor.founded(commands, folder / "vendor", plan)
    return Story(
        way=way,
        commands=commands,
        before=Release(tree, image, "before"),
        after=Release(ROOT, settings.image, "after"),
        vendor=seller,
        people=Product(commands, plan.start),
        plan=plan,
        folder=folder,
        outcome=outcome,
        reports=Reports(commands, seller, folder / "reports"),
    )


@contextmanager
def _removed(settings: Settings, commands: Commands, outcome: Outcome, name: str) -> Iterator[None]:
    """Write down what was there if the block fails, and remove what it made."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Ended):
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            outcome.evidence = str(collected(commands, settings.evidence / f"{now}-{name}"))
        if not settings.keep:
            try:
                claim.clean(commands)
            except Ended as failed:
                outcome.progress.say(f"not everything could be removed: {failed}")
        raise
    if not settings.keep:
        outcome.step(name, "nothing is left", lambda: claim.clean(commands))


@contextmanager
def _released(settings: Settings, commands: Commands, outcome: Outcome) -> Iterator[None]:
    """Give the cluster back if nothing of the run is left there."""
    try:
        yield
    finally:
        left = claim.look(commands)
        if left.namespaces or left.others:
            outcome.progress.say("left in the cluster; make e2e ARGS=--clean removes it")
        else:
            claim.release(commands)


def _printed(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.strip()}")
    return done.stdout
