"""Starts one program that cannot outlive the launcher: `leash.py SIGNAL UID GID PARENT COMMAND…`.

The kernel is asked to send SIGNAL when the parent dies, even by kill -9. It is done here, between fork and exec in a
process of its own, because code between fork and exec of a Python parent is unsafe; after the change of user, because
that clears the request. Linux only; elsewhere the next `up` ends what was left (see processes.py).
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    signal, uid, gid, parent = (int(argument) for argument in sys.argv[1:5])
    command = sys.argv[5:]
    if uid != os.geteuid():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # it died before the request was made
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
