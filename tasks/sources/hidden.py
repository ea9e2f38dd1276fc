"""What systems put next to a user's files and no pattern means: hidden files, forks of macOS."""

from pathlib import Path


def is_hidden(name: str) -> bool:
    """Tell whether a path leads to a hidden file or folder, or to a fork of macOS."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def is_asked_for(path: Path, pattern: Path) -> bool:
    """Tell whether a path that matches a pattern is hidden by no part that the pattern does not name itself."""
    return not any(is_hidden(part) for part in path.parts if part not in pattern.parts)
