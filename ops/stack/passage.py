"""The right of one unprivileged user to pass through a folder of root's: an entry in its access list.

The mode bits would open the folder to everybody; an entry lets this one user search it, not list it.
Layout of the list: <linux/posix_acl_xattr.h>, version 2.
"""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import structlog

from ops.stack.child import Account

ATTRIBUTE = "system.posix_acl_access"
VERSION = struct.Struct("<I")
ENTRY = struct.Struct("<HHI")
USER_OBJ, USER, GROUP_OBJ, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
SEARCH = 0x1
NO_ID = 0xFFFFFFFF

Entries = dict[tuple[int, int], int]
"""Permissions by tag and id."""

log = structlog.get_logger(__name__)


def may_search(folder: Path, account: Account) -> bool:
    """Whether the folder's access list lets the account through."""
    entries = _read(folder)
    granted = entries.get((USER, account.uid), 0) & entries.get((MASK, NO_ID), 0)
    return bool(granted & SEARCH)


def let_through(folder: Path, account: Account) -> bool:
    """Let the account search the folder, if it is root's; False where that cannot be done."""
    if not hasattr(os, "setxattr") or folder.stat().st_uid != 0:
        return False
    entries = _read(folder) or _of_mode(folder)
    entries[USER, account.uid] = SEARCH
    entries[MASK, NO_ID] = entries.get((MASK, NO_ID), entries[GROUP_OBJ, NO_ID]) | SEARCH
    try:
        os.setxattr(folder, ATTRIBUTE, _packed(entries))
    except OSError:
        return False
    log.info("user may pass through a folder", user=account.name, folder=str(folder))
    return True


def _read(folder: Path) -> Entries:
    try:
        packed = os.getxattr(folder, ATTRIBUTE)
    except (OSError, AttributeError):
        return {}
    return {(tag, owner): rights for tag, rights, owner in ENTRY.iter_unpack(packed[VERSION.size :])}


def _of_mode(folder: Path) -> Entries:
    mode = stat.S_IMODE(folder.stat().st_mode)
    return {(USER_OBJ, NO_ID): mode >> 6 & 7, (GROUP_OBJ, NO_ID): mode >> 3 & 7, (OTHER, NO_ID): mode & 7}


def _packed(entries: Entries) -> bytes:
    # The kernel wants the entries ordered by tag and id.
    return VERSION.pack(2) + b"".join(
        ENTRY.pack(tag, rights, owner) for (tag, owner), rights in sorted(entries.items())
    )
