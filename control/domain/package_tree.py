"""The names and links of a package: nothing in it may lie, or lead, outside of its tree."""

from __future__ import annotations

import tarfile

from control.domain.errors import Invalid

LONGEST_NAME_BYTES = 1000
LONGEST_PART_BYTES = 255  # NAME_MAX of Linux file systems


def fault(sentence: str) -> Invalid:
    """Make the error of a package; its field is the upload's."""
    return Invalid.one("data", sentence)


class PackageTree:
    """Takes members one by one; links are judged at the end, when all names are known."""

    def __init__(self) -> None:
        self._folders: set[str] = set()
        self._files: set[str] = set()
        self._symbolic: dict[str, str] = {}

    def add(self, member: tarfile.TarInfo) -> None:
        """Take a member in, or raise Invalid saying why it may not be there."""
        name = self._check_name(member.name)
        if member.isdir():
            self._folders.add(name)
            return
        if member.name.rpartition("/")[2] in {"", "."}:
            raise fault(f"{member.name!r} is not the name of a file.")
        if name in self._files or name in self._symbolic:
            raise fault(f"The package holds {member.name!r} twice.")
        if member.issym():
            self._symbolic[name] = _check_target(name, member.linkname)
        elif member.islnk():
            if self._check_name(member.linkname) not in self._files:
                raise fault(f"The link {member.name!r} leads to no file of the package.")
            self._files.add(name)
        elif member.isreg() and not member.issparse():
            self._files.add(name)
        else:
            raise fault(f"{member.name!r} is neither a file nor a folder.")

    def check_links(self) -> None:
        """Refuse what lies behind a link or a file, and links that lead through links.

        A path through a link means something else to whoever unpacks it than to us: with
        `a/b -> ../..`, `a/c -> b/../x` looks harmless and leaves the tree.
        """
        for name in (*self._files, *self._symbolic, *self._folders):
            for parent in _parents(name):
                if parent in self._symbolic or parent in self._files:
                    raise fault(f"{name!r} lies behind {parent!r}, which is not a folder.")
        for name in self._folders & (self._files | self._symbolic.keys()):
            raise fault(f"The package holds {name!r} twice.")
        for name, target in self._symbolic.items():
            for place in _way(name, target)[:-1]:
                if place in self._symbolic:
                    raise fault(f"The link {name!r} leads through the link {place!r}.")

    def _check_name(self, name: str) -> str:
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\0" in name:
            raise fault(f"{name[:200]!r} lies outside of the package.")
        sizes = [len(part.encode(errors="surrogateescape")) for part in parts]
        if sum(sizes) + len(sizes) > LONGEST_NAME_BYTES or max(sizes) > LONGEST_PART_BYTES:
            raise fault(f"The name {name[:80]!r}… is too long.")
        return "/".join(part for part in parts if part not in {"", "."})


def _check_target(name: str, target: str) -> str:
    if target.startswith("/") or "\0" in target or not target:
        raise fault(f"The link {name!r} leads out of the package.")
    _way(name, target)
    return target


def _way(name: str, target: str) -> list[str]:
    """List the places that a link's target passes, from the link's own folder on."""
    place = name.split("/")[:-1]
    way: list[str] = []
    for part in target.split("/"):
        if part == "..":
            if not place:
                raise fault(f"The link {name!r} leads out of the package.")
            place.pop()
        elif part not in {"", "."}:
            place.append(part)
        way.append("/".join(place))
    return way


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
