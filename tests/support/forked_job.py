"""What is called in Python's place for a Snakemake job: FOLDER PYTHON SCRIPT FLAGS has `forked.py`'s server run the script.

SOCKET PYTHON -m snakemake FLAGS, as a scheduler's job, has that server run Snakemake.

Lines that start others (launch.py), and those of a number of threads for which no server is there, are Python's own.
"""

import json
import os
import signal
import socket
import sys

folder, python, *line = sys.argv[1:]
if line[0] == "-m":
    server, line = folder, line[1:]
else:
    server = os.path.join(folder, line[line.index("--threads") + 1] if "--threads" in line else "plain")
if line[0].endswith("/launch.py") or not os.path.exists(server):
    os.execv(python, [python, *line])
status, theirs = os.pipe()
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
    asked.connect(server)
    socket.send_fds(asked, [json.dumps([line, dict(os.environ), os.getcwd()]).encode()], [1, 2, theirs])
os.close(theirs)
child = int(os.read(status, 100))
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, _: os.kill(child, number))
code = os.waitstatus_to_exitcode(int(os.read(status, 100)))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
