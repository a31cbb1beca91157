"""Runs a command where openat2 is answered ENOSYS, as systemd's RestrictSUIDSGID has it: without_openat2.py COMMAND…"""

import ctypes
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
OPENAT2, ENOSYS = 437, 38
LOAD_NUMBER, IS_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000


def instruction(code, k, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, k)


# The number of the call is the first field of what a filter sees (linux/seccomp.h).
filter_ = b"".join([
    instruction(LOAD_NUMBER, 0),
    instruction(IS_EQUAL, OPENAT2, 0, 1),
    instruction(RETURN, ERROR | ENOSYS),
    instruction(RETURN, ALLOW),
])
instructions = ctypes.create_string_buffer(filter_, len(filter_))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(filter_) // 8, ctypes.addressof(instructions)))
libc = ctypes.CDLL(None, use_errno=True)
for arguments in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0)]:
    if libc.prctl(*arguments) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
