"""Stands in for Prefect's server, worker and deploy command: starts in no time and says what it was asked.

A run posted to /api/_run is taken by the worker cpu-1 as a process; a cancelled one ends, unless it is stubborn.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

API = os.environ.get("PREFECT_API_URL", "")
workers: dict[tuple[str, str], str] = {}
pools: dict[str, dict] = {}
queues: dict[str, dict] = {}
deployments: list[dict] = []
runs: dict[str, dict] = {}


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = self.path.split("/")[2:]
        known = {"health": True, "_runs": runs, "_queues": queues, "_deployments": deployments}
        if parts[0] in known:
            return self.answer(known[parts[0]])
        if parts[0] == "flow_runs":
            return self.answer(runs[parts[1]])
        found = queues.get(parts[-1]) if "queues" in parts else pools.get(parts[1]) if len(parts) > 1 else None
        return self.answer(found, 200 if found else 404)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        parts = self.path.split("/")[2:]
        match parts:
            case ["_heartbeat"]:
                workers[(body["pool"], body["name"])] = datetime.now(UTC).isoformat()
            case ["_run"]:
                runs[body["id"]] = {"id": body["id"], "state_type": "RUNNING", **body}
            case ["_deploy"]:
                deployments.append(body)
            case ["work_pools", ""]:
                pools[body["name"]] = body
            case ["work_pools", _, "queues"]:
                queues[body["name"]] = body
            case ["work_pools", pool, "workers", "filter"]:
                listed = [(name, seen) for (owner, name), seen in workers.items() if owner == pool]
                return self.answer([{"name": n, "status": "ONLINE", "last_heartbeat_time": s} for n, s in listed])
            case ["automations", "filter"]:
                return self.answer([{"name": "rnnflow: crash runs without heartbeat"}])
            case ["deployments", "filter"]:
                return self.answer(deployments)
            case ["flow_runs", "filter"]:
                types = body["flow_runs"]["state"]["type"]["any_"]
                return self.answer([run for run in runs.values() if run["state_type"] in types])
            case ["flow_runs", run, "set_state"]:
                state = body["state"]
                runs[run] |= {"state_type": state["type"], "name": state.get("name"), "message": state.get("message")}
        return self.answer([])

    def do_PATCH(self):
        queues[self.path.split("/")[-1]] |= json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(None, 204)

    def do_DELETE(self):
        parts = self.path.split("/")
        del workers[(parts[3], parts[5])]
        self.answer(None, 204)

    def answer(self, content, status=200):
        self.send_response(status)
        self.end_headers()
        if status != 204:
            with contextlib.suppress(ConnectionError):  # of one who asked and did not wait
                self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        pass


def ask(path, body=None):
    request = urllib.request.Request(f"{API}/{path}", None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


def look_for_work(pool, name, children):
    ask("_heartbeat", {"pool": pool, "name": name})
    for run in ask("_runs").values() if name == "cpu-1" else ():
        if run["state_type"] == "RUNNING" and run["id"] not in children:
            environment = {**os.environ, "PREFECT__FLOW_RUN_ID": run["id"]}
            sleep = [sys.executable, "-c", "import time; time.sleep(100)"]
            children[run["id"]] = subprocess.Popen(sleep, env=environment, start_new_session=True)
        if run["state_type"] == "CANCELLING" and not run["id"].startswith("stubborn"):
            children[run["id"]].kill()
            ask(f"flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLED"}})


def work(pool, name):
    sys.stdout.write(f"Worker {name} started!\n")
    sys.stdout.flush()
    children = {}
    while True:
        # As Prefect's own, a worker outlives a server that does not answer.
        with contextlib.suppress(OSError):
            look_for_work(pool, name, children)
        time.sleep(0.1)


if __name__ == "__main__":
    if "server" in sys.argv:
        sys.stdout.write("It listens.\n")
        sys.stdout.flush()
        address = os.environ["PREFECT_SERVER_API_HOST"], int(os.environ["PREFECT_SERVER_API_PORT"])
        ThreadingHTTPServer(address, Server).serve_forever()
    elif "worker" in sys.argv:
        work(sys.argv[sys.argv.index("--pool") + 1], sys.argv[sys.argv.index("--name") + 1])
    else:
        import yaml

        for deployment in yaml.safe_load(Path(sys.argv[-1]).read_text())["deployments"]:
            ask("_deploy", {"name": deployment["name"], "home": os.environ.get("RNNFLOW_HOME", "")})
