"""Durable metric rows a second of MLflow: log_batch, as many metrics a call as it takes, into SQLite.

usage: ingest_mlflow.py SPOOL FOLDER
"""

import json
import os
import sys

spool, folder = sys.argv[1], sys.argv[2]
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from clock import start_clock  # noqa: E402
from mlflow.entities import Metric  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

NAMES = ("loss", "lr", "grad_norm", "ms")
# MLflow takes at most 1000 metrics a call.
ROWS_A_CALL = 1000 // len(NAMES)
with open(spool) as lines:
    events = [json.loads(line) for line in lines]

database = os.path.join(folder, "mlflow.db")
client = MlflowClient(tracking_uri=f"sqlite:///{database}")
run = client.create_run(client.create_experiment("ingest")).info.run_id

read = start_clock()
for at in range(0, len(events), ROWS_A_CALL):
    client.log_batch(
        run,
        [
            Metric(name, event[name], 0, event["step"])
            for event in events[at : at + ROWS_A_CALL]
            for name in NAMES
        ],
    )
seconds = read()

found = len(client.get_metric_history(run, "loss"))
assert found == len(events), f"{found} rows of {len(events)} are there"
print(
    json.dumps(
        {
            "log_batch": seconds,
            "bytes": os.path.getsize(database) / len(events),
        }
    )
)
