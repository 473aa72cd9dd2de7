"""An image's name, and what kustomize and the charts call its parts."""

import re
from dataclasses import dataclass
from typing import Self

from hack.e2e.errors import Refused


@dataclass(frozen=True, slots=True)
class Image:
    """The name of an image.

    Attributes:
        repository: With the registry, if there is one.
        tag: Empty if there is a digest.
        digest: ``sha256:…``, or empty.
    """

    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``repository:tag`` or ``repository@sha256:…``; a digest wins over a tag.

        Raises:
            Refused: It is no such name, or has neither tag nor digest.
        """
        parts = re.fullmatch(
            r"((?:[\w.-]+(?::\d+)?/)?[a-z0-9._/-]+)(?::([\w.-]+))?(?:@(sha256:[0-9a-f]{64}))?", text
        )
        if parts is None or not (parts[2] or parts[3]):
            raise Refused(
                f"IMAGE={text}: this is not the name of an image with its tag or digest. Write "
                "IMAGE=name:tag or IMAGE=registry.example.org/name@sha256:…"
            )
        return cls(parts[1], "" if parts[3] else parts[2] or "", parts[3] or "")

    def __str__(self) -> str:
        """Return the name as a manifest has it."""
        return (
            f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"
        )

    def kustomized(self, placeholder: str) -> dict[str, str]:
        """Return an entry of kustomize's ``images`` that puts this image in a name's place."""
        new = {"digest": self.digest} if self.digest else {"newTag": self.tag}
        return {"name": placeholder, "newName": self.repository, **new}

    def values(self) -> dict[str, str]:
        """Return ``image`` of the charts' values."""
        part = {"digest": self.digest} if self.digest else {"tag": self.tag}
        return {"repository": self.repository, **part}
