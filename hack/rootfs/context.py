"""What COPY copies: the build context, as .dockerignore leaves it."""

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path


class Context:
    """A folder with its .dockerignore."""

    def __init__(self, folder: Path) -> None:
        """Read the rules of ``folder``."""
        self._folder = folder
        lines = (folder / ".dockerignore").read_text().splitlines()
        self._rules = [
            (line.startswith("!"), _pattern(line.removeprefix("!").strip("/")))
            for line in map(str.strip, lines)
            if line and not line.startswith("#")
        ]

    def files(self, source: str) -> Iterator[tuple[Path, Path]]:
        """Yield each file of ``source``: where it is, and its place below ``source`` (a file: ".").

        Raises:
            FileNotFoundError: Nothing of it is let through.
        """
        top, let_through = self._folder / source, False
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and not self._ignored(path.relative_to(self._folder)):
                let_through = True
                yield path, path.relative_to(top)
        if not let_through:
            raise FileNotFoundError(f"{source} is not in the build context (see .dockerignore)")

    def digest(self, source: str) -> str:
        """Return a digest of names, modes and contents of ``source``."""
        digest = hashlib.sha256()
        for path, place in self.files(source):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{place} {path.stat().st_mode & 0o111} {content}\n".encode())
        return digest.hexdigest()

    def copy(self, source: str, target: Path, *, into: bool) -> None:
        """Copy what a folder holds into ``target``; a file to ``target``, or ``into`` it."""
        if into and (self._folder / source).is_file():
            target /= Path(source).name
        for path, place in self.files(source):
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / place)

    def _ignored(self, path: Path) -> bool:
        """Whether the last rule that speaks of the path or of a folder above it leaves it out."""
        places = [str(path), *(str(above) for above in path.parents)]
        ignored = False
        for keeps, pattern in self._rules:
            if any(pattern.fullmatch(place) for place in places):
                ignored = not keeps
        return ignored


def _pattern(rule: str) -> re.Pattern[str]:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", rule)
    return re.compile("".join(parts.get(token, re.escape(token)) for token in tokens))
