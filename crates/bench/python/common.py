"""What the servers in Python have in common: their arguments, and the line that says where they listen."""

import sys

HOST = "127.0.0.1"
BACKLOG = 1024


def port():
    """At the end of the first argument; 0 is one of the system's choice."""
    text = sys.argv[1] if len(sys.argv) > 1 else "0"
    return int(text.rpartition(":")[2])


def buffer_size():
    """How many bytes are received at most at a time, where that can be chosen: the second argument."""
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    return size or 16 * 1024


def greet(found):
    """The runner waits for this line."""
    print(f"listening on tcp://{HOST}:{found}", flush=True)
