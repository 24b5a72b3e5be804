"""Program that ties itself to its parent and then becomes another one; ops.stack.child starts it.

`python -I -S launch.py DEATH_SIGNAL PARENT_PID UID GID PROGRAM [ARGUMENT ...]`; -1 and -1 keep the user.

On Linux the kernel sends DEATH_SIGNAL when the parent dies, however it dies. Other systems know no such
request: a supervisor killed with -9 leaves its children there, and the next start of the stack ends them.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
EXIT_NOT_STARTED = 127  # the shell's code for a program that could not be run


def give_up_root(uid: int, gid: int) -> None:
    """Become the user for good, without any supplementary group."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def tie_to_parent(death_signal: int, parent: int) -> None:
    """Ask for `death_signal` at the parent's death; leave at once if it has died already.

    The kernel forgets the request when the user changes, so this comes after `give_up_root`.
    """
    if sys.platform.startswith("linux") and ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal) != 0:
        sys.exit(f"launch: the kernel refused the request for signal {death_signal} at the parent's death")
    if os.getppid() != parent:
        sys.exit(EXIT_NOT_STARTED)


def main(arguments: list[str]) -> None:
    """Tie, drop privileges and turn into the program; exit 127 when it cannot be run."""
    death_signal, parent, uid, gid = map(int, arguments[:4])
    command = arguments[4:]
    try:
        if uid >= 0:
            give_up_root(uid, gid)
        tie_to_parent(death_signal, parent)
        os.execvp(command[0], command)  # noqa: S606 - the command is the supervisor's own
    except OSError as error:
        sys.stderr.write(f"launch: cannot run {command[0]} as user {uid}: {error}\n")
        sys.exit(EXIT_NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
