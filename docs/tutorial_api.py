"""The tutorial by REST: tutorial_api.py ADDRESS TOKEN [TEST_STEPS FULL_STEPS]. Make the token on the Account page."""

import json
import sys
import time
import urllib.request
from pathlib import Path

address, token, *given = sys.argv[1:]
test_steps, full_steps = map(int, given or (2000, 20000))
words = ["up", "down", "left", "right", "stop"]


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(address + path, data, headers, method=method)  # noqa: S310 - your own server
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return answer.read() if path.endswith("/download") else json.load(answer)


def create(path, **body):
    """Make something; where a job makes it, wait until that has ended."""
    made = call("POST", f"/api/v1/{path}", body)
    place = f"/api/v1/{path.rpartition('/')[2]}/{made['id']}"
    while made.get("job", {}).get("state") in ("queued", "running", "interrupted"):
        time.sleep(1)
        made = call("GET", place)
    if made.get("job", {}).get("failure"):
        sys.exit(made["job"]["failure"]["reason"])
    return made


found = call("GET", "/api/v1/raw-data?name=SpeechCommands%20v2")["results"]
raw_data = found[0] if found else create("raw-data", name="Synthetic speech", synthesize={"keywords": words})
dataset = create("datasets", name="Directions", raw_data=raw_data["id"], parameters={"keywords": words})
project = create("projects", name="Directions")
common = {"project": project["id"], "dataset": dataset["id"]}
test = {"network": "kws-large", "steps": test_steps, "validation_interval": min(100, test_steps)}
first = create("runs", name="Directions test 1", parameters=test, **common)
full = {"network": "kws-large", "steps": full_steps, "validation_interval": min(500, full_steps)}
run = create("runs", name="Directions full 1", parameters=full, initial_weights=first["id"], **common)
results = call("GET", f"/api/v1/runs/{run['id']}/results")
artifact = create(f"runs/{run['id']}/artifacts", format="binary")
Path("artifact.zip").write_bytes(call("GET", artifact["download"]))
print(f"{results['accuracy']:.2%} on {results['clips']:,} test clips of {results['labels']}: artifact.zip")
