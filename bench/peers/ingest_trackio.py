"""Durable metric rows a second of Trackio: its SQLite storage in batches, and its log() with finish().

usage: ingest_trackio.py SPOOL FOLDER BATCH
"""

import json
import os
import sqlite3
import sys

spool, folder, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.environ["TRACKIO_DIR"] = folder

import trackio  # noqa: E402
from clock import start_clock  # noqa: E402
from trackio.sqlite_storage import SQLiteStorage  # noqa: E402

NAMES = ("loss", "lr", "grad_norm", "ms")
with open(spool) as lines:
    events = [json.loads(line) for line in lines]
steps = [event["step"] for event in events]
rows = [{name: event[name] for name in NAMES} for event in events]


def count(project):
    path = SQLiteStorage.get_project_db_path(project)
    with sqlite3.connect(path) as db:
        (found,) = db.execute("SELECT count(*) FROM metrics").fetchone()
    assert found == len(rows), f"{found} rows of {len(rows)} are there"
    return os.path.getsize(path)


# The tables exist before the clock starts.
SQLiteStorage.init_db("storage")
read = start_clock()
for at in range(0, len(rows), batch):
    SQLiteStorage.bulk_log(
        "storage", "run", rows[at : at + batch], steps=steps[at : at + batch]
    )
storage = read()
size = count("storage")

run = trackio.init(project="logged", name="run")
read = start_clock()
for step, row in zip(steps, rows):
    trackio.log(row, step=step)
trackio.finish()
seconds, wall, cpu = read()
# Its two threads take turns. One waits for the other, so that only their work is counted: the pauses
# between its batches and the waits for the disk are left out, in its favour.
logged = min(seconds, cpu), wall, cpu
count("logged")

print()
print(
    json.dumps(
        {
            "storage": storage,
            "log": logged,
            "bytes": size / len(rows),
        }
    )
)
