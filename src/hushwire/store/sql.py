"""The named SQL of `queries/*.sql` and the numbered `migrations/*.sql`."""

from importlib.resources import files


def _named() -> dict[str, str]:
    statements: dict[str, str] = {}
    for file in files("hushwire.store").joinpath("queries").iterdir():
        if not file.name.endswith(".sql"):
            continue
        for block in file.read_text(encoding="utf-8").split("-- name: ")[1:]:
            name, _, rest = block.partition("\n")
            lines = (line for line in rest.splitlines() if not line.startswith("--"))
            statements[name.strip()] = " ".join(" ".join(lines).split())
    return statements


SQL = _named()


def migrations() -> list[tuple[int, str]]:
    """(version, script) of every migration, in order."""
    folder = files("hushwire.store").joinpath("migrations")
    scripts = sorted((f.name, f.read_text(encoding="utf-8")) for f in folder.iterdir()
                     if f.name.endswith(".sql"))  # fmt: skip
    return [(int(name[:4]), script) for name, script in scripts]
